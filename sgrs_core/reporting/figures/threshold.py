"""Scores over the entropy threshold tau: the paper's Figure 4."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, MARKERS, new_figure, styled

PUBLISHED_TAU = 0.296
QUANTITIES = {
    "dice": "Dice (%)",
    "jaccard": "Jaccard (%)",
    "hd95": "95HD (voxels)",
    "asd": "ASD (voxels)",
}


@styled
def draw_threshold_sweep(sweep: DataFrame) -> Figure:
    """Four panels, one for each metric, with one line for each number of labelled scans.

    sweep: one row per point, columns `tau`, `labelled` (int), `dice`, `jaccard` (per cent), `hd95`
    and `asd` (voxels). NaN values are left out, and counted under their panel. A column
    `<metric>_spread` (same unit; NaN where unknown) gives that metric error bars. Raises ValueError
    for a sweep without rows or without one of the columns.
    """
    check_sweep(sweep)
    figure = new_figure(FULL_WIDTH, 4.4)
    panels = figure.subplots(2, 2, sharex=True)
    for axes, metric in zip(panels.flat, QUANTITIES, strict=True):
        draw_metric(axes, sweep, metric)
        axes.tick_params(labelbottom=True)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure


def draw_metric(axes: Axes, sweep: DataFrame, metric: str) -> None:
    """One panel: the metric over tau, the published threshold, and a count of undefined values."""
    lines = sweep.sort_values("tau").groupby("labelled")
    looks = zip(LINES, MARKERS, strict=True)
    for (labelled, line), (colour, marker) in zip(lines, looks, strict=False):
        defined = line[line[metric].notna()]
        axes.errorbar(
            defined["tau"],
            defined[metric],
            yerr=defined.get(f"{metric}_spread"),
            color=colour,
            marker=marker,
            label=f"{labelled} labelled scans",
        )
    mark_published(axes)
    axes.set_ylabel(QUANTITIES[metric])
    axes.set_xlabel("entropy threshold τ" + undefined_note(int(sweep[metric].isna().sum())))


def mark_published(axes: Axes) -> None:
    """A dotted line at the paper's threshold, named above the axes where no data can lie."""
    axes.axvline(PUBLISHED_TAU, color="0.4", linestyle=":", linewidth=1)
    axes.annotate(
        f"τ = {PUBLISHED_TAU} (paper)",
        xy=(PUBLISHED_TAU, 1),
        xycoords=axes.get_xaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        color="0.3",
    )


def undefined_note(count: int) -> str:
    """What to add below the axis: nothing where every value is defined."""
    if not count:
        return ""
    return f"\n({count} undefined {'value' if count == 1 else 'values'} not drawn)"


def check_sweep(sweep: DataFrame) -> None:
    """Raise ValueError unless there are rows, with every column needed, on lines to tell apart."""
    missing = [name for name in ("tau", "labelled", *QUANTITIES) if name not in sweep]
    if missing:
        raise ValueError(f"the sweep lacks the columns {', '.join(missing)}")
    if sweep.empty:
        raise ValueError("the sweep has no rows, so there is nothing to draw")
    if sweep["labelled"].nunique() > len(LINES):
        raise ValueError(f"the sweep has more than {len(LINES)} numbers of labelled scans")
