"""Write what the tables cost as CSV and Markdown, from records and benchmark files."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.costs import cost_table, to_markdown

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    lines = snakemake.params.lines
    write_text(Path(snakemake.output.csv), cost_table(lines).to_csv(index=False))
    write_text(Path(snakemake.output.md), to_markdown(lines, snakemake.params.note))


if "snakemake" in globals():
    main(globals()["snakemake"])
