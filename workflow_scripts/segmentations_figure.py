"""Draw predictions beside ground truth, for a case of each number of labelled scans."""

from typing import TYPE_CHECKING

from sgrs_core.reporting.figures.segmentations import draw_segmentations
from workflow_scripts.scans_figure import draw_scans

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    draw_scans(snakemake, draw_segmentations)


if "snakemake" in globals():
    main(globals()["snakemake"])
