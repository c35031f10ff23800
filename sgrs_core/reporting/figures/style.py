"""What all figures share: type, colours, and how they are written.

Figures are made without pyplot: no window opens and none stays registered, so nothing needs
closing.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sgrs_core.files import atomic

# The paper's red and green, for colour-blind readers too: vermillion, and a green so bright that
# lightness tells them apart. A bluish green would do that by hue, but look grey on a grey scan.
GROUND_TRUTH = "#D55E00"
PREDICTION = "#3DDC3D"
# Okabe and Ito's colours for colour-blind readers, and a marker for each.
LINES = ("#0072B2", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v")

FULL_WIDTH = 7.2  # inches, of a page's text
SMALL, NORMAL = 8, 9  # points
LETTER, LINE = 0.075, 0.15  # inches, about a letter's width, and a line's height
LAYOUT_PASSES = 3  # matplotlib moves the axes of nested figures at each drawing, then no more

# Pictures in a vector file get more pixels, as it will be enlarged. No dates, so that the same
# figure gives the same bytes.
FORMATS: dict[str, dict[str, Any]] = {
    ".pdf": {"dpi": 300, "metadata": {"CreationDate": None}},
    ".png": {"dpi": 200},
    ".svg": {"dpi": 300, "metadata": {"Date": None}},
}

# A decorator: the function draws in this style.
styled = matplotlib.rc_context(
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
        "font.size": SMALL,
        "text.parse_math": False,  # a scan's name may hold dollars
        "axes.titlesize": SMALL,
        "axes.labelsize": SMALL,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.titlesize": NORMAL,
        "figure.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "legend.frameon": False,
        "lines.linewidth": 1.2,
        "lines.markersize": 4,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "pdf.fonttype": 42,  # TrueType: publishers reject matplotlib's Type 3
        "svg.hashsalt": "sgrs",  # else the ids in the file are random
    }
)


@styled
def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many inches, which makes room for what is drawn in it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def height_of(texts: Sequence[str]) -> float:
    """Inches that the longest of some texts needs."""
    return LINE * (1 + max((text.count("\n") for text in texts), default=0))


@styled
def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write the figure to each path, in the format of its suffix, whole or not at all.

    Raises ValueError, before writing anything, for a suffix other than .pdf, .png or .svg.
    """
    for path in paths:
        if path.suffix not in FORMATS:
            raise ValueError(f"{path}: figures are written as {', '.join(FORMATS)}")
    settle(figure)
    for path in paths:
        with atomic(path) as temporary:
            figure.savefig(temporary, **FORMATS[path.suffix])


def settle(figure: Figure) -> None:
    """Let the layout come to rest and keep it, so that all formats and further copies are alike."""
    for _ in range(LAYOUT_PASSES):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
