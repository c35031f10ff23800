"""Write a data set's phantom scans in its original format."""

from pathlib import Path

from sgrs_core.log import log_to
from sgrs_core.phantoms.brats2019 import write_phantom_brats2019
from sgrs_core.phantoms.la import write_phantom_la
from sgrs_core.phantoms.pancreas import write_phantom_pancreas

WRITERS = {
    "la": write_phantom_la,
    "pancreas": write_phantom_pancreas,
    "brats2019": write_phantom_brats2019,
}


def main(snakemake):
    log_to(snakemake.log[0])
    phantom, folder = snakemake.params.phantom, Path(snakemake.output.scans)
    settings = {key: phantom[key] for key in ("shape", "spacing", "seed")}
    if settings["spacing"] is None:  # the format has its own
        del settings["spacing"]
    for scan in snakemake.params.scans:
        WRITERS[snakemake.params.form](folder, scan, **settings)


if "snakemake" in globals():
    main(globals()["snakemake"])
