"""A small finished experiment: real tables of synthetic scores, logs and records."""

import json
from pathlib import Path

import numpy as np
import pandas
import yaml

from sgrs_core.evaluation.units import METRICS
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.planning import load_plan
from sgrs_core.reporting.figures.cases import Case
from sgrs_core.reporting.figures.style import new_figure, save
from sgrs_core.reporting.html.case import report_case
from sgrs_core.reporting.html.contents import contents_of, pages_of
from sgrs_core.reporting.html.page import build_report
from sgrs_core.reporting.selection_gain import build_selection_gain
from sgrs_core.reporting.tables import build_table
from tests.places import PROJECT

QUICK = PROJECT / "tests/workflow/quick.yaml"
TABLES = {"table2": {"labelled": [4], "methods": ["vnet", "sgrs"]}, "table7": {"labelled": [4]}}
COMMITS = ("0123456789abcdef0123456789abcdef01234567", "fedcba9876543210+changes")
LONG_NAME = "scan-" + "W" * 60


def plan_of_quick():
    """The quick experiment, on LA alone, with two seeds and both selections."""
    values = yaml.safe_load(QUICK.read_text())
    values["selections"] = ["last", "best_on_test"]
    values |= {
        "seeds": [0, 1],
        "tables": TABLES,
        "figures": {"figure2": {"labelled": [4], "methods": ["vnet", "sgrs"]}},
        "note": "Made up: <b>1 & 2</b>.",
        "datasets": {"la": values["datasets"]["la"]},
    }
    return load_plan(values, [QUICK], PROJECT / "config")


def make_report(with_surfaces: bool = True, with_published: bool = True) -> str:
    """Write all results of that experiment below the working folder, and give the report's HTML."""
    plan = plan_of_quick()
    layout = Layout(plan)
    gain = write_results(plan, layout, with_published)
    case = Path("case.json")
    case.write_text(json.dumps(report_case(synthetic_case(), with_surfaces)))
    pages = pages_of(plan, PROJECT / "docs")
    return build_report(contents_of(plan, layout), pages, gain=gain, case=case).html


def synthetic_case() -> Case:
    """A box in a ramp, and two predictions: the box moved, and nothing. Voxels are not cubes."""
    image = np.linspace(0, 1, 40 * 30 * 12, dtype=np.float32).reshape(40, 30, 12)
    label, moved = np.zeros((2, 40, 30, 12), dtype=bool)
    label[15:25, 14:16, 2:10] = True
    moved[16:26, 14:16, 3:11] = True
    predictions = {"Moved": moved, "Nothing": np.zeros_like(moved)}
    return Case("4 labelled\na", image, label, predictions, (1.0, 2.0, 3.0))


def write_results(plan, layout, with_published: bool = True) -> Path:
    """Write them, and name the file of what choosing on test scans adds."""
    for place, run in enumerate(layout.runs()):
        _write_run(place, run)
    published = pandas.read_csv(PROJECT / "config/published.csv")
    for name, table in plan.tables.items():
        path = Path(layout.outputs(name)[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = published[published["table"] == table.published_table]
        lines = layout.lines_of_table(name)
        if with_published:  # as if the scans were the published ones
            lines = [{**line, "published_selection": "best_on_test"} for line in lines]
        built = build_table(table.dataset, lines, rows)
        built.to_csv(path, index=False)
    gain = Path(layout.outputs_of_selection_gain()[0])
    build_selection_gain(layout.lines_of_selection_gain()).to_csv(gain, index=False)
    figure = new_figure(3, 2)
    figure.subplots().plot([1, 2, 3])
    image = Path(layout.figure.format(figure="figure2") + ".png")
    image.parent.mkdir(parents=True, exist_ok=True)
    save(figure, [image])
    return gain


def _write_run(place: int, run: dict) -> None:
    random = np.random.default_rng(place)
    for file in run["scores"].values():
        scores = pandas.DataFrame(random.random((4, 4)), columns=list(METRICS))
        scores.insert(0, "scan", ["a", "b", "c", LONG_NAME])
        scores["empty"] = [False, False, False, True]
        scores["diagonal"] = 40.0
        scores.loc[3, list(METRICS)] = [0, 0, np.nan, np.nan]
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        scores.to_csv(file, index=False)
    log = pandas.DataFrame({"iteration": np.arange(10, 2410, 10)})
    for name in ("loss", "cross_entropy", "pseudo_label_dice"):
        log[name] = random.random(len(log))
    log.to_csv(run["log"], index=False)
    write_record(Path(run["record"]), place)


def write_record(path: Path, place: int) -> None:
    """The record of the run at that place of the list: what the report reads of it."""
    record = {
        "run": {"settings": {"delta": "con"}},
        "training": {"seconds": 3600.0 * (place + 1), "device": "cpu", "threads": 1},
        "commit": COMMITS[place % 2],
        "packages": {"torch": "2.0"},
        "processor": "a <processor>",
        "finished": f"2026-01-{place + 1:02}T00:00:00+00:00",
    }
    path.write_text(json.dumps(record))
