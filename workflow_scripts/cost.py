"""Write what the tables cost as CSV and Markdown, from records and benchmark files."""

from pathlib import Path

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.costs import cost_table, to_markdown


def main(snakemake):
    log_to(snakemake.log[0])
    lines = snakemake.params.lines
    texts = {
        snakemake.output.csv: cost_table(lines).to_csv(index=False),
        snakemake.output.md: to_markdown(lines, snakemake.params.note),
    }
    for path, text in texts.items():
        write_text(Path(path), text)


if "snakemake" in globals():
    main(globals()["snakemake"])
