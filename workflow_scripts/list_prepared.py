"""List the prepared scans of a part of a data set, with their digests."""

from pathlib import Path

from sgrs_core.digests import list_files
from sgrs_core.log import log_to


def main(snakemake):
    log_to(snakemake.log[0])
    list_files(Path(snakemake.output.digests), map(Path, snakemake.input.volumes))


if "snakemake" in globals():
    main(globals()["snakemake"])
