"""What a training's log shows over its iterations: loss, pseudo labels, regions."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame, Series

from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, new_figure, styled

REGIONS = {"omega_fraction": "-", "theta_fraction": "--", "delta_fraction": ":"}
REGION_NAMES = {
    "omega_fraction": "Ω consistent",
    "theta_fraction": "Θ inconsistent",
    "delta_fraction": "Δ disregarded",
}
SMOOTHED_SHARE = 0.05  # of the run: what one point of a smoothed line averages


@dataclass(frozen=True)
class Curve:
    """A run's name for the legend, and its log: `iteration`, `loss`, and what its method logs."""

    title: str
    log: DataFrame


@styled
def draw_training_curves(curves: Sequence[Curve]) -> Figure:
    """Three panels over iterations: loss, Dice of the pseudo labels, shares of the regions.

    Thin lines are the log, thick ones its running mean. A panel shows the runs that log its
    quantity: V-Net has no pseudo labels, and only SGRS-Net has its three regions. Raises ValueError
    for no run, or more than there are colours to tell apart.
    """
    if not 0 < len(curves) <= len(LINES):
        raise ValueError(f"training curves of {len(curves)} runs: allowed are 1 to {len(LINES)}")
    figure = new_figure(FULL_WIDTH, 6.0)
    panels = figure.subplots(3, 1, sharex=True)
    for curve, colour in zip(curves, LINES, strict=False):
        draw_line(panels[0], curve, "loss", colour, title=curve.title)
        draw_line(panels[1], curve, "pseudo_label_dice", colour, factor=100)
        for region, dashes in REGIONS.items():
            draw_line(panels[2], curve, region, colour, factor=100, dashes=dashes)
    panels[0].set_ylabel("loss")
    panels[1].set_ylabel("pseudo labels' Dice (%)")
    panels[2].set_ylabel("share of voxels (%)")
    panels[2].set_xlabel("iteration")
    for axes in panels:
        axes.margins(x=0.01)
    if any(region in curve.log for curve in curves for region in REGIONS):
        keys = [
            panels[2].plot([], [], color="0.3", linestyle=dashes, label=REGION_NAMES[region])[0]
            for region, dashes in REGIONS.items()
        ]
        panels[2].legend(handles=keys, loc="center right")
    for axes, name in ((panels[1], "pseudo_label_dice"), (panels[2], "omega_fraction")):
        if not any(name in curve.log for curve in curves):
            axes.text(0.5, 0.5, "no run logs it", transform=axes.transAxes, ha="center")
    handles, titles = panels[0].get_legend_handles_labels()
    figure.legend(handles, titles, loc="outside upper center", ncols=len(curves))
    return figure


def draw_line(
    axes: Axes,
    curve: Curve,
    name: str,
    colour: str,
    *,
    factor: float = 1.0,
    dashes: str = "-",
    title: str | None = None,
) -> None:
    """One quantity of one run, if its log has it: as logged, and smoothed."""
    if name not in curve.log:
        return
    iteration, values = curve.log["iteration"], curve.log[name] * factor
    axes.plot(iteration, values, color=colour, linestyle=dashes, linewidth=0.4, alpha=0.4)
    axes.plot(iteration, smoothed(values), color=colour, linestyle=dashes, label=title)


def smoothed(values: "Series[float]") -> "Series[float]":
    """The centred running mean over 5% of the values; at the ends over those there are.

    Blank where the log is: a method with two stages logs some quantities in one of them alone.
    """
    width = max(1, round(SMOOTHED_SHARE * len(values)))
    return values.rolling(width, center=True, min_periods=1).mean().where(values.notna())
