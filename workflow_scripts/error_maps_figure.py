"""Draw what each method finds, adds and misses of the ground truth."""

from typing import TYPE_CHECKING

from sgrs_core.reporting.figures.error_maps import draw_error_maps
from workflow_scripts.scans_figure import draw_scans

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    draw_scans(snakemake, draw_error_maps)


if "snakemake" in globals():
    main(globals()["snakemake"])
