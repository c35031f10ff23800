"""What trainings log over their iterations: several runs side by side, or one run in full."""

import io
from collections.abc import Mapping
from itertools import cycle
from typing import Any, Literal, NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.rcsetup import cycler
from pandas import DataFrame, Series

from sgrs_core.reporting.figures.style import FULL_WIDTH, LETTER, LINES, new_figure, settle, styled

SMOOTHED_SHARE = 0.05  # of the run: what one point of a smoothed line averages
DASHES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
HANDLE_WIDTH = 0.55  # inches of a legend's line, and between its entries
REPORT_HEIGHT = 3.4  # inches, with the legends
REPORT_POINTS = 100  # of a line, at most
SHARES = "weight|pseudo_label_dice|.*_fraction"  # of what is logged: between 0 and 1


class Panel(NamedTuple):
    """Some columns of logs, each with what a reader calls it, and the factor to their unit."""

    label: str
    factor: int
    names: Mapping[str, str]


PANELS = (
    Panel("loss", 1, {"loss": "loss"}),
    Panel("pseudo labels' Dice (%)", 100, {"pseudo_label_dice": "pseudo labels' Dice"}),
    Panel(
        "share of voxels (%)",
        100,
        {
            "omega_fraction": "Ω consistent",
            "theta_fraction": "Θ inconsistent",
            "delta_fraction": "Δ disregarded",
        },
    ),
)


@styled
def draw_training_curves(logs: Mapping[str, DataFrame]) -> Figure:
    """Three panels over iterations: loss, Dice of the pseudo labels, shares of the regions.

    logs: by the run's title, with `iteration`, `loss`, and what its method logs. Thin lines are the
    log, thick ones its running mean. A panel shows the runs that log its quantity: V-Net has no
    pseudo labels, and only SGRS-Net has its three regions.
    """
    colours = dict(zip(logs, cycle(LINES), strict=False))
    figure = new_figure(FULL_WIDTH, 6.0)
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, panel in zip(panels, PANELS, strict=True):
        _draw_panel(axes, panel, logs, colours)
    panels[-1].set_xlabel("iteration")
    handles = [Line2D([], [], color=colour, label=title) for title, colour in colours.items()]
    longest = max(map(len, logs)) * LETTER + HANDLE_WIDTH
    columns = min(len(handles), max(1, int(FULL_WIDTH / longest)))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)
    return figure


@styled
def draw_run(log: DataFrame) -> Figure:
    """One run for the report: loss terms on the left, shares on the right if it logs any.

    log: with the column `iteration` and one per logged value. Of long logs, each point is the mean
    of as many neighbours as leave at most REPORT_POINTS.
    """
    shown = thinned(log).set_index("iteration")
    is_share = shown.columns.str.fullmatch(SHARES)
    parts = {
        "loss terms": shown.loc[:, ~is_share],
        "shares, pseudo-label Dice": shown.loc[:, is_share],
    }
    parts = {title: part for title, part in parts.items() if len(part.columns)}
    figure = new_figure(FULL_WIDTH, REPORT_HEIGHT)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        axes.set_prop_cycle(cycler(linestyle=DASHES) * cycler(color=LINES))
        for name, values in part.items():
            axes.plot(values, label=str(name).replace("_", " "))
        axes.set(title=title, xlabel="iteration")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return figure


@styled
def to_svg(figure: Figure) -> bytes:
    """The figure as a small SVG file: letters stay letters, and no date is in it."""
    file = io.BytesIO()
    settle(figure)
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def smoothed(values: "Series[float]") -> "Series[float]":
    """The centred running mean over 5% of the values; at the ends over those there are.

    Blank where the log is: a method with two stages logs some quantities in one of them alone.
    """
    width = max(1, round(SMOOTHED_SHARE * len(values)))
    return values.rolling(width, center=True, min_periods=1).mean().where(values.notna())


def thinned(log: DataFrame) -> DataFrame:
    """The log with at most REPORT_POINTS rows, each the mean of neighbours."""
    together = -(-len(log) // REPORT_POINTS) or 1
    rows = log.reset_index(drop=True)
    return rows.groupby(rows.index // together).mean()


def _draw_panel(
    axes: Axes, panel: Panel, logs: Mapping[str, DataFrame], colours: Mapping[str, str]
) -> None:
    """Some quantities of each run that logs them: as logged, and smoothed."""
    dashes = dict(zip(panel.names, DASHES, strict=False))
    for title, log in logs.items():
        for name in log.columns.intersection(list(panel.names)):
            values = log[name] * panel.factor
            look: dict[str, Any] = {"color": colours[title], "linestyle": dashes[name]}
            axes.plot(log["iteration"], values, linewidth=0.4, alpha=0.4, **look)
            axes.plot(log["iteration"], smoothed(values), **look)
    axes.set_ylabel(panel.label)
    axes.margins(x=0.01)
    if not axes.lines:
        axes.text(0.5, 0.5, "no run logs it", transform=axes.transAxes, ha="center")
    elif len(panel.names) > 1:
        handles = [
            Line2D([], [], color="0.3", linestyle=dashes[name], label=meaning)
            for name, meaning in panel.names.items()
        ]
        # Above the axes, where no line can lie.
        axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles))
