"""Draw what the logs of some runs show over their iterations."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.training_curves import draw_training_curves

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    logs = {
        f"{row['title']}, {row['labelled']} labelled": pandas.read_csv(row["log"])
        for row in snakemake.params.lines
    }
    save(draw_training_curves(logs), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
