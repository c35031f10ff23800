"""Draw each test scan's Dice under each method."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgrs_core.log import log_to
from sgrs_core.reporting.figures.paired_scores import draw_paired_scores
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.scores import dice_by_title

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    rows: dict[int, list[Any]] = {}
    for row in snakemake.params.lines:
        rows.setdefault(row["labelled"], []).append(row)
    scores = {labelled: dice_by_title(lines) for labelled, lines in rows.items()}
    save(draw_paired_scores(scores), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
