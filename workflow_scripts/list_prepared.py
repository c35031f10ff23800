"""List the prepared scans of a part of a data set, with their digests."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.digests import list_files
from sgrs_core.log import log_to

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    list_files(Path(snakemake.output.digests), map(Path, snakemake.input.volumes))


if "snakemake" in globals():
    main(globals()["snakemake"])
