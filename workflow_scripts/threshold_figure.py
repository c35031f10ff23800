"""Draw the four metrics over the swept entropy threshold."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.threshold import draw_threshold_sweep
from sgrs_core.reporting.scores import read_scores, summarise

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    rows = [
        {
            "tau": row["tau"],
            "labelled": row["labelled"],
            **summarise(read_scores(row["scores"]), "strict"),
        }
        for row in snakemake.params.lines
    ]
    save(draw_threshold_sweep(pandas.DataFrame(rows)), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
