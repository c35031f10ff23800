"""Write an experiment's phantom scans in the challenge's layout."""

from pathlib import Path

from sgrs_core.data.phantom import write_phantom_la
from sgrs_core.log import log_to


def main(snakemake):
    log_to(snakemake.log[0])
    phantom = snakemake.params.phantom
    images = snakemake.output.scans[::2]  # image and label alternate
    for scan, image in zip(snakemake.params.scans, images, strict=True):
        write_phantom_la(Path(image).parent, scan, tuple(phantom["shape"]), phantom["seed"])


if "snakemake" in globals():
    main(globals()["snakemake"])
