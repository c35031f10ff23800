"""The report's page: everything put into one HTML file."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from markupsafe import Markup
from pandas import DataFrame

from sgrs_core import __version__
from sgrs_core.evaluation.units import HEADINGS, METRICS, NAMES
from sgrs_core.experiment.splits import base_of
from sgrs_core.files import read_json
from sgrs_core.reporting import typeset
from sgrs_core.reporting.figures.style import GROUND_TRUTH, PREDICTION
from sgrs_core.reporting.figures.training_curves import draw_run, to_svg
from sgrs_core.reporting.html import SELECTIONS, as_address, documents, sortable
from sgrs_core.reporting.html.findings import findings_of, missing_of, selection_worth, setting_of
from sgrs_core.reporting.html.runs import Finished, cost_of, environment_of, overview_of, read_run
from sgrs_core.reporting.selection_gain import TITLE as SELECTION_GAIN
from sgrs_core.reporting.tables import Rules, read_table
from sgrs_core.reporting.templating import TEMPLATES, render

NAMED = {"dataset": str, "method": str}  # columns of names, which may look like numbers


class Report(NamedTuple):
    """The page as HTML, and what it begins with as Markdown."""

    html: str
    findings: str


def build_report(
    contents: Mapping[str, Any],
    pages: Sequence[Path] = (),
    gain: Path | None = None,
    cost: Path | None = None,
    case: Path | None = None,
) -> Report:
    """The page as HTML, and its findings.

    contents: as `contents_of` makes it; the files that it names are read. pages: of docs/. gain:
    the CSV of `build_selection_gain`. cost: a CSV of costs, shown in place of the hours that the
    runs' records hold. case: a JSON file of `report_case`.
    """
    runs = [read_run(run) for run in contents["runs"]]
    overview = overview_of(runs)
    tables = [(table, read_table(table["file"])) for table in contents["tables"]]
    frames = [frame for _, frame in tables]
    has_published = any(map(typeset.has_published, frames))
    has_upper_bound = any((frame["upper_bound"] != "").any() for frame in frames)
    unneeded = [documents.ON_PUBLISHED] * (not has_published)
    unneeded += [documents.ON_UPPER_BOUND] * (not has_upper_bound)
    counts = [{"table": table["title"], **count} for table, frame in tables
              for count in sortable.verdicts(frame)]  # fmt: skip
    gains = _gains(gain, contents, runs) if gain else None
    datasets = DataFrame(contents["datasets"]).drop(columns="name", errors="ignore")
    shown = read_json(case) if case else None
    has_surfaces = shown and any(shown["surfaces"])
    scripts = [
        (TEMPLATES / name).read_text(encoding="utf-8")
        for name in ("report.js", *(("vendored/niivue.js", "surfaces.js") if has_surfaces else ()))
    ]
    findings = [
        *(finding for table, frame in tables for finding in findings_of(table, frame)),
        selection_worth(gains),
        missing_of(contents, frames),
    ]
    values = {
        "contents": contents,
        "version": __version__,
        "scripts": [Markup(script) for script in scripts],
        "script_digests": " ".join(map(_digest, scripts)),
        "setting": setting_of(contents, frames),
        "findings": findings,
        "facts": _summary(contents, runs),
        "datasets": sortable.of_frame(datasets, "Data sets"),
        "verdicts": sortable.of_frame(DataFrame(counts), "Published values beside ours"),
        "has_published": has_published,
        "tables": [_table(table, frame) for table, frame in tables],
        "metrics": {NAMES[metric]: HEADINGS[metric] for metric in METRICS},
        "gain": sortable.of_gain(gains, SELECTION_GAIN) if gains is not None else None,
        "figures": [
            {**one, "data": as_address(Path(one["file"]).read_bytes(), Path(one["file"]).suffix)}
            for one in contents["figures"]
        ],
        "case": shown,
        "colours": {"truth": GROUND_TRUTH, "prediction": PREDICTION},
        "overview": sortable.of_frame(overview.drop(columns="device"), "All runs"),
        "runs": [_run(run) for run in runs],
        "cost": sortable.of_frame(_cost(cost, contents) if cost else cost_of(overview), "Cost"),
        "hours": overview["hours"].sum(),
        "environment": sortable.of_frame(environment_of(runs), "Software and machines"),
        "pages": {page.id: page for page in documents.read_pages(pages, unneeded)},
        "glossary": next(
            (documents.glossary_of(page) for page in pages if page.name == "glossary.md"), {}
        ),
    }
    page = render("report.html.j2", values, autoescape=True)
    text = "\n\n".join(f"**{one.about}**: {one.text}" for one in findings)
    return Report(page, f"{text}\n\n{values['setting']}\n")


def _digest(script: str) -> str:
    """What the page's policy must name for the browser to run the script, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _summary(contents: Mapping[str, Any], runs: Sequence[Finished]) -> dict[str, str]:
    seeds = contents["seeds"]
    days = sorted(str(run.record["finished"])[:10] for run in runs)
    return {
        "Experiment": contents["experiment"],
        "Runs": str(len(runs)),
        "Seeds": f"{len(seeds)} (number{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})",
        "Finished": " to ".join(dict.fromkeys(days[:1] + days[-1:])),
        "Commits of the runs": ", ".join(dict.fromkeys(run.commit for run in runs)),
        "Hours of training": f"{sum(run.hours for run in runs):.2f}",
    }


def _gains(file: Path, contents: Mapping[str, Any], runs: Sequence[Finished]) -> DataFrame:
    """What choosing on test scans adds, with titles."""
    gains, keys = pandas.read_csv(file, dtype=NAMED), ["dataset", "labelled", "method"]
    titles = {(base_of(run.dataset), run.labelled, run.variant): run.title for run in runs}
    gains["method"] = [titles[key] for key in gains[keys].itertuples(index=False, name=None)]
    return gains.replace({"dataset": {one["name"]: one["title"] for one in contents["datasets"]}})


def _cost(file: Path, contents: Mapping[str, Any]) -> DataFrame:
    """What the tables' rows cost, with titles."""
    cost = pandas.read_csv(file, dtype=NAMED)
    for table in contents["tables"]:
        here = cost["table"] == table["name"]
        titles = {line["variant"]: line["title"] for line in table["lines"]}
        cost.loc[here, "method"] = cost.loc[here, "method"].replace(titles)
        cost.loc[here, "table"] = table["title"]
    return cost


def _table(table: Mapping[str, Any], frame: DataFrame) -> dict[str, Any]:
    """A table with what its marks mean, and a part for each selection and scoring."""
    rules = Rules(table["margin"], table["confidence"])
    return {
        **table,
        "marks": list(typeset.meanings_in(frame, rules)),
        "parts": dict(sortable.of_table(frame, rules.confidence)),
    }


def _run(run: Finished) -> dict[str, Any]:
    """One run: its name, its settings, its course, and its scans' scores by selection."""
    record = run.record
    settings = ", ".join(f"{key}={value}" for key, value in record["run"]["settings"].items())
    read_test_scans = record["training"].get("read_test_scans_in_training")
    yes_or_no = {None: "not recorded", True: "yes", False: "no"}
    return {
        "title": run.label,
        "facts": {
            "settings": settings or "the method's own",
            "finished": record["finished"],
            "commit": record["commit"],
            "hours": f"{run.hours:.3f}",
            "test scans read in training": yes_or_no[read_test_scans],
        },
        "curves": as_address(to_svg(draw_run(run.log)), ".svg"),
        "scores": [
            sortable.of_scores(table, f"Scores of the test scans, {SELECTIONS[selection]}")
            for selection, table in run.scores.items()
        ],
    }
