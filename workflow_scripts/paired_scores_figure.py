"""Draw each test scan's Dice under each method."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.paired_scores import draw_paired_scores
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.titles import with_distinct_titles

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    scores: dict[int, dict[str, pandas.Series[float]]] = {}
    for row in with_distinct_titles(snakemake.params.lines):
        dice = pandas.read_csv(row["scores"], index_col="scan")["dice"] * 100
        scores.setdefault(row["labelled"], {})[row["title"]] = dice
    tables = {labelled: pandas.DataFrame(columns) for labelled, columns in scores.items()}
    save(draw_paired_scores(tables), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
