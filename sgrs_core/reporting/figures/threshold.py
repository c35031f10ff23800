"""Scores over the entropy threshold tau: the paper's Figure 4."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from sgrs_core.evaluation.units import HEADINGS, METRICS
from sgrs_core.experiment.settings import PUBLISHED_TAU
from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, MARKERS, new_figure, styled
from sgrs_core.reporting.scores import gather, read_seeds


def threshold_sweep(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """What `draw_threshold_sweep` draws, of rows as `Layout.lines_of_figure` gives them.

    A score is the mean over seeds and scans, its `<metric>_spread` the standard deviation of the
    seeds' means (with folds, of those of each seed and fold), as in a table under `strict`.
    """
    points = []
    for row in rows:
        scores = gather(read_seeds(row["scores_of_all"], row["folds"]), "strict")
        point = {"tau": row["tau"], "labelled": row["labelled"]}
        for metric in METRICS:
            point[metric] = scores.of(metric).mean()
            point[f"{metric}_spread"] = scores.spread_of(metric)
        points.append(point)
    return DataFrame(points)


@styled
def draw_threshold_sweep(sweep: DataFrame) -> Figure:
    """Four panels, one for each metric, with one line for each number of labelled scans.

    sweep: one row per point, columns `tau`, `labelled` (int), `dice`, `jaccard` (per cent), `hd95`
    and `asd` (voxels). NaN values are left out, and counted under their panel. A column
    `<metric>_spread` (same unit; NaN where unknown) gives that metric error bars.
    """
    figure = new_figure(FULL_WIDTH, 4.4)
    panels = figure.subplots(2, 2, sharex=True)
    for axes, metric in zip(panels.flat, METRICS, strict=True):
        draw_metric(axes, sweep, metric)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def draw_metric(axes: Axes, sweep: DataFrame, metric: str) -> None:
    """One panel: the metric over tau, the published threshold, and a count of undefined values."""
    axes.set_prop_cycle(color=LINES, marker=MARKERS)
    for labelled, curve in sweep.sort_values("tau").groupby("labelled"):
        defined = curve[curve[metric].notna()]
        drawn = axes.plot(defined["tau"], defined[metric], label=f"{labelled} labelled scans")
        if (spread := defined.get(f"{metric}_spread")) is not None:
            place = defined["tau"], defined[metric]
            axes.errorbar(*place, spread, fmt="none", ecolor=drawn[0].get_color(), capsize=2)
    axes.axvline(PUBLISHED_TAU, color="0.4", linestyle=":", linewidth=1, zorder=1)
    axes.annotate(  # above the axes, where no data can lie
        f"τ = {PUBLISHED_TAU} (paper)",
        xy=(PUBLISHED_TAU, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        color="0.3",
    )
    undefined = sweep[metric].isna().sum()
    values = "value" if undefined == 1 else "values"
    note = f"\n({undefined} undefined {values} not drawn)" if undefined else ""
    axes.set(xlabel=f"entropy threshold τ{note}", ylabel=HEADINGS[metric])
    axes.tick_params(labelbottom=True)
