"""Prepare one scan: from original or mirrored files to the h5 file that training reads."""

from pathlib import Path

from sgrs_core.data.prepare import prepare_mirrored, prepare_raw
from sgrs_core.log import log_to


def main(snakemake):
    log_to(snakemake.log[0])
    scan, output = snakemake.wildcards.scan, Path(snakemake.output.volume)
    factor, spacing = snakemake.params.downsample, tuple(snakemake.params.spacing)
    source = Path(snakemake.input[0])
    if snakemake.params.source in ("phantom", "raw"):
        prepare_raw(source.parent, scan, factor, output)
    elif snakemake.params.source == "local":
        prepare_mirrored(source, spacing, factor, output)
    else:
        prepare_mirrored(source.parent / scan / "mri_norm2.h5", spacing, factor, output)


if "snakemake" in globals():
    main(globals()["snakemake"])
