"""Write a data set's phantom scans in its original format."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.log import log_to
from sgrs_core.phantoms.brats2019 import write_phantom_brats2019
from sgrs_core.phantoms.la import write_phantom_la
from sgrs_core.phantoms.pancreas import write_phantom_pancreas

if TYPE_CHECKING:
    from snakemake.script import Snakemake

WRITERS: dict[str, Callable[..., object]] = {
    "la": write_phantom_la,
    "pancreas": write_phantom_pancreas,
    "brats2019": write_phantom_brats2019,
}


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    phantom, folder = snakemake.params.phantom, Path(snakemake.output.scans)
    settings = {key: phantom[key] for key in ("shape", "spacing", "seed")}
    if settings["spacing"] is None:  # the format has its own
        del settings["spacing"]
    for scan in snakemake.params.scans:
        WRITERS[snakemake.params.form](folder, scan, **settings)


if "snakemake" in globals():
    main(globals()["snakemake"])
