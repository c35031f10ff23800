"""Scores over the entropy threshold tau: the paper's Figure 4."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from sgrs_core.evaluation.units import HEADINGS, METRICS
from sgrs_core.experiment.settings import PUBLISHED_TAU
from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, MARKERS, new_figure, styled


@styled
def draw_threshold_sweep(sweep: DataFrame) -> Figure:
    """Four panels, one for each metric, with one line for each number of labelled scans.

    sweep: one row per point, columns `tau`, `labelled` (int), `dice`, `jaccard` (per cent), `hd95`
    and `asd` (voxels). NaN values are left out, and counted under their panel.
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
        axes.plot(defined["tau"], defined[metric], label=f"{labelled} labelled scans")
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
