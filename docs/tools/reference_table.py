"""Table 2 of the ten methods' committed runs as the workflow makes tables: CSV, Markdown, LaTeX."""

from pathlib import Path

import pandas

from docs.tools.forms import ROOT, TEN_METHODS
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.planning import load_files
from sgrs_core.reporting.tables import Rules, build_table
from sgrs_core.reporting.typeset import to_latex, to_markdown

NAME = "table2"
NOTE = (
    "Ours: LA at half resolution, networks with 8 base filters, 2,400 iterations, some runs on a "
    "GPU in TensorFloat-32 and some on a CPU in bfloat16; 95HD and ASD in voxels of 1.25 mm."
)


def reference_table() -> dict[Path, str]:
    """The table's files, each with what is to be in it; rows have the seeds that were run."""
    plan = load_files([ROOT / "config/la_half.yaml"], ROOT / "config")
    lines = Layout(plan).lines_of_table(NAME)
    for line in lines:
        run = TEN_METHODS / f"la/labelled-{line['labelled']}" / line["variant"]
        line["scores"] = {
            selection: sorted(map(str, run.glob(f"seed-*/{selection}/scores.csv")))
            for selection in line["scores"]
        }
    sheet = plan.tables[NAME]
    rules = Rules(vars(sheet.margin), sheet.confidence)
    nothing = pandas.read_csv(ROOT / "config/published.csv").head(0)  # not of this resolution
    table = build_table(sheet.dataset, lines, nothing, rules)
    return {
        TEN_METHODS / f"tables/{NAME}.csv": table.to_csv(index=False),
        TEN_METHODS / f"tables/{NAME}.md": to_markdown(table, sheet.title, NOTE, rules),
        TEN_METHODS / f"tables/{NAME}.tex": to_latex(table, NAME, sheet.title, NOTE, rules),
    }
