"""Check the prepared scans of a part of a data set, and list them with their digests."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.data.prepared import list_prepared
from sgrs_core.log import log_to

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    files = [Path(file) for file in snakemake.input.volumes]
    others = [Path(file) for file in snakemake.params.others]
    list_prepared(Path(snakemake.output.digests), files, snakemake.params.labelled, others)


if "snakemake" in globals():
    main(globals()["snakemake"])
