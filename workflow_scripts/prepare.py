"""Prepare one scan: from original or mirrored files to the h5 file that training reads."""

from pathlib import Path

from sgrs_core.data.prepare import prepare_mirrored, prepare_raw
from sgrs_core.log import log_to


def main(snakemake):
    log_to(snakemake.log[0])
    scan, output = snakemake.wildcards.scan, Path(snakemake.output.volume)
    factor, spacing = snakemake.params.downsample, tuple(snakemake.params.spacing)
    if "image" in snakemake.input:
        prepare_raw(Path(snakemake.input.image).parent, scan, factor, output)
    elif "prepared" in snakemake.input:
        prepare_mirrored(Path(snakemake.input.prepared), spacing, factor, output)
    else:
        mirrored = Path(snakemake.input.complete).parent / scan / "mri_norm2.h5"
        prepare_mirrored(mirrored, spacing, factor, output)


if "snakemake" in globals():
    main(globals()["snakemake"])
