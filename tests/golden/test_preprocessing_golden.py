"""The preprocessing against numbers computed by the published scripts on synthetic scans."""

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.preprocessing.common import (
    brain_box,
    clip_value,
    prepare_brats,
    prepare_la,
    prepare_pancreas,
    to_voxels,
)
from tests.golden.closeness import within


@pytest.fixture(scope="module")
def published(golden):
    return golden("preprocessing")


def test_left_atrium_crop_and_intensities_equal_the_published(published):
    x0, x1, y0, y1 = published["la_margins_x0_x1_y0_y1"].tolist()
    label = published["la_raw_label"] == 255

    prepared = prepare_la(published["la_raw"], label, (x0, x1, y0, y1))

    np.testing.assert_array_equal(prepared.label, published["la_label"])
    within(prepared.image, published["la_image"], absolute=1e-4)


def test_pancreas_grid_has_the_published_size(published):
    raw = published["pancreas_raw_zyx"].transpose(2, 1, 0).astype(np.float32)
    spacing = published["pancreas_spacing_xyz"].tolist()

    resampled = to_voxels(raw, spacing, SimpleITK.sitkBSpline)

    np.testing.assert_array_equal(resampled.shape, published["pancreas_resampled_shape_xyz"])


def test_pancreas_crop_and_intensities_equal_the_published(published):
    raw = published["pancreas_raw_zyx"].transpose(2, 1, 0)
    label = published["pancreas_label_zyx"].transpose(2, 1, 0)

    prepared = prepare_pancreas(raw, label, published["pancreas_spacing_xyz"].tolist())

    np.testing.assert_array_equal(prepared.label, published["pancreas_label"])
    within(prepared.image, published["pancreas_image"], absolute=1e-4)


def test_brats_clipping_intensity_equals_the_published(published):
    flair = published["brats_flair"]

    within(clip_value(flair[brain_box(flair)]), published["brats_clip_value"], absolute=1e-4)


def test_brats_crop_and_intensities_equal_the_published(published):
    prepared = prepare_brats(published["brats_flair"], published["brats_seg"])

    np.testing.assert_array_equal(prepared.label, published["brats_label"])
    within(prepared.image, published["brats_image"], absolute=1e-4)
