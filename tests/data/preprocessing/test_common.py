"""The preprocessing's formulas, each against numbers worked out by hand or by SimpleITK."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.preprocessing.common import (
    brain_box,
    clip_value,
    crop_bounds,
    downsample,
    la_margins,
    prepare_brats,
    prepare_custom,
    prepare_la,
    prepare_pancreas,
    to_voxels,
    z_score,
)
from sgrs_core.experiment.settings import NiftiSettings

MARGINS = (10, 11, 12, 13)
PANCREAS_SIZE = (160, 150, 5)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def box_label(shape: tuple[int, ...], *sides: slice) -> NDArray[np.uint8]:
    label = np.zeros(shape, np.uint8)
    label[sides] = 1
    return label


def line_label(side: int, first: int, last: int) -> NDArray[np.uint8]:
    return box_label((side, 1, 1), slice(first, last + 1))


# Cropping around a label


def test_a_small_structure_is_padded_to_the_minimum_side() -> None:
    label = line_label(400, 200, 210)  # padding (112 - 10) // 2 = 51

    assert crop_bounds(label, 0, (10, 19), 112) == slice(200 - 51 - 10, 210 + 51 + 19)


def test_padding_is_rounded_down() -> None:
    label = line_label(400, 200, 211)  # (112 - 11) // 2 = 50

    assert crop_bounds(label, 0, (0, 0), 112) == slice(150, 261)


@pytest.mark.parametrize("last", [262, 263, 290])
def test_a_structure_of_the_minimum_side_gets_only_its_margins(last: int) -> None:
    label = line_label(400, 150, last)

    padding = 0 if last > 150 + 110 else 1
    assert crop_bounds(label, 0, (10, 12), 112) == slice(140 - padding, last + padding + 12)


def test_a_crop_is_cut_off_at_the_scans_border() -> None:
    label = line_label(100, 3, 95)

    assert crop_bounds(label, 0, (10, 10), 0) == slice(0, 100)


def test_a_crop_ends_before_the_voxel_that_its_margin_reaches() -> None:
    label = line_label(100, 40, 60)

    assert crop_bounds(label, 0, (0, 1), 0).stop == 61


@settings(max_examples=100, deadline=None)
@given(
    side=st.integers(1, 300),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    margins=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    minimum_side=st.integers(0, 120),
)
def test_a_crop_lies_in_the_scan_and_holds_the_whole_label(
    side: int, ends: tuple[float, float], margins: tuple[int, int], minimum_side: int
) -> None:
    first, last = sorted(int(end * (side - 1)) for end in ends)

    crop = crop_bounds(line_label(side, first, last), 0, margins, minimum_side)

    assert 0 <= crop.start <= first
    assert last < crop.stop <= side


# Intensities


def test_z_score_gives_mean_0_and_deviation_1(generator: np.random.Generator) -> None:
    image = z_score(generator.integers(0, 256, (20, 20, 20), dtype=np.uint8))

    assert image.dtype == np.float32
    assert image.mean() == pytest.approx(0, abs=1e-5)
    assert image.std() == pytest.approx(1, abs=1e-5)


def test_z_score_takes_its_statistics_from_the_reference() -> None:
    np.testing.assert_allclose(z_score(np.array([3.0, 5.0]), np.array([1.0, 3.0])), [1.0, 3.0])


@pytest.mark.parametrize("value", [7.0, np.nan])
def test_z_score_of_a_constant_or_broken_image_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match=r"standard deviation is (0\.0|nan)"):
        z_score(np.full((3, 3, 3), value))


# Left atrium


def test_la_margins_are_the_same_on_every_machine() -> None:
    assert la_margins("06SR5RBREL16DQ6M8LWS") == (11, 15, 11, 18)
    assert la_margins("0RZDK210BSMWAA6467LU") == (11, 13, 17, 10)


def test_la_margins_take_all_values_from_10_to_19() -> None:
    drawn = {margin for number in range(100) for margin in la_margins(f"case {number}")}

    assert drawn == set(range(10, 20))


def test_la_is_standardised_by_the_whole_scan_and_cropped_in_plane_only(
    generator: np.random.Generator,
) -> None:
    image = generator.integers(0, 256, (200, 210, 5), dtype=np.uint8)
    label = box_label(image.shape, slice(90, 121), slice(80, 111), slice(1, 3))

    prepared = prepare_la(image, label.astype(bool), MARGINS)

    crop = (slice(39, 172), slice(27, 164))  # a padding of (112 - 30) // 2 = 41, then the margins
    np.testing.assert_allclose(
        prepared.image, ((image - image.mean()) / image.std())[crop], atol=1e-5
    )
    np.testing.assert_array_equal(prepared.label, label[crop])
    assert prepared.start == (39, 27, 0)
    assert prepared.image.dtype == np.float32
    assert prepared.label.dtype == np.uint8


def test_la_near_the_border_is_cut_off_there(generator: np.random.Generator) -> None:
    image = generator.integers(0, 256, (130, 130, 2), dtype=np.uint8)
    label = box_label(image.shape, slice(0, 1), slice(129, 130), slice(0, 1))

    prepared = prepare_la(image, label, MARGINS)

    assert prepared.start == (0, 129 - 56 - 12, 0)
    assert prepared.image.shape == (56 + 11, 130 - (129 - 56 - 12), 2)


# Pancreas


def test_resampling_keeps_values_at_points_shared_by_both_grids(
    generator: np.random.Generator,
) -> None:
    array = generator.normal(size=(12, 10, 8)).astype(np.float32)

    finer = to_voxels(array, (2.0, 1.0, 2.0), SimpleITK.sitkBSpline)

    assert finer.shape == (24, 10, 16)
    np.testing.assert_allclose(finer[::2, :, ::2], array, atol=1e-5)


def test_resampling_drops_an_incomplete_millimetre() -> None:
    array = np.zeros((10, 10, 9), np.uint8)

    resampled = to_voxels(array, (0.77, 0.5, 1.25), SimpleITK.sitkNearestNeighbor)

    assert resampled.shape == (7, 5, 11)


def test_a_resampled_voxel_shows_what_lies_there_in_the_patient() -> None:
    ramp = np.arange(40, dtype=np.float32)[:, None, None] * 0.7 * np.ones((1, 8, 8), np.float32)

    millimetres = to_voxels(ramp, (0.7, 1.0, 1.0), SimpleITK.sitkBSpline)

    inner = slice(8, 20)  # away from the border, where the spline is mirrored
    np.testing.assert_allclose(millimetres[inner, 4, 4], np.arange(8, 20), atol=1e-3)


@settings(deadline=None, max_examples=25)
@example(
    steps=(1.08, 1.0, 1.0), voxel=1.5, corner=(0.0625, 0.0, 0.0),
    interpolator=SimpleITK.sitkNearestNeighbor,
)  # fmt: skip
@given(
    steps=st.tuples(*[st.floats(0.5, 2.0)] * 3),
    voxel=st.sampled_from([0.8, 1.0, 1.5]),
    corner=st.tuples(*[st.floats(0, 0.9)] * 3),
    interpolator=st.sampled_from([SimpleITK.sitkBSpline, SimpleITK.sitkNearestNeighbor]),
)
def test_a_part_resampled_alone_equals_that_part_of_the_whole(
    steps: tuple[float, ...], voxel: float, corner: tuple[float, ...], interpolator: int
) -> None:
    array = np.random.default_rng(0).integers(-1000, 3000, (90, 80, 70)).astype(np.int16)
    whole = to_voxels(array, steps, interpolator, voxel=voxel)
    first = [int(part * side) for part, side in zip(corner, whole.shape, strict=True)]
    x, y, z = (slice(one, min(one + 9, side)) for one, side in zip(first, whole.shape, strict=True))

    part = to_voxels(array, steps, interpolator, (x, y, z), voxel)

    # The border's far-off influence, and where a voxel lies, are rounded differently; half way
    # between two voxels, either is the nearest one.
    clear = np.ix_(
        *(
            (interpolator == SimpleITK.sitkBSpline)
            | (np.abs(np.arange(side.start, side.stop) * voxel / step % 1 - 0.5) > 1e-9)
            for side, step in zip((x, y, z), steps, strict=True)
        )
    )
    np.testing.assert_allclose(part[clear], whole[x, y, z][clear], rtol=0, atol=2e-3)


def test_pancreas_is_windowed_before_it_is_standardised(generator: np.random.Generator) -> None:
    image = generator.integers(-1000, 1000, PANCREAS_SIZE).astype(np.int16)
    label = box_label(PANCREAS_SIZE, slice(70, 81), slice(60, 71), slice(1, 3))

    prepared = prepare_pancreas(image, label, (1.0, 1.0, 1.0))

    x, y = slice(70 - 43 - 25, 80 + 43 + 25), slice(0, 70 + 43 + 25)  # padding (96 - 10) // 2
    windowed = np.clip(image[x, y], -125, 275)
    np.testing.assert_allclose(
        prepared.image, (windowed - windowed.mean()) / windowed.std(), atol=1e-4
    )
    np.testing.assert_array_equal(prepared.label, label[x, y])
    assert prepared.start == (2, 0, 0)


def test_pancreas_crop_starts_at_a_voxel_of_the_1_mm_grid(generator: np.random.Generator) -> None:
    image = generator.integers(-100, 200, (300, 300, 3)).astype(np.int16)
    label = box_label(image.shape, slice(140, 160), slice(140, 160), slice(0, 3))

    prepared = prepare_pancreas(image, label, (0.5, 1.0, 1.0))

    assert prepared.start == (70 - 43 - 25, 140 - 38 - 25, 0)


def test_a_structure_lost_in_resampling_is_an_error() -> None:
    label = box_label((64, 64, 4), slice(1, 2), slice(1, 2), slice(1, 2))

    with pytest.raises(ValueError, match="label is zero everywhere"):
        prepare_pancreas(np.zeros(label.shape, np.int16), label, (0.5, 0.5, 0.5))


# BraTS


def brain(generator: np.random.Generator) -> NDArray[np.float32]:
    flair = np.zeros((20, 22, 24), np.float32)
    flair[3:17, 4:18, 5:20] = generator.uniform(100, 500, (14, 14, 15))
    flair[10, 10, 10:12] = 4000
    return flair


def test_the_brains_last_slices_are_dropped(generator: np.random.Generator) -> None:
    assert brain_box(brain(generator)) == (slice(3, 16), slice(4, 17), slice(5, 19))


def test_negative_voxels_belong_to_the_brain() -> None:
    flair = np.zeros((5, 5, 5), np.float32)
    flair[1:4, 1:4, 1:4] = -1

    assert brain_box(flair) == (slice(1, 3),) * 3


def test_brats_is_clipped_and_standardised_by_its_positive_voxels(
    generator: np.random.Generator,
) -> None:
    flair = brain(generator)
    flair[6:8, 6:8, 6:8] = 0  # a hole must take part in the crop, not in the statistics
    segmentation = np.zeros(flair.shape, np.uint8)
    segmentation[8:12, 8:12, 8:12] = (np.arange(64).reshape(4, 4, 4) % 4 + 1).astype(np.uint8)

    prepared = prepare_brats(flair, segmentation)

    crop = brain_box(flair)
    clipped = np.minimum(flair[crop], clip_value(flair[crop]))
    positive = clipped[clipped > 0]
    expected = (clipped - positive.mean()) / positive.std()
    assert clipped.max() < 600
    np.testing.assert_allclose(prepared.image, expected, atol=1e-4)
    np.testing.assert_array_equal(prepared.label, segmentation[crop] > 0)
    assert prepared.start == (3, 4, 5)


def test_the_clipping_intensity_leaves_a_thousandth_above() -> None:
    image = np.arange(10_000, dtype=np.float64).reshape(10, 100, 10)

    assert clip_value(image) == pytest.approx(9990, abs=10_000 / 256)


def test_integer_images_are_clipped_at_a_value_of_their_own() -> None:
    image = np.arange(10_000, dtype=np.int16).reshape(10, 100, 10)

    assert clip_value(image) == 9989  # of 0 to 9989 there are 9990 = 0.999 * 10 000 voxels


def test_a_scan_without_a_lesion_is_prepared(generator: np.random.Generator) -> None:
    flair = brain(generator)

    assert not prepare_brats(flair, np.zeros(flair.shape, np.uint8)).label.any()


@pytest.mark.parametrize(("last", "message"), [(0, "zero everywhere"), (1, "one slice only")])
def test_a_flair_image_without_a_brain_is_an_error(last: int, message: str) -> None:
    flair = np.zeros((6, 6, 6), np.float32)
    flair[:last] = 1

    with pytest.raises(ValueError, match=message):
        prepare_brats(flair, np.zeros(flair.shape, np.uint8))


# All three


def test_an_empty_label_is_an_error() -> None:
    image, label = np.zeros((8, 8, 8), np.float32), np.zeros((8, 8, 8), np.uint8)

    with pytest.raises(ValueError, match="the label is zero everywhere"):
        prepare_la(image, label, MARGINS)
    with pytest.raises(ValueError, match="the label is zero everywhere"):
        prepare_pancreas(image, label, (1.0, 1.0, 1.0))


def test_image_and_label_of_different_shapes_are_an_error() -> None:
    image, label = np.zeros((8, 8, 8), np.float32), np.ones((8, 8, 7), np.uint8)

    with pytest.raises(ValueError, match="one shape"):
        prepare_la(image, label, MARGINS)
    with pytest.raises(ValueError, match="one shape"):
        prepare_pancreas(image, label, (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="one shape"):
        prepare_brats(image, label)


def test_the_inputs_are_left_as_they_were(generator: np.random.Generator) -> None:
    image = generator.integers(1, 500, PANCREAS_SIZE).astype(np.int16)
    label = box_label(PANCREAS_SIZE, slice(70, 81), slice(60, 71), slice(1, 3))
    kept = image.copy(), label.copy()

    prepare_la(image, label, MARGINS)
    prepare_pancreas(image, label, (1.0, 1.0, 1.0))
    prepare_brats(image, label)

    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(label, kept[1])


# Downsampling


def test_downsampling_agrees_with_simpleitks_bin_shrink(generator: np.random.Generator) -> None:
    image = generator.normal(size=(13, 12, 8)).astype(np.float32)

    smaller = downsample(PlacedImage(image), 3).array

    picture = SimpleITK.GetImageFromArray(image[:12, :12, :6])
    expected = SimpleITK.GetArrayFromImage(SimpleITK.BinShrink(picture, [3, 3, 3]))
    assert smaller.shape == (4, 4, 2)
    np.testing.assert_allclose(smaller, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [-1, 0, 5])
def test_an_impossible_factor_is_an_error(factor: int) -> None:
    with pytest.raises(ValueError, match=f"factor {factor}: allowed .* 1 to 4"):
        downsample(PlacedImage(np.zeros((4, 5, 6))), factor)


# A data set of one's own


def test_own_scans_may_keep_their_grid_their_size_and_their_intensities(
    generator: np.random.Generator,
) -> None:
    image = generator.normal(size=(9, 8, 7))
    label = image > 1

    prepared = prepare_custom(image, label, (1.0, 2.0, 3.0), NiftiSettings(margin=None))

    np.testing.assert_allclose(prepared.image, (image - image.mean()) / image.std(), atol=1e-5)
    np.testing.assert_array_equal(prepared.label, label)
    assert prepared.start == (0, 0, 0)


def test_own_scans_prepared_as_pancreas_scans_are_equal_to_them(
    generator: np.random.Generator,
) -> None:
    image = generator.integers(-1000, 1000, PANCREAS_SIZE).astype(np.int16)
    label = box_label(PANCREAS_SIZE, slice(70, 81), slice(60, 71), slice(1, 3)) == 1
    as_pancreas = NiftiSettings(voxel=1.0, window=(-125.0, 275.0), margin=25, minimum_side=96)

    own = prepare_custom(image, label, (0.9, 0.9, 1.0), as_pancreas)

    published = prepare_pancreas(image, label, (0.9, 0.9, 1.0))
    np.testing.assert_array_equal(own.image, published.image)
    np.testing.assert_array_equal(own.label, published.label)
    assert own.start == published.start
