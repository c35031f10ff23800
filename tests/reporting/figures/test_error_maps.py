"""Error maps: what is found, added and missed is shown where it is, and can be told apart."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.text import Text

from sgrs_core.experiment.settings import Slices
from sgrs_core.reporting.figures.error_maps import (
    ADDED,
    FOUND,
    GREYS,
    MARGIN,
    MISSED,
    OPACITY,
    draw_error_maps,
    error_map,
)
from sgrs_core.reporting.figures.style import FULL_WIDTH, save
from tests.reporting.figures.synthetic_cases import SHAPE, ball, box, case_with


def images(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def written(figure: Figure) -> list[Text]:
    """What stands at and between the slices: all texts but the legend's."""
    return [text for part in figure.findobj(SubFigure) for text in part.texts]


def texts(figure: Figure) -> list[str]:
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in written(figure)]


def lightness(colour: np.ndarray) -> float:
    """CIE L*, 0 to 100, of an sRGB colour: what a grey print keeps of it."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return 116 * np.cbrt(luminance) - 16 if luminance > 0.008856 else 903.3 * luminance


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]
TRITANOPIA = [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
]


def test_each_colour_stands_where_prediction_and_truth_say() -> None:
    image = np.full((1, 4), 0.5)
    prediction, label = np.array([[0, 1, 1, 0]], bool), np.array([[0, 0, 1, 1]], bool)

    nothing, added, found, missed = error_map(image, prediction, label)[0]

    grey = sum(GREYS) / 2
    np.testing.assert_allclose(nothing, grey)
    for shown, colour in ((added, ADDED), (found, FOUND), (missed, MISSED)):
        opacity = OPACITY[colour]
        np.testing.assert_allclose(shown, opacity * np.array(to_rgb(colour)) + (1 - opacity) * grey)


def seen_by(matrix: list, colour: np.ndarray) -> np.ndarray:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    "eyes", [np.eye(3), PROTANOPIA, DEUTERANOPIA, TRITANOPIA], ids=["all", "p", "d", "t"]
)
@pytest.mark.parametrize("intensity", [0.0, 0.5, 1.0])
def test_errors_differ_in_lightness_from_all_else_for_all_readers(eyes, intensity) -> None:
    """So a grey print keeps them apart too, whatever the image is like."""
    image, yes, no = np.full((1, 1), intensity), np.ones((1, 1), bool), np.zeros((1, 1), bool)
    colours = {
        name: lightness(seen_by(eyes, error_map(image, *masks)[0, 0]))
        for name, masks in {
            "added": (yes, no), "found": (yes, yes), "missed": (no, yes), "nothing": (no, no),
        }.items()
    }  # fmt: skip
    for one, other in combinations(colours, 2):
        if {one, other} != {"found", "nothing"}:  # these have the outline between them
            assert abs(colours[one] - colours[other]) > 8, (one, other)
    assert abs(colours["added"] - colours["missed"]) > 50


def test_a_row_for_each_method_and_a_column_for_each_slice_of_each_case() -> None:
    case = case_with(ball(5), ball(7))

    figure = draw_error_maps([case, replace(case, name="8 labelled\nother")], Slices(at=(6, 9)))

    assert len(images(figure)) == 2 * 2 * 2
    assert {"scan", "8 labelled, other", "method 0", "method 1"} <= set(texts(figure))
    assert texts(figure).count("z = 6") == texts(figure).count("z = 9") == 2


def test_the_errors_are_those_of_the_slice() -> None:
    label = box(slice(9, 12), slice(9, 12))
    added = box(slice(9, 12), slice(12, 13), slice(5, 6))
    case = case_with(label | added, label=label)

    with_error, without = images(draw_error_maps([case], Slices(at=(5, 6))))

    left, top = 9 - MARGIN, 9 - MARGIN
    changed = np.argwhere((with_error != without).any(axis=-1))
    assert {(12 - top, column - left) for column in (9, 10, 11)} <= set(map(tuple, changed))
    assert with_error[12 - top, 9 - left] == pytest.approx(
        OPACITY[ADDED] * np.array(to_rgb(ADDED)), abs=0.1
    )


def test_volumes_are_of_the_whole_scan_in_millilitres() -> None:
    label = box(slice(2, 12), slice(2, 12), slice(0, 10))
    prediction = box(slice(2, 12), slice(2, 7), slice(0, 16))
    case = case_with(prediction, np.zeros(SHAPE, bool), label=label)  # voxels of 3 cubic mm

    shown = texts(draw_error_maps([case]))

    # 1000 voxels, of which 500 are found; 300 lie beyond.
    assert "Dice 55.6%, added 0.9 ml, missed 1.5 ml" in shown
    assert "empty prediction, added 0.0 ml, missed 3.0 ml" in shown


def test_nothing_that_a_method_adds_is_cropped_away() -> None:
    far = box(slice(0, 1), slice(23, 24), slice(8, 9))

    (image,) = images(draw_error_maps([case_with(ball(3) | far)], Slices(at=(8,))))

    expected = OPACITY[ADDED] * np.array(to_rgb(ADDED))
    assert np.abs(image[-1, 0] - expected).max() < 0.1


def test_the_truth_is_outlined_in_every_slice_that_has_some() -> None:
    figure = draw_error_maps([case_with(ball(6), label=ball(3))], Slices(at=(0, 8)))

    assert [len(axes.collections) for axes in figure.axes if axes.images] == [0, 1]


@pytest.mark.parametrize("slices", [Slices(), Slices("x"), Slices("y", 3), Slices("z", 6)])
@pytest.mark.parametrize("number", [1, 2])
def test_everything_lies_on_the_page_and_names_do_not_overlap(slices, number) -> None:
    name = "8 labelled\n" + "0DJOKZ8B1FYQR31LBWR5" * 2
    case = replace(case_with(*[ball(5)] * 3), name=name)

    figure = draw_error_maps([case] * number, slices)

    figure.draw_without_rendering()
    assert figure.get_figwidth() <= FULL_WIDTH + 1e-6
    page = figure.bbox
    for part in (*written(figure), *figure.legends, *figure.axes):
        box_ = part.get_window_extent()
        assert box_.x0 >= page.x0 - 1
        assert box_.x1 <= page.x1 + 1, part
        assert box_.y0 >= page.y0 - 1
        assert box_.y1 <= page.y1 + 1
    boxes = [text.get_window_extent() for text in written(figure)]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    (legend,) = figure.legends
    assert not any(legend.get_window_extent().overlaps(axes.bbox) for axes in figure.axes)


def test_ten_methods_fit_on_a_printed_page() -> None:
    figure = draw_error_maps([case_with(*[ball(5)] * 10)] * 2)

    assert figure.get_figheight() < 10


def test_a_case_whose_label_is_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="scan: the label is empty"):
        draw_error_maps([case_with(ball(5), label=np.zeros(SHAPE, bool))])


@pytest.mark.parametrize("name", ["figure.png", "figure.pdf"])
def test_the_same_error_maps_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        save(draw_error_maps([case_with(ball(5))]), [tmp_path / folder / name])

    assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
