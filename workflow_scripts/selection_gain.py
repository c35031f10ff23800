"""Write what choosing checkpoints on the test scans adds, from score files, as CSV and Markdown."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.selection_gain import build_selection_gain, to_markdown

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    table = build_selection_gain(snakemake.params.lines)
    write_text(Path(snakemake.output.csv), table.to_csv(index=False))
    write_text(Path(snakemake.output.md), to_markdown(table))


if "snakemake" in globals():
    main(globals()["snakemake"])
