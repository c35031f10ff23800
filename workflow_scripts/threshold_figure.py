"""Draw the four metrics over the swept entropy threshold."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.threshold import draw_threshold_sweep, threshold_sweep

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    sweep = threshold_sweep(snakemake.params.lines)
    save(draw_threshold_sweep(sweep), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
