"""Each test scan's Dice under each method: whether a mean's gain is every scan's or a few ones'."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from sgrs_core.reporting.figures.style import FULL_WIDTH, LETTER, LINES, new_figure, styled
from sgrs_core.reporting.statistics import mean_interval

NUMBER_WIDTH = 0.42  # inches that a mean needs beside its neighbours
PAD, PAD_UPRIGHT = 14, 28  # points between the axes and the title, over the means


@styled
def draw_paired_scores(scores: Mapping[int, DataFrame]) -> Figure:
    """One panel for each number of labelled scans; in it a grey line for each scan.

    scores: for each number of labelled scans a table of Dice in per cent, one row for each scan
    (the index), one column for each method (its title). A method's mean has Student's 95%
    interval.
    """
    methods = max(len(table.columns) for table in scores.values())
    figure = new_figure(FULL_WIDTH, 3.2 if methods <= 5 else 4.0)
    panels = figure.subplots(1, len(scores), sharey=True, squeeze=False)[0]
    width = FULL_WIDTH / len(scores)
    upright = width / methods < NUMBER_WIDTH
    for axes, (labelled, table) in zip(panels, scores.items(), strict=True):
        draw_scans(axes, table, width)
        for place, mean in enumerate(table.mean()):
            axes.annotate(  # above the axes, where no scan's line can lie
                f"{mean:.1f}",
                (place, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                rotation=90 if upright else 0,
                color=LINES[0],
            )
        axes.set_title(f"{labelled} labelled scans", pad=PAD_UPRIGHT if upright else PAD)
    panels[0].set_ylabel("Dice (%)")
    return figure


def draw_scans(axes: Axes, table: DataFrame, width: float) -> None:
    """A line for each scan from method to method, and each method's mean with its interval.

    width: of the panel in inches, which the methods' names may need more of than there is.
    """
    places, means = range(len(table.columns)), table.mean()
    axes.plot(places, table.T, color="0.7", linewidth=0.5, marker=".", markersize=3)
    reach = np.abs(mean_interval(table.T) - means.to_numpy())
    axes.errorbar(
        places, means, yerr=reach, color=LINES[0], linestyle="", marker="o", capsize=3, zorder=3
    )
    longest = max(map(len, table.columns)) * LETTER
    steep = len(places) > 3 or len(places) * longest > width
    axes.set_xticks(
        places, table.columns, rotation=40 if steep else 0, ha="right" if steep else "center"
    )
    axes.set_xlim(-0.4, len(places) - 0.4)
