"""The report's page: everything put into one HTML file."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas
from markupsafe import Markup
from pandas import DataFrame

from sgrs_core import __version__
from sgrs_core.reporting.figures.style import GROUND_TRUTH, PREDICTION
from sgrs_core.reporting.figures.training_curves import draw_run, to_svg
from sgrs_core.reporting.html import GENERAL_PAGES, as_address, sortable
from sgrs_core.reporting.html.documents import ABOUT_DIFFERENCES, Page, read_page
from sgrs_core.reporting.html.runs import (
    Finished,
    cost_of,
    environment_of,
    overview_of,
    read_run,
)
from sgrs_core.reporting.selection_gain import TITLE as SELECTION_GAIN
from sgrs_core.reporting.tables import Rules, read_table
from sgrs_core.reporting.templating import TEMPLATES, render
from sgrs_core.reporting.typeset import meaning_of_marks, reference_of


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
    runs = [read_run(run) for run in contents["runs"]]
    overview = overview_of(runs)
    tables = [(table, read_table(table["file"])) for table in contents["tables"]]
    counts = [{"table": table["title"], **count} for table, frame in tables
              for count in sortable.verdicts(frame)]  # fmt: skip
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    values = {
        "contents": contents,
        "version": __version__,
        "script": Markup(script),
        "script_digest": _digest(script),
        "facts": _summary(contents, runs),
        "datasets": sortable.of_frame(DataFrame(contents["datasets"]), "Data sets"),
        "verdicts": sortable.of_frame(DataFrame(counts), "Published values beside ours"),
        "tables": [_table(table, frame) for table, frame in tables],
        "gain": sortable.of_gain(pandas.read_csv(gain), SELECTION_GAIN) if gain else None,
        "figures": [{**one, "data": _address_of(one["file"])} for one in contents["figures"]],
        "case": json.loads(case.read_text(encoding="utf-8")) if case else None,
        "colours": {"truth": GROUND_TRUTH, "prediction": PREDICTION},
        "overview": sortable.of_frame(overview.drop(columns="device"), "All runs"),
        "runs": [_run(run) for run in runs],
        "cost": sortable.of_frame(pandas.read_csv(cost) if cost else cost_of(overview), "Cost"),
        "hours": overview["hours"].sum(),
        "environment": sortable.of_frame(environment_of(runs), "Software and machines"),
        "pages": {page.id: page for page in _pages(pages)},
    }
    return render("report.html.j2", values, autoescape=True)


def _digest(script: str) -> str:
    """What the page's policy must name for the browser to run the script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _summary(contents: Mapping[str, Any], runs: Sequence[Finished]) -> dict[str, str]:
    days = sorted(str(run.record["finished"])[:10] for run in runs)
    return {
        "Experiment": contents["experiment"],
        "Runs": str(len(runs)),
        "Seeds": ", ".join(map(str, contents["seeds"])),
        "Finished": " to ".join(dict.fromkeys((days[0], days[-1]))),
        "Commits of the runs": ", ".join(dict.fromkeys(run.commit for run in runs)),
        "Hours of training": f"{sum(run.hours for run in runs):.2f}",
    }


def _table(table: Mapping[str, Any], frame: DataFrame) -> dict[str, Any]:
    """A table with what its marks mean, and a part for each selection and scoring."""
    rules = Rules(table["margin"], table["confidence"])
    return {
        **table,
        "marks": list(meaning_of_marks(rules, reference_of(frame)).values()),
        "parts": dict(sortable.of_table(frame, rules.confidence)),
    }


def _address_of(file: str) -> str:
    path = Path(file)
    return as_address(path.read_bytes(), path.suffix)


def _run(run: Finished) -> dict[str, Any]:
    """One run: its name, its settings, its course, and its scans' scores by selection."""
    record = run.record
    settings = ", ".join(f"{key}={value}" for key, value in record["run"]["settings"].items())
    read_test_scans = record["training"].get("read_test_scans_in_training")
    return {
        "title": run.name,
        "facts": {
            "settings": settings or "the method's own",
            "finished": record["finished"],
            "commit": record["commit"],
            "hours": f"{run.hours:.3f}",
            "test scans read in training": {None: "not recorded", True: "yes", False: "no"}[
                read_test_scans
            ],
        },
        "curves": as_address(to_svg(draw_run(run.log)), ".svg"),
        "scores": [
            sortable.of_scores(table, f"Scores of the test scans, selection {selection}")
            for selection, table in run.scores.items()
        ],
    }


def _pages(paths: Sequence[Path]) -> list[Page]:
    """Those that have something to say; a simple method's page may name no difference."""
    told = [path for path in paths if read_page(path, only=_wanted(path)).body]
    names = [path.name for path in told]
    return [read_page(path, names, _wanted(path)) for path in told]


def _wanted(page: Path) -> re.Pattern[str] | None:
    return None if page.name in GENERAL_PAGES else ABOUT_DIFFERENCES
