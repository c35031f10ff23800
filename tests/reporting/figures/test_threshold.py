"""Figure 4: the lines are the data, and what is undefined is left out and counted."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from pandas import DataFrame

from sgrs_core.evaluation.scoring import write_scores
from sgrs_core.evaluation.units import METRICS
from sgrs_core.experiment.settings import PUBLISHED_TAU
from sgrs_core.reporting.figures.style import save
from sgrs_core.reporting.figures.threshold import draw_threshold_sweep, threshold_sweep


@pytest.fixture
def sweep() -> DataFrame:
    """Two lines of three points, out of order."""
    return DataFrame(
        {
            "tau": [0.301, 0.1, 0.296, 0.1, 0.296, 0.301],
            "labelled": [4, 4, 4, 8, 8, 8],
            "dice": [80.0, 70.0, 82.0, 75.0, 88.0, 86.0],
            "jaccard": [70.0, 60.0, 72.0, 65.0, 78.0, 76.0],
            "hd95": [12.0, 20.0, 11.0, 15.0, 7.0, 8.0],
            "asd": [3.0, 6.0, 2.5, 4.0, 1.8, 2.0],
        }
    )


def lines_of(axes: Axes) -> dict[str, Line2D]:
    """The data's lines by label."""
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    return {label: line for label, line in lines.items() if label.endswith("labelled scans")}


def points_of(axes: Axes, labelled: int) -> NDArray[np.float64]:
    """(N, 2): tau and score of each drawn point."""
    return np.asarray(lines_of(axes)[f"{labelled} labelled scans"].get_xydata())


def test_each_metric_has_a_panel_with_its_unit(sweep: DataFrame) -> None:
    panels = draw_threshold_sweep(sweep).axes

    assert [axes.get_ylabel() for axes in panels] == [
        "Dice (%)",
        "Jaccard (%)",
        "95HD (voxels)",
        "ASD (voxels)",
    ]


@pytest.mark.parametrize("labelled", [4, 8])
def test_each_line_is_the_data_in_the_order_of_tau(sweep: DataFrame, labelled: int) -> None:
    line = sweep[sweep["labelled"] == labelled].sort_values("tau")

    for axes, metric in zip(draw_threshold_sweep(sweep).axes, METRICS, strict=True):
        np.testing.assert_array_equal(points_of(axes, labelled), line[["tau", metric]])


def test_lines_differ_in_colour_and_in_marker(sweep: DataFrame) -> None:
    for axes in draw_threshold_sweep(sweep).axes:
        lines = lines_of(axes).values()
        assert len({line.get_color() for line in lines}) == 2
        assert len({line.get_marker() for line in lines}) == 2


def test_the_published_threshold_is_marked_in_each_panel(sweep: DataFrame) -> None:
    for axes in draw_threshold_sweep(sweep).axes:
        marks = [line for line in axes.get_lines() if line.get_linestyle() == ":"]
        assert [np.asarray(line.get_xdata()).tolist() for line in marks] == [2 * [PUBLISHED_TAU]]
        assert [text.get_text() for text in axes.texts] == ["τ = 0.296 (paper)"]


def test_undefined_values_are_left_out_and_counted_below_their_panel(sweep: DataFrame) -> None:
    sweep.loc[[1, 3], "hd95"] = np.nan
    sweep.loc[1, "asd"] = np.nan

    dice, _, hd95, asd = draw_threshold_sweep(sweep).axes

    assert points_of(dice, 4)[:, 0].tolist() == [0.1, 0.296, 0.301]
    assert points_of(hd95, 4)[:, 0].tolist() == [0.296, 0.301]
    assert points_of(hd95, 8)[:, 0].tolist() == [0.296, 0.301]
    assert points_of(asd, 8)[:, 0].tolist() == [0.1, 0.296, 0.301]
    assert "not drawn" not in dice.get_xlabel()
    assert "2 undefined values not drawn" in hd95.get_xlabel()
    assert "1 undefined value not drawn" in asd.get_xlabel()


@pytest.mark.filterwarnings("error")
def test_a_metric_without_any_defined_value_can_be_drawn(sweep: DataFrame, tmp_path: Path) -> None:
    sweep["asd"] = np.nan

    figure = draw_threshold_sweep(sweep)
    save(figure, [tmp_path / "figure.png"])

    assert "6 undefined values not drawn" in figure.axes[3].get_xlabel()


def test_a_point_is_the_mean_over_seeds_and_its_bar_their_deviation(tmp_path: Path) -> None:
    dice = {0: (0.6, 0.8), 1: (0.7, 0.9), 2: (0.5, 0.4)}  # of two scans, by seed
    files = []
    for seed, values in dice.items():
        files.append(str(tmp_path / f"{seed}.csv"))
        rest = {"jaccard": 0.5, "hd95": 2.0, "asd": 1.0, "empty": False, "diagonal": 50.0}
        lines = {f"scan{place}": {"dice": value, **rest} for place, value in enumerate(values)}
        write_scores(Path(files[-1]), lines)
    one = {"tau": 0.1, "labelled": 4, "folds": 1}
    several, single = threshold_sweep(
        [{**one, "scores_of_all": files}, {**one, "scores_of_all": files[:1]}]
    ).to_dict("records")

    means = 100 * np.mean(list(dice.values()), axis=1)
    assert several["dice"] == pytest.approx(means.mean())
    assert several["dice_spread"] == pytest.approx(means.std(ddof=1))
    assert single["dice"] == pytest.approx(means[0])
    assert np.isnan(single["dice_spread"])
    panel = draw_threshold_sweep(DataFrame([several])).axes[0]
    (bar,) = panel.containers[0][2][0].get_segments()
    assert np.ptp(bar[:, 1]) == pytest.approx(2 * several["dice_spread"])
