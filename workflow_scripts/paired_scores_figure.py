"""Draw each test scan's Dice under each method."""

from pathlib import Path

import pandas

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.paired_scores import draw_paired_scores
from sgrs_core.reporting.figures.style import save


def main(snakemake):
    log_to(snakemake.log[0])
    scores = {}
    for line in snakemake.params.lines:
        dice = pandas.read_csv(line["scores"], index_col="scan")["dice"] * 100
        scores.setdefault(line["labelled"], {})[line["title"]] = dice
    tables = {labelled: pandas.DataFrame(columns) for labelled, columns in scores.items()}
    save(draw_paired_scores(tables), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
