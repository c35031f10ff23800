"""Write one table as CSV, Markdown and LaTeX from score files and the published numbers."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.tables import Rules, build_table
from sgrs_core.reporting.typeset import to_latex, to_markdown

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    wanted = snakemake.params.table
    published = pandas.read_csv(snakemake.input.published)
    published = published[published["table"] == (wanted["published_table"] or 0)]
    rules = Rules(wanted["margin"], wanted["confidence"])
    table = build_table(wanted["dataset"], snakemake.params.lines, published, rules)
    check_tested(table, snakemake.params.tested)
    title, note = wanted["title"], snakemake.params.note
    write_text(Path(snakemake.output.csv), table.to_csv(index=False))
    write_text(Path(snakemake.output.md), to_markdown(table, title, note, rules))
    write_text(
        Path(snakemake.output.tex), to_latex(table, snakemake.wildcards.table, title, note, rules)
    )


def check_tested(table: pandas.DataFrame, tested: int) -> None:
    """Raise ValueError where a row's scores are not of as many scans as the plan's."""
    other = table[(table["seeds"] > 0) & (table["scans"] != tested)]
    for row in other.to_dict("records"):
        raise ValueError(
            f"{row['method']}, {row['labelled']} labelled, {row['selection']}: scores of "
            f"{row['scans']} scans, where {tested} are tested: a score file was cut; delete it, "
            "and its run is evaluated anew"
        )


if "snakemake" in globals():
    main(globals()["snakemake"])
