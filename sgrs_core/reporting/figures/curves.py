"""A training's course: its loss terms, and what it logs as shares, over the iterations."""

import io
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from sgrs_core.reporting.figures.style import FULL_WIDTH, LINES, new_figure, settle, styled

HEIGHT = 3.4  # inches, with the legends
POINTS = 100  # of a line, at most
DASHES = ("-", "--", ":")
SHARES = ("weight", "pseudo_label_dice")  # and what ends with _fraction: between 0 and 1


@styled
def draw_curves(log: DataFrame) -> Figure:
    """Loss terms on the left, shares on the right if the method logs any.

    log: a run's log.csv, with the column `iteration` and one per logged value. Of long logs, each
    point is the mean of as many neighbours as leave at most POINTS.
    """
    shown = thinned(log)
    logged = [str(name) for name in shown if name != "iteration"]
    shares = [name for name in logged if name in SHARES or name.endswith("_fraction")]
    terms = [name for name in logged if name not in shares]
    panels = [(terms, "loss terms"), (shares, "shares, pseudo-label Dice")]
    panels = [panel for panel in panels if panel[0]]
    figure = new_figure(FULL_WIDTH, HEIGHT)
    for axes, (names, title) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        _draw(axes, shown, names, title)
    return figure


@styled
def to_svg(figure: Figure) -> bytes:
    """The figure as a small SVG file: letters stay letters, and no date is in it."""
    file = io.BytesIO()
    settle(figure)
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def thinned(log: DataFrame) -> DataFrame:
    """The log with at most POINTS rows, each the mean of neighbours."""
    together = -(-len(log) // POINTS) or 1
    rows = log.reset_index(drop=True)
    return rows.groupby(rows.index // together).mean()


def _draw(axes: Axes, log: DataFrame, names: Sequence[str], title: str) -> None:
    for place, name in enumerate(names):
        axes.plot(
            log["iteration"],
            log[name],
            color=LINES[place % len(LINES)],
            linestyle=DASHES[place // len(LINES) % len(DASHES)],
            label=name.replace("_", " "),
        )
    axes.set_title(title)
    axes.set_xlabel("iteration")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
