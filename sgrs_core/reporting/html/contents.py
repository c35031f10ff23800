"""What an experiment's report shows, as its plan says. Nothing is read here but the plan."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.plan import Plan
from sgrs_core.experiment.schema import SHOWING_SCANS
from sgrs_core.experiment.splits import base_of
from sgrs_core.reporting.html import SELECTIONS

# Of docs/, in every report, and in those of the paper's data sets.
GENERAL_PAGES, OF_PAPER = ("tables.md", "glossary.md"), ("reproducibility.md", "paper.md")


def contents_of(plan: Plan, layout: Layout) -> dict[str, Any]:
    """The experiment, its data sets, tables, figures and runs, as dictionaries, lists and texts."""
    experiment, runs = plan.experiment, layout.runs()
    sheets = {
        name: {"name": name, "title": sheet.title, "note": plan.note_of(name)}
        for name, sheet in plan.sheets.items()
    }
    return {
        "experiment": experiment.title or experiment.experiment,
        "note": experiment.note.strip(),
        "seeds": experiment.seeds,
        "datasets": [_dataset(plan, layout, runs, name) for name in experiment.datasets],
        "tables": [
            {
                **sheets[name],
                "confidence": table.confidence,
                "margin": asdict(table.margin),
                "file": layout.outputs(name)[0],
                "lines": layout.lines_of_table(name),
            }
            for name, table in plan.tables.items()
        ],
        "figures": [
            {
                **sheets[name],
                "file": layout.outputs(name)[-1],
                "shows scans": figure.kind in SHOWING_SCANS,
            }
            for name, figure in plan.figures.items()
        ],
        "runs": runs,
    }


def files_of_runs(layout: Layout) -> Iterator[str]:
    """What the report reads of all runs: records, logs and scores."""
    for run in layout.runs():
        yield from (run["record"], run["log"], *run["scores"].values())


def pages_of(plan: Plan, docs: Path) -> list[Path]:
    """The pages of docs/ that belong in the report; of methods, those of those that are run.

    A method that someone added may have no page. Those on the paper are for its data sets.
    """
    is_of_paper = any(one.published_spacing for one in plan.experiment.datasets.values())
    methods = dict.fromkeys(plan.methods[row.method].method for row in plan.rows.values())
    names = [*GENERAL_PAGES, *(OF_PAPER if is_of_paper else ())]
    names += [f"methods/{method}.md" for method in methods]
    return [docs / name for name in names if (docs / name).is_file()]


def _dataset(plan: Plan, layout: Layout, runs: list[dict[str, Any]], name: str) -> dict[str, Any]:
    dataset, lists = plan.dataset(name), plan.splits[name]
    iterations = {run["iterations"] for run in runs if base_of(run["dataset"]) == name}
    return {
        "name": name,
        "title": dataset.title,
        "source": dataset.source,
        "training scans": len(lists.present(lists.train)),
        "test scans": sum(len(layout.volumes_of_part(fold, "test")) for fold in plan.folds(name)),
        "absent scans": len(lists.absent),
        "checkpoints": ", ".join(SELECTIONS[one] for one in plan.selections(name)),
        "iterations": ", ".join(map(str, sorted(iterations))),
    }
