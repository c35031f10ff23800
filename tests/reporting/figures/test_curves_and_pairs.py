"""The curves are the logs, the pairs are the scans; what is not there is said, not drawn."""

import numpy as np
import pytest
from pandas import DataFrame

from sgrs_core.experiment.layout import with_distinct_titles
from sgrs_core.experiment.planning import MOST_CURVES
from sgrs_core.reporting.figures.paired_scores import draw_paired_scores
from sgrs_core.reporting.figures.style import LINES, MARKERS
from sgrs_core.reporting.figures.training_curves import draw_run, draw_training_curves, smoothed
from sgrs_core.reporting.statistics import mean_interval


def log(*columns: str) -> DataFrame:
    iterations = np.arange(10, 1010, 10)
    values = {name: np.random.default_rng(0).uniform(size=100) for name in columns}
    return DataFrame({"iteration": iterations, **values})


VNET = log("loss")
SGRS = log("loss", "pseudo_label_dice", "omega_fraction", "theta_fraction", "delta_fraction")


def test_each_panel_shows_the_runs_that_log_its_quantity():
    loss, pseudo_labels, regions = draw_training_curves({"V-Net": VNET, "SGRS-Net": SGRS}).axes
    assert len([line for line in loss.lines if len(line.get_xdata())]) == 4
    assert len([line for line in pseudo_labels.lines if len(line.get_xdata())]) == 2
    assert len([line for line in regions.lines if len(line.get_xdata())]) == 6
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), VNET[["iteration", "loss"]])


def test_a_panel_that_no_run_has_numbers_for_says_so():
    _, pseudo_labels, regions = draw_training_curves({"V-Net": VNET}).axes
    assert [text.get_text() for text in pseudo_labels.texts] == ["no run logs it"]
    assert [text.get_text() for text in regions.texts] == ["no run logs it"]


def test_a_title_longer_than_the_figure_is_wide_can_be_drawn():
    draw_training_curves({"V" * 120: VNET, "W" * 120: SGRS}).draw_without_rendering()


def test_smoothing_keeps_a_constant_and_the_length():
    values = DataFrame({"loss": np.full(200, 0.5)})["loss"]
    np.testing.assert_allclose(smoothed(values), 0.5)


def test_no_line_is_drawn_where_the_log_is_blank():
    two_stages = log("loss", "pseudo_label_dice")
    two_stages.loc[:49, "pseudo_label_dice"] = np.nan
    _, pseudo_labels, _ = draw_training_curves({"BCP": two_stages}).axes
    for line in pseudo_labels.lines:
        drawn = np.isfinite(line.get_ydata())
        assert not drawn[:50].any()
        assert drawn[50:].all()
    *_, shares = draw_run(two_stages).axes
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
        np.testing.assert_array_equal(bars.get_ydata(), scores.mean())
        assert axes.containers[0].lines[2][0].get_segments()[0][0, 1] == pytest.approx(low)


def test_every_curve_that_planning_allows_has_a_colour_and_a_marker_of_its_own():
    assert len(set(LINES)) >= MOST_CURVES
    assert len(set(MARKERS)) >= MOST_CURVES


def test_a_title_that_two_variants_share_tells_them_apart():
    rows = [
        {"title": title, "variant": variant, "labelled": labelled}
        for title, variant in (("SGRS-Net", "sgrs"), ("SGRS-Net", "sgrs_paper"), ("V-Net", "vnet"))
        for labelled in (4, 8)
    ]
    titles = [row["title"] for row in with_distinct_titles(rows)]
    assert titles[::2] == titles[1::2] == ["SGRS-Net (sgrs)", "SGRS-Net (sgrs_paper)", "V-Net"]
