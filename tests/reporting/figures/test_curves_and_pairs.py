"""The curves are the logs, the pairs are the scans; what is not there is said, not drawn."""

import numpy as np
import pytest
from pandas import DataFrame

from sgrs_core.reporting.figures.curves import draw_curves
from sgrs_core.reporting.figures.paired_scores import draw_paired_scores
from sgrs_core.reporting.figures.training_curves import Curve, draw_training_curves, smoothed
from sgrs_core.reporting.statistics import mean_interval


def log(*columns: str) -> DataFrame:
    iterations = np.arange(10, 1010, 10)
    values = {name: np.random.default_rng(0).uniform(size=100) for name in columns}
    return DataFrame({"iteration": iterations, **values})


VNET = Curve("V-Net", log("loss"))
SGRS = Curve(
    "SGRS-Net",
    log("loss", "pseudo_label_dice", "omega_fraction", "theta_fraction", "delta_fraction"),
)


def test_each_panel_shows_the_runs_that_log_its_quantity():
    loss, pseudo_labels, regions = draw_training_curves([VNET, SGRS]).axes
    assert len([line for line in loss.lines if len(line.get_xdata())]) == 4
    assert len([line for line in pseudo_labels.lines if len(line.get_xdata())]) == 2
    assert len([line for line in regions.lines if len(line.get_xdata())]) == 6
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), VNET.log[["iteration", "loss"]])


def test_a_panel_that_no_run_has_numbers_for_says_so():
    _, pseudo_labels, regions = draw_training_curves([VNET]).axes
    assert [text.get_text() for text in pseudo_labels.texts] == ["no run logs it"]
    assert [text.get_text() for text in regions.texts] == ["no run logs it"]


@pytest.mark.parametrize("number", [0, 6])
def test_more_runs_than_colours_are_refused(number):
    with pytest.raises(ValueError, match="allowed are 1 to 5"):
        draw_training_curves([VNET] * number)


def test_smoothing_keeps_a_constant_and_the_length():
    values = DataFrame({"loss": np.full(200, 0.5)})["loss"]
    np.testing.assert_allclose(smoothed(values), 0.5)


def test_no_line_is_drawn_where_the_log_is_blank():
    two_stages = log("loss", "pseudo_label_dice")
    two_stages.loc[:49, "pseudo_label_dice"] = np.nan
    _, pseudo_labels, _ = draw_training_curves([Curve("BCP", two_stages)]).axes
    for line in pseudo_labels.lines:
        drawn = np.isfinite(line.get_ydata())
        assert not drawn[:50].any()
        assert drawn[50:].all()
    *_, shares = draw_curves(two_stages).axes
    (line,) = shares.lines
    assert np.isfinite(line.get_ydata()).sum() == 50


@pytest.fixture
def scores() -> DataFrame:
    values = np.random.default_rng(0).uniform(40, 90, (20, 2))
    return DataFrame(values, columns=["V-Net", "SGRS-Net"])


def test_each_scan_is_a_line_and_each_method_has_its_mean_and_interval(scores):
    few, many = draw_paired_scores({4: scores, 8: scores}).axes
    for axes in (few, many):
        scans = [line for line in axes.lines if line.get_color() == "0.7"]
        np.testing.assert_array_equal([line.get_ydata() for line in scans], scores)
        means = [text.get_text() for text in axes.texts]
        assert means == [f"{mean:.1f}" for mean in scores.mean()]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["V-Net", "SGRS-Net"]
        (bars, *_), low = axes.containers[0], mean_interval(scores["V-Net"])[0]
        assert bars.get_ydata() == scores["V-Net"].mean()
        assert axes.containers[0].lines[2][0].get_segments()[0][0, 1] == pytest.approx(low)


def test_without_runs_there_is_no_figure():
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_paired_scores({})
