"""The report's page: everything put into one HTML file."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sgrs_core import __version__
from sgrs_core.reporting.figures.curves import draw_curves, to_svg
from sgrs_core.reporting.figures.style import GROUND_TRUTH, PREDICTION
from sgrs_core.reporting.html import GENERAL_PAGES, sheets
from sgrs_core.reporting.html.addresses import as_address
from sgrs_core.reporting.html.documents import ABOUT_DIFFERENCES, Page, read_page
from sgrs_core.reporting.html.runs import (
    Finished,
    commits_of,
    cost_of,
    dates_of,
    environment_of,
    read_run,
)
from sgrs_core.reporting.html.sheets import Sheet
from sgrs_core.reporting.selection_gain import TITLE as SELECTION_GAIN
from sgrs_core.reporting.tables import Rules, read_table
from sgrs_core.reporting.typeset import meaning_of_marks, reference_of

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Panels:
    """A table: title, note, what its marks mean, and a sheet for each selection and scoring."""

    id: str
    title: str
    note: str
    marks: Sequence[str]
    sheets: Mapping[str, Sheet]


@dataclass(frozen=True)
class Picture:
    """A figure, with its bytes as an address that holds them."""

    id: str
    title: str
    note: str
    data: str


@dataclass(frozen=True)
class RunPart:
    """One run: its name, its settings, its course, and its scans' scores by selection."""

    id: str
    title: str
    facts: Mapping[str, Any]
    curves: str
    scores: Sequence[Sheet]


def build_report(
    contents: Mapping[str, Any],
    pages: Sequence[Path] = (),
    gain: Path | None = None,
    cost: Path | None = None,
    case: Path | None = None,
) -> str:
    """The page as HTML.

    contents: as `contents_of` makes it; the files that it names are read. pages: of docs/. gain:
    the CSV of `build_selection_gain`. cost: a CSV of costs, shown in place of the hours that the
    runs' records hold. case: the JSON file of `slices_of`.
    """
    runs = [read_run(line) for line in contents["runs"]]
    tables = {line["name"]: read_table(line["file"]) for line in contents["tables"]}
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        contents=contents,
        version=__version__,
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_digest=_digest(script),
        facts=_summary(contents, runs),
        datasets=sheets.of_dictionaries(contents["datasets"], "Data sets"),
        verdicts=_verdicts(contents["tables"], tables),
        tables=[_panels(line, tables[line["name"]]) for line in contents["tables"]],
        gain=sheets.of_gain(pandas.read_csv(gain), SELECTION_GAIN) if gain else None,
        figures=[_picture(line) for line in contents["figures"]],
        case=json.loads(case.read_text(encoding="utf-8")) if case else None,
        colours={"truth": GROUND_TRUTH, "prediction": PREDICTION},
        overview=_overview(runs),
        runs=[_run(place, run) for place, run in enumerate(runs)],
        cost=sheets.of_frame(pandas.read_csv(cost) if cost else cost_of(runs), "Cost"),
        hours=sum(run.hours for run in runs),
        environment=sheets.of_dictionaries(environment_of(runs), "Software and machines"),
        pages={page.id: page for page in _pages(pages)},
    )


def _digest(script: str) -> str:
    """What the page's policy must name for the browser to run the script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _summary(contents: Mapping[str, Any], runs: Sequence[Finished]) -> dict[str, str]:
    first, last = dates_of(runs)
    return {
        "Experiment": contents["experiment"],
        "Runs": str(len(runs)),
        "Seeds": ", ".join(map(str, contents["seeds"])),
        "Finished": first if first == last else f"{first} to {last}",
        "Commits of the runs": ", ".join(commits_of(runs)),
        "Hours of training": f"{sum(run.hours for run in runs):.2f}",
    }


def _verdicts(lines: Sequence[Mapping[str, Any]], tables: Mapping[str, pandas.DataFrame]) -> Sheet:
    counts = [
        {"table": line["title"], **count}
        for line in lines
        for count in sheets.verdicts(tables[line["name"]])
    ]
    return sheets.of_dictionaries(counts, "Published values beside ours")


def _panels(line: Mapping[str, Any], table: pandas.DataFrame) -> Panels:
    rules = Rules(line["margin"], line["confidence"])
    return Panels(
        f"table-{line['name']}",
        line["title"],
        line["note"],
        list(meaning_of_marks(rules, reference_of(table)).values()),
        dict(sheets.of_table(table, rules.confidence)),
    )


def _picture(line: Mapping[str, Any]) -> Picture:
    path = Path(line["file"])
    data = as_address(path.read_bytes(), path.suffix)
    return Picture(f"figure-{line['name']}", line["title"], line["note"], data)


def _overview(runs: Sequence[Finished]) -> Sheet:
    """All runs with their mean Dice under each selection."""
    selections = list(dict.fromkeys(name for run in runs for name in run.scores))
    lines = [
        {
            "method": run.variant,
            "labelled": run.labelled,
            "data_set": run.dataset,
            "seed": run.seed,
            **{
                f"Dice % ({name})": float(run.scores[name]["dice"].mean() * 100)
                if name in run.scores
                else float("nan")
                for name in selections
            },
            "hours": run.hours,
        }
        for run in runs
    ]
    return sheets.of_dictionaries(lines, "All runs")


def _run(place: int, run: Finished) -> RunPart:
    record = run.record
    facts = {
        "settings": _settings(record["run"]["settings"]),
        "finished": record["finished"],
        "commit": record["commit"],
        "hours": f"{run.hours:.3f}",
        "test scans read in training": _yes(record["training"].get("read_test_scans_in_training")),
    }
    scores = [
        sheets.of_scores(table, f"Scores of the test scans, selection {selection}")
        for selection, table in run.scores.items()
    ]
    curves = as_address(to_svg(draw_curves(run.log)), ".svg")
    return RunPart(f"run-{place}", run.name, facts, curves, scores)


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items()) or "the method's own"


def _yes(value: bool | None) -> str:
    return {None: "not recorded", True: "yes", False: "no"}[value]


def _pages(paths: Sequence[Path]) -> list[Page]:
    """Those that have something to say; a simple method's page may name no difference."""
    told = [path for path in paths if read_page(path, only=_wanted(path)).body]
    names = [path.name for path in told]
    return [read_page(path, names, _wanted(path)) for path in told]


def _wanted(page: Path) -> re.Pattern[str] | None:
    return None if page.name in GENERAL_PAGES else ABOUT_DIFFERENCES
