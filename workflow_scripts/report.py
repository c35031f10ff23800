"""Write the experiment's report, one HTML file that needs nothing else, and its findings apart."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.html.page import build_report

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    report = build_report(
        snakemake.params.contents,
        [Path(file) for file in snakemake.input.pages],
        first(snakemake.input.get("gain")),
        first(snakemake.input.get("cost")),
        first(snakemake.input.get("cases")),
    )
    write_text(Path(snakemake.output.findings), report.findings)
    write_text(Path(snakemake.output.html), report.html)


def first(files: Any) -> Path | None:
    """The first of an input's files, of which there may be none or one alone."""
    files = [files] if isinstance(files, str) else list(files or [])
    return Path(files[0]) if files else None


if "snakemake" in globals():
    main(globals()["snakemake"])
