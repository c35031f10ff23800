"""Geometry of two masks: exact against medpy, and the properties that every scan must respect."""

import itertools
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medpy.metric import binary as medpy
from numpy.typing import NDArray
from scipy import ndimage

from sgrs_core.evaluation import metrics
from sgrs_core.evaluation.metrics import dice, score

Mask = NDArray[np.bool_]
Shape = tuple[int, int, int]

TOLERANCE = 1e-9
# A time limit on a single example would only measure how busy the machine is.
untimed = settings(deadline=None)


# Masks to draw from


@st.composite
def cuboids(draw: st.DrawFn, shape: Shape) -> Mask:
    """One filled box: from a single voxel to the full volume, often touching the border."""
    mask = np.zeros(shape, dtype=np.bool_)
    corners = [sorted(draw(st.tuples(*[st.integers(0, side - 1)] * 2))) for side in shape]
    mask[tuple(slice(first, last + 1) for first, last in corners)] = True
    return mask


@st.composite
def blobs(draw: st.DrawFn, shape: Shape) -> Mask:
    """Smoothed noise above a quantile: from scattered voxels (not smoothed) to rounded lumps."""
    noise = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape)
    width = draw(st.sampled_from((0.0, 1.0, 2.0)))
    smooth: NDArray[np.float64] = ndimage.gaussian_filter(noise, width, mode="constant")
    return smooth >= np.quantile(smooth, draw(st.sampled_from((0.05, 0.5, 0.9, 0.99))))


@st.composite
def mask_pairs(draw: st.DrawFn) -> tuple[Mask, Mask]:
    """Two masks of one shape, flat and elongated ones included, each with a voxel at least."""
    sides = st.integers(1, 10) | st.just(45)
    shape = draw(st.tuples(sides, sides, st.integers(1, 10)))
    masks = cuboids(shape) | blobs(shape)
    return draw(masks), draw(masks)


