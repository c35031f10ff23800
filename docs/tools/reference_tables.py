"""Tables and figures of the committed runs as the workflow makes them.

Table 2 of the ten methods, Tables 5 to 7 and Figure 4 of the ablations.
"""

from pathlib import Path
from typing import Any, NamedTuple

import pandas

from docs.tools.forms import ABLATIONS, ROOT, TEN_METHODS, runs_of
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.planning import load_files
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.threshold import draw_threshold_sweep, threshold_sweep
from sgrs_core.reporting.tables import Rules, build_table
from sgrs_core.reporting.typeset import to_latex, to_markdown


class Tables(NamedTuple):
    """Tables of one experiment, where they go, and what is to be known of its runs' hardware."""

    experiment: str
    names: tuple[str, ...]
    folder: Path
    hardware: str


TABLES = (
    Tables(
        "la_half",
        ("table2",),
        TEN_METHODS,
        "Some runs were made on a GPU, in TensorFloat-32 in place of bfloat16.",
    ),
    Tables(
        "ablations",
        ("table5", "table6", "table6_isolated", "table7"),
        ABLATIONS,
        "All runs were made on a CPU.",
    ),
)


def reference_tables() -> dict[Path, str]:
    """The tables' files, each with what is to be in it; rows have the seeds that were run."""
    return {
        path: text
        for tables in TABLES
        for name in tables.names
        for path, text in files_of(tables, name).items()
    }


def files_of(tables: Tables, name: str) -> dict[Path, str]:
    """One table's files."""
    plan = load_files([ROOT / f"config/{tables.experiment}.yaml"], ROOT / "config")
    lines = Layout(plan).lines_of_table(name)
    for line in lines:
        line["scores"] = committed_scores(tables.experiment, line)
    sheet = plan.tables[name]
    rules = Rules(vars(sheet.margin), sheet.confidence)
    nothing = pandas.read_csv(ROOT / "config/published.csv").head(0)  # not of this resolution
    table = build_table(sheet.dataset, lines, nothing, rules)
    note = f"{plan.note_of(name)} {tables.hardware}"
    place = tables.folder / "tables" / name
    return {
        place.with_suffix(".csv"): table.to_csv(index=False),
        place.with_suffix(".md"): to_markdown(table, sheet.title, note, rules),
        place.with_suffix(".tex"): to_latex(table, name, sheet.title, note, rules),
    }


def committed_scores(experiment: str, line: dict[str, Any]) -> dict[str, list[str]]:
    """The score files of a table's line, by selection, in place of those that it plans."""
    return {
        selection: committed(experiment, planned, line["labelled"])
        for selection, planned in line["scores"].items()
    }


def committed(experiment: str, planned: list[str], labelled: int) -> list[str]:
    """The score files of a variant's runs, of the seeds that were run, in place of planned ones."""
    variant, _, selection, name = Path(planned[0]).parts[-4:]
    runs = runs_of(experiment, variant, labelled)
    return [str(run / selection / name) for run in runs.values()]


def draw_thresholds() -> None:
    """Figure 4, in both its forms, as the workflow draws it."""
    plan = load_files([ROOT / "config/ablations.yaml"], ROOT / "config")
    for name in ("figure4", "figure4_isolated"):
        lines = Layout(plan).lines_of_figure(name)
        for line in lines:
            scores = committed("ablations", line["scores_of_all"], line["labelled"])
            line["scores_of_all"] = scores
        sweep = threshold_sweep([line for line in lines if line["scores_of_all"]])
        save(draw_threshold_sweep(sweep), [ABLATIONS / f"figures/{name}.png"])
