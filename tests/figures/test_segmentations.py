"""Figures 2 and 3: which slice and scan they show, what they draw, and how they are written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from numpy.typing import NDArray

from sgrs_core.figures import segmentations
from sgrs_core.figures.segmentations import (
    CAMERA,
    Case,
    Panel,
    choose_slice,
    draw_segmentations,
    median_case,
    shortened,
    surface_of,
    view_of,
    window_of,
)
from sgrs_core.figures.style import save

SHAPE = (20, 24, 16)
Mask = NDArray[np.bool_]


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse pictures of surfaces, which are fast to draw."""
    monkeypatch.setattr(segmentations, "PIXELS", 150)


def ball(radius: float, shape: tuple[int, ...] = SHAPE) -> Mask:
    """Voxels within `radius` of the middle."""
    places = np.indices(shape).T - (np.array(shape) - 1) / 2
    distances = np.linalg.norm(places, axis=-1).T
    inside: Mask = distances <= radius
    return inside


def box(*sides: slice) -> Mask:
    mask = np.zeros(SHAPE, bool)
    mask[sides] = True
    return mask


def case_with(*predictions: Mask, label: Mask | None = None) -> Case:
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    panels = [Panel(f"method {number}", mask) for number, mask in enumerate(predictions)]
    return Case("scan", image, ball(6) if label is None else label, panels, (1.0, 1.5, 2.0))


def outlines(axes: Axes) -> list[ContourSet]:
    return [artist for artist in axes.collections if isinstance(artist, ContourSet)]


# The slice and the scan shown


def test_the_slice_with_the_largest_area_is_shown() -> None:
    label = box(slice(4, 6), slice(4, 6)) | box(slice(4, 12), slice(4, 9), slice(11, 12))

    assert choose_slice(label) == 11


def test_the_lowest_of_equally_large_slices_is_shown() -> None:
    assert choose_slice(box(slice(4, 6), slice(4, 6), slice(5, 9))) == 5


def test_another_rule_for_the_slice_can_be_given() -> None:
    case = case_with(ball(5))

    figure = draw_segmentations([case], choose=lambda label: 3)

    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), case.image[:, :, 3].T)


def test_of_an_odd_number_of_scans_the_one_in_the_middle_is_the_median() -> None:
    assert median_case({"a": 0.9, "b": 0.1, "c": 0.5}) == "c"


def test_of_an_even_number_of_scans_the_lower_in_the_middle_is_the_median() -> None:
    assert median_case({"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.6}) == "c"


def test_scans_of_equal_dice_are_ordered_by_name() -> None:
    assert median_case({"c": 0.5, "b": 0.5, "a": 0.5}) == "b"


def test_without_scans_there_is_no_median() -> None:
    with pytest.raises(ValueError, match="no scan"):
        median_case({})


# What is drawn


def test_each_case_has_two_rows_and_each_panel_a_column_beside_the_ground_truth() -> None:
    cases = [case_with(ball(5), ball(7), ball(4)), case_with(ball(6), ball(3), ball(7))]

    assert len(draw_segmentations(cases).axes) == len(cases) * 2 * (1 + 3)


def test_columns_are_named_once_and_every_panel_has_its_dice() -> None:
    case = case_with(ball(6), box(slice(0, 1), slice(0, 1), slice(0, 1)))

    figure = draw_segmentations([case, case])

    names = [text.get_text() for axes in figure.axes for text in axes.texts]
    titles = [axes.get_title() for axes in figure.axes]
    assert names == ["Ground truth", "method 0", "method 1"]
    assert titles == 2 * (["", "Dice 100.0%", "Dice 0.0%"] + 3 * [""])


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

    assert [axes.get_title() for axes in figure.axes[:3]] == ["", "empty prediction", "Dice 75.4%"]


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


# Surfaces


def test_the_camera_keeps_lengths_and_does_not_mirror() -> None:
    np.testing.assert_allclose(CAMERA @ CAMERA.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(CAMERA[0], CAMERA[1]), CAMERA[2], atol=1e-12)


def test_a_ball_looks_like_a_disc_without_holes_and_bulges_towards_the_viewer() -> None:
    surface = surface_of(ball(9, (24, 24, 24)), (1.0, 1.0, 1.0))
    depth, brightness = view_of(surface, window_of([surface]))

    rows, columns = np.indices(depth.shape)
    middle = (np.array(depth.shape) - 1) / 2
    distance = np.hypot(rows - middle[0], columns - middle[1]) / middle.min()
    assert np.isfinite(depth[distance < 0.9]).all()
    assert np.isinf(depth[distance > 1.1]).all()
    assert depth[distance < 0.1].min() > depth[np.isfinite(depth) & (distance > 0.8)].max()
    assert brightness[distance < 0.9].min() > 0


def test_the_nearer_of_two_boxes_hides_the_other() -> None:
    near = box(slice(8, 12), slice(2, 4), slice(6, 10))
    far = box(slice(0, 20), slice(18, 20), slice(0, 16))
    surfaces = [surface_of(mask, (1.0, 1.0, 1.0)) for mask in (near | far, near)]
    window = window_of(surfaces)
    both, alone = (view_of(surface, window).depth for surface in surfaces)

    shown = np.isfinite(alone)
    np.testing.assert_allclose(both[shown], alone[shown])


# What cannot be drawn


def test_a_figure_needs_a_case() -> None:
    with pytest.raises(ValueError, match="no case"):
        draw_segmentations([])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda case: replace(case, label=np.zeros(SHAPE, bool)), "bad: the label is empty"),
        (lambda case: replace(case, panels=[]), "bad: columns .* same panels"),
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