def assert_close(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == pytest.approx(expected, rel=0, abs=TOLERANCE, nan_ok=True)


def score_by_medpy(prediction: Mask, label: Mask) -> dict[str, float]:
    return {
        "dice": medpy.dc(prediction, label),
        "jaccard": medpy.jc(prediction, label),
        "hd95": medpy.hd95(prediction, label),
        "asd": medpy.asd(prediction, label),
    }


# The reference implementation


@settings(deadline=None, max_examples=300)
@given(mask_pairs())
def test_scores_equal_those_of_medpy(pair: tuple[Mask, Mask]) -> None:
    assert_close(score(*pair), score_by_medpy(*pair))


def test_scores_of_a_large_organ_and_a_wrong_prediction_equal_those_of_medpy() -> None:
    generator = np.random.default_rng(0)
    grid = np.indices((90, 70, 50)) - np.array([50, 36, 25]).reshape(3, 1, 1, 1)
    label = (grid**2 / np.array([24, 18, 14]).reshape(3, 1, 1, 1) ** 2).sum(axis=0) < 1
    prediction = np.roll(label, 5, axis=0) ^ (generator.random(label.shape) < 0.0005)

    assert_close(score(prediction, label), score_by_medpy(prediction, label))


@pytest.mark.parametrize("question", [0, math.inf], ids=["tree", "transform"])
def test_both_ways_to_the_other_surface_give_the_same_scores(
    question: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    prediction = generator.random((40, 12, 9)) < 0.05
    label = np.zeros_like(prediction)
    label[2:9, 3:8, 1:7] = True
    monkeypatch.setattr(metrics, "QUESTION", question)

    assert_close(score(prediction, label), score_by_medpy(prediction, label))


# Numbers found by hand


def test_two_single_voxels_lie_their_distance_apart() -> None:
    prediction, label = np.zeros((2, 7, 8, 9), dtype=np.bool_)
    prediction[2, 1, 3] = label[2, 4, 7] = True

    assert_close(score(prediction, label), {"dice": 0.0, "jaccard": 0.0, "hd95": 5.0, "asd": 5.0})


def test_a_cube_shifted_by_two_voxels_has_the_scores_counted_by_hand() -> None:
    prediction, label = np.zeros((2, 10, 8, 8), dtype=np.bool_)
    prediction[0:6, 1:7, 1:7] = True
    label[2:8, 1:7, 1:7] = True

    # Of the 6^3 - 4^3 = 152 surface voxels: the 36 of the protruding face are 2 voxels away, the
    # ring of 20 behind it 1; of the face that lies within the label, 12 are 1 away, the middle 4
    # are 2; all others lie on the label's surface. More than 5 % are 2 away, and none is further.
    expected = {
        "dice": 2 / 3,
        "jaccard": 1 / 2,
        "hd95": 2.0,
        "asd": (36 * 2 + 20 + 12 + 4 * 2) / 152,
    }
    assert_close(score(prediction, label), expected)


def test_asd_is_measured_from_the_prediction_to_the_label() -> None:
    one_voxel, two_voxels = np.zeros((2, 9, 3, 3), dtype=np.bool_)
    one_voxel[0, 1, 1] = True
    two_voxels[[0, 8], 1, 1] = True

    assert score(prediction=one_voxel, label=two_voxels)["asd"] == 0.0
    assert score(prediction=two_voxels, label=one_voxel)["asd"] == 4.0


# Properties


@untimed
@given(mask_pairs())
def test_all_but_asd_do_not_care_which_mask_is_the_prediction(pair: tuple[Mask, Mask]) -> None:
    prediction, label = pair
    forth, back = score(prediction, label), score(label, prediction)

    assert_close({**forth, "asd": 0.0}, {**back, "asd": 0.0})


@untimed
@given(mask_pairs(), st.tuples(*[st.tuples(st.integers(0, 5), st.integers(0, 5))] * 3))
def test_background_around_both_masks_changes_nothing(
    pair: tuple[Mask, Mask], widths: tuple[tuple[int, int], ...]
) -> None:
    padded = [np.pad(mask, widths) for mask in pair]

    assert_close(score(padded[0], padded[1]), score(*pair))


@untimed
@given(
    mask_pairs(),
    st.sampled_from(list(itertools.permutations(range(3)))),
    st.sets(st.sampled_from(range(3))),
)
def test_turned_and_mirrored_masks_have_the_same_scores(
    pair: tuple[Mask, Mask], axes: tuple[int, ...], flipped: set[int]
) -> None:
    turned = [np.flip(mask.transpose(axes), tuple(flipped)) for mask in pair]

    assert_close(score(turned[0], turned[1]), score(*pair))


@untimed
@given(mask_pairs())
def test_dice_and_jaccard_tell_the_same(pair: tuple[Mask, Mask]) -> None:
    found = score(*pair)

    assert found["jaccard"] == pytest.approx(found["dice"] / (2 - found["dice"]), abs=TOLERANCE)
    assert found["dice"] == dice(*pair)


@untimed
@given(mask_pairs())
def test_a_mask_agrees_perfectly_with_itself(pair: tuple[Mask, Mask]) -> None:
    mask, _ = pair

    assert score(mask, mask.copy()) == {"dice": 1.0, "jaccard": 1.0, "hd95": 0.0, "asd": 0.0}


@untimed
@given(mask_pairs(), st.sampled_from((np.uint8, np.int64)))
def test_zeros_and_ones_score_as_booleans_and_stay_as_they_were(
    pair: tuple[Mask, Mask], kind: type[np.integer[Any]]
) -> None:
    prediction, label = (mask.astype(kind) for mask in pair)

    assert score(prediction, label) == score(*pair)
    np.testing.assert_array_equal(prediction, pair[0])
    np.testing.assert_array_equal(label, pair[1])


# Empty and unusable masks


@pytest.fixture
def label() -> Mask:
    mask = np.zeros((5, 6, 7), dtype=np.bool_)
    mask[1:4, 2:4, 3:6] = True
    return mask


def test_an_empty_prediction_has_no_overlap_and_no_distances(label: Mask) -> None:
    expected = {"dice": 0.0, "jaccard": 0.0, "hd95": math.nan, "asd": math.nan}

    assert_close(score(np.zeros_like(label), label), expected)
    assert dice(np.zeros_like(label), label) == 0.0


@pytest.mark.parametrize("measure", [score, dice])
def test_an_empty_label_is_an_error_even_where_the_prediction_is_empty_too(
    measure: Any, label: Mask
) -> None:
    for prediction in (label, np.zeros_like(label)):
        with pytest.raises(ValueError, match=r"label is empty.*repair or exclude"):
            measure(prediction, np.zeros_like(label))


@pytest.mark.parametrize("shape", [(5, 6, 8), (1, 5, 6, 7), (5, 42)])
def test_another_shape_is_an_error_that_names_both(shape: tuple[int, ...], label: Mask) -> None:
    with pytest.raises(ValueError, match=r"must be 3D and of one shape") as raised:
        score(np.ones(shape, dtype=np.bool_), label)

    assert str(shape) in str(raised.value)
    assert str(label.shape) in str(raised.value)


def test_flat_masks_are_an_error_although_their_shapes_agree(label: Mask) -> None:
    with pytest.raises(ValueError, match="must be 3D"):
        score(label[0], label[0])


@pytest.mark.parametrize("value", [0.5, 1.0, 2, -1])
def test_scores_and_class_numbers_are_no_masks(value: float, label: Mask) -> None:
    with pytest.raises(ValueError, match=r"the prediction \(\w+\) must hold booleans"):
        score(label * value, label)
    with pytest.raises(ValueError, match=r"the label \(\w+\) must hold booleans"):
        score(label, label * value)


def test_scoring_imports_neither_torch_nor_pandas_nor_medpy() -> None:
    heavy = "{'torch', 'pandas', 'medpy'} & {*sys.modules}"
    program = f"import sys, sgrs_core.evaluation.metrics; print({heavy})"

    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "set()"
