"""Figures 2 and 3: what they draw, and how they are written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet

from sgrs_core.data.masks import Mask
from sgrs_core.experiment.settings import Slices
from sgrs_core.reporting.figures import surfaces
from sgrs_core.reporting.figures.cases import Case, shortened
from sgrs_core.reporting.figures.planes import grey
from sgrs_core.reporting.figures.segmentations import MOST_COLUMNS, draw_segmentations
from sgrs_core.reporting.figures.style import save, settle
from sgrs_core.reporting.figures.surfaces import CAMERA
from tests.reporting.figures.synthetic_cases import SHAPE, ball, box, case_with


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse images of surfaces, which are fast to draw."""
    monkeypatch.setattr(surfaces, "PIXELS", 150)


def outlines(axes: Axes) -> list[ContourSet]:
    return [artist for artist in axes.collections if isinstance(artist, ContourSet)]


# What is drawn


def test_each_case_has_two_rows_and_each_panel_a_column_beside_the_ground_truth() -> None:
    cases = [case_with(ball(5), ball(7), ball(4)), case_with(ball(6), ball(3), ball(7))]

    assert len(draw_segmentations(cases).axes) == len(cases) * 2 * (1 + 3)


def test_each_slice_asked_for_has_a_row() -> None:
    case = case_with(ball(5))

    figure = draw_segmentations([case], Slices("y", at=(3, 9)))

    assert len(figure.axes) == (2 + 1) * (1 + 1)
    for row, index in enumerate((3, 9)):
        seen = grey(case.image)[:, index, ::-1].T  # the head on top
        for axes in figure.axes[2 * row : 2 * row + 2]:
            np.testing.assert_array_equal(axes.images[0].get_array(), seen)
    assert figure.axes[0].get_aspect() == 2.0  # mm along z over mm along x


def test_a_slice_that_a_scan_does_not_have_is_refused_by_the_scans_name() -> None:
    with pytest.raises(ValueError, match=r"scan: slices\.at = 16: allowed are 0 to 15"):
        draw_segmentations([case_with(ball(5))], Slices(at=(3, 16)))


def test_many_methods_go_on_below_with_their_names() -> None:
    figure = draw_segmentations([case_with(*[ball(5)] * 8)] * 2)

    names = [axes.get_title().split("\n")[0] for axes in figure.axes if axes.get_title()]
    assert names == 2 * ["Ground truth", *(f"method {number}" for number in range(8))]
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 2 * 2 * (1 + 8)
    settle(figure)
    left = [axes.get_position().x0 for axes in shown]
    first, below = left[:5], left[10:14]  # each strip has a row of slices and one of surfaces
    assert len(first) <= MOST_COLUMNS
    assert first == sorted(first)
    np.testing.assert_allclose(below, first[:4], atol=0.005)  # of the page's width


def test_columns_are_named_once_and_every_panel_has_its_dice() -> None:
    case = case_with(ball(6), box(slice(0, 1), slice(0, 1), slice(0, 1)))

    figure = draw_segmentations([case, case])

    titles = [axes.get_title() for axes in figure.axes]
    first = ["Ground truth\n", "method 0\nDice 100.0%", "method 1\nDice 0.0%"]
    assert titles == [*first, *3 * [""], "", "Dice 100.0%", "Dice 0.0%", *3 * [""]]


def test_the_truth_is_outlined_alone_and_then_over_each_prediction() -> None:
    figure = draw_segmentations([case_with(ball(5))])

    assert [len(outlines(axes)) for axes in figure.axes] == [1, 2, 0, 0]


def test_an_outline_lies_halfway_between_the_mask_and_its_surroundings() -> None:
    figure = draw_segmentations([case_with(label=box(slice(3, 9), slice(0, 5), slice(2, 6)))])

    (outline,) = outlines(figure.axes[0])
    corners = np.asarray(outline.get_paths()[0].vertices)
    np.testing.assert_array_equal(corners.min(axis=0), [2.5, -0.5])
    np.testing.assert_array_equal(corners.max(axis=0), [8.5, 4.5])


def test_an_empty_prediction_is_drawn_and_named() -> None:
    figure = draw_segmentations([case_with(np.zeros(SHAPE, bool), ball(5))])

    shown = [axes.get_title().split("\n")[-1] for axes in figure.axes[:3]]
    assert shown == ["", "empty prediction", "Dice 75.4%"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "prediction",
    [
        box(slice(0, 1), slice(0, 1), slice(0, 1)),
        box(slice(0, 20), slice(5, 6), slice(7, 8)),
        np.ones(SHAPE, bool),
        np.random.default_rng(1).random(SHAPE) > 0.5,
    ],
    ids=["one voxel in a corner", "a line from edge to edge", "the whole scan", "noise"],
)
def test_any_prediction_can_be_drawn(prediction: Mask, tmp_path: Path) -> None:
    save(draw_segmentations([case_with(prediction)]), [tmp_path / "figure.png"])


def test_slices_and_surfaces_keep_their_physical_proportions() -> None:
    figure = draw_segmentations([case_with(label=np.ones(SHAPE, bool))])

    assert figure.axes[0].get_aspect() == 1.5
    rows, columns = np.asarray(figure.axes[1].images[0].get_array()).shape[:2]
    corners = np.stack(np.meshgrid(*[(0, side) for side in (20, 36, 32)]), axis=-1) @ CAMERA.T
    across, high = np.ptp(corners.reshape(-1, 3), axis=0)[:2]
    assert rows / columns == pytest.approx(high / across, rel=0.05)


def test_long_names_lose_their_middle_and_short_ones_stay() -> None:
    assert shortened("4 labelled\n0123456789ABCDEF", 11) == "4 labelled\n01234…BCDEF"


# What cannot be drawn


def test_a_figure_needs_a_case() -> None:
    with pytest.raises(ValueError, match="no case"):
        draw_segmentations([])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda case: replace(case, label=np.zeros(SHAPE, bool)), "bad: the label is empty"),
        (lambda case: replace(case, predictions={}), "bad: methods .* same panels"),
        (lambda case: replace(case, image=case.image[1:]), "bad: .* differ in shape"),
    ],
)
def test_a_case_that_does_not_fit_is_named(spoil: Callable[[Case], Case], message: str) -> None:
    case = case_with(ball(5))

    with pytest.raises(ValueError, match=message):
        draw_segmentations([case, spoil(replace(case, name="bad"))])


# Files


@pytest.mark.parametrize("name", ["figure.png", "figure.pdf", "figure.svg"])
def test_the_same_figure_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        figure = draw_segmentations([case_with(ball(5))])
        save(figure, [tmp_path / folder / name])

    assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_figure_written_again_looks_the_same(tmp_path: Path) -> None:
    figure = draw_segmentations([case_with(ball(5))])
    for name in ("first.png", "second.png"):
        save(figure, [tmp_path / name])

    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_no_file_is_written_where_one_format_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"figure\.bmp: figures are written as"):
        save(draw_segmentations([case_with()]), [tmp_path / "a.png", tmp_path / "figure.bmp"])

    assert not list(tmp_path.iterdir())
