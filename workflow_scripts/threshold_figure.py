"""Draw the four metrics over the swept entropy threshold."""

from pathlib import Path

import pandas

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.threshold import PUBLISHED_TAU, draw_threshold_sweep
from sgrs_core.reporting.scores import summarise


def main(snakemake):
    log_to(snakemake.log[0])
    rows = [
        {
            "tau": line["settings"].get("tau", PUBLISHED_TAU),
            "labelled": line["labelled"],
            **summarise(pandas.read_csv(line["scores"]), "strict"),
        }
        for line in snakemake.params.lines
    ]
    save(draw_threshold_sweep(pandas.DataFrame(rows)), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
