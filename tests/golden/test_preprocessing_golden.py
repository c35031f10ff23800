"""The preprocessing against numbers computed by the published scripts on synthetic scans."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.preprocessing import (
    brain_box,
    clip_value,
    prepare_brats,
    prepare_la,
    prepare_pancreas,
    to_voxels,
)

Numbers = Mapping[str, NDArray[Any]]
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def published(golden: Callable[[str], Numbers]) -> Numbers:
    return golden("preprocessing")


def assert_close(found: NDArray[Any], expected: NDArray[Any]) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_left_atrium_crop_and_intensities_equal_the_published(published: Numbers) -> None:
    x0, x1, y0, y1 = published["la_margins_x0_x1_y0_y1"].tolist()
    label = published["la_raw_label"] == 255

    prepared = prepare_la(published["la_raw"], label, (x0, x1, y0, y1))

    np.testing.assert_array_equal(prepared.label, published["la_label"])
    assert_close(prepared.image, published["la_image"])


def test_pancreas_grid_has_the_published_size(published: Numbers) -> None:
    raw = published["pancreas_raw_zyx"].transpose(2, 1, 0).astype(np.float32)
    spacing = published["pancreas_spacing_xyz"].tolist()

    resampled = to_voxels(raw, spacing, SimpleITK.sitkBSpline)

    np.testing.assert_array_equal(resampled.shape, published["pancreas_resampled_shape_xyz"])


def test_pancreas_crop_and_intensities_equal_the_published(published: Numbers) -> None:
    raw = published["pancreas_raw_zyx"].transpose(2, 1, 0)
    label = published["pancreas_label_zyx"].transpose(2, 1, 0)

    prepared = prepare_pancreas(raw, label, published["pancreas_spacing_xyz"].tolist())

    np.testing.assert_array_equal(prepared.label, published["pancreas_label"])
    assert_close(prepared.image, published["pancreas_image"])


def test_brats_clipping_intensity_equals_the_published(published: Numbers) -> None:
    flair = published["brats_flair"]

    assert_close(clip_value(flair[brain_box(flair)]), published["brats_clip_value"])


def test_brats_crop_and_intensities_equal_the_published(published: Numbers) -> None:
    prepared = prepare_brats(published["brats_flair"], published["brats_seg"])

    np.testing.assert_array_equal(prepared.label, published["brats_label"])
    assert_close(prepared.image, published["brats_image"])
