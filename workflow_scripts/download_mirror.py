"""Download a data set's prepared files and check each against its digest."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.data.download.transfer import download_all, mirror_files
from sgrs_core.digests import read_digests, write_digests
from sgrs_core.files import exclusive_lock
from sgrs_core.log import log_to

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    complete = Path(snakemake.output.complete)
    digests = read_digests(Path(snakemake.params.digests))
    # Experiments may share the folder.
    with exclusive_lock(complete.parent, wait=True):
        download_all(mirror_files(snakemake.params.url, digests, complete.parent))
    write_digests(complete, digests)


if "snakemake" in globals():
    main(globals()["snakemake"])
