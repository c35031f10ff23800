"""Where voxels lie, checked against SimpleITK's own transforms."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sgrs_core.data.formats.images import (
    check_grids,
    from_itk,
    in_orientation,
    oriented_as,
    to_itk,
)

SHAPE, SPACING, ORIGIN = (4, 5, 6), (0.7, 0.8, 1.25), (-100.5, 20.25, 7.0)
DIRECTIONS = [
    tuple(
        np.array(
            [np.eye(3)[axis] * sign for axis, sign in zip(order, signs, strict=True)]
        ).T.ravel()
    )
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


def picture(direction: tuple[float, ...], shape: tuple[int, ...] = SHAPE) -> SimpleITK.Image:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction)
    return image


@given(direction=st.sampled_from(DIRECTIONS), like=st.sampled_from(DIRECTIONS))
def test_every_voxel_keeps_its_place_when_axes_are_reordered(direction, like):
    before = picture(direction)
    after = to_itk(oriented_as(from_itk(before), from_itk(picture(like))))
    np.testing.assert_allclose(after.GetDirection(), like)
    for voxel in ((0, 0, 0), (1, 2, 3), (5, 4, 3)):
        value = before[voxel]
        there = after.TransformPhysicalPointToIndex(before.TransformIndexToPhysicalPoint(voxel))
        assert after[there] == value


def test_an_image_in_the_patients_axes_is_simpleitks_lps_orientation():
    for direction in DIRECTIONS:
        image = picture(direction)
        found = in_orientation(from_itk(image), "LPS")
        expected = from_itk(SimpleITK.DICOMOrient(image, "LPS"))
        np.testing.assert_array_equal(found.array, expected.array)
        assert found.spacing == expected.spacing


def test_an_oblique_scan_is_shown_along_the_nearest_axes():
    cosine, sine = np.cos(0.3), np.sin(0.3)
    direction = (cosine, -sine, 0.0, sine, cosine, 0.0, 0.0, 0.0, -1.0)
    image = from_itk(picture(direction))
    found = in_orientation(image, "LPS").array
    np.testing.assert_array_equal(found, image.array[:, :, ::-1])


def test_a_label_turned_by_a_degree_is_said_to_be_turned():
    image = from_itk(picture(DIRECTIONS[0]))
    turn = Rotation.from_euler("z", 1, degrees=True).as_matrix()
    label = image._replace(
        origin=tuple(turn @ image.origin), direction=tuple((turn @ np.eye(3)).ravel())
    )
    with pytest.raises(ValueError, match="scan 7: direction of the image is"):
        check_grids(image, label, "scan 7")


def test_voxel_positions_agree_with_simpleitk_in_all_48_orientations():
    for direction in DIRECTIONS:
        image = picture(direction)
        found = from_itk(image).position((3, 1, 2))
        np.testing.assert_allclose(found, image.TransformIndexToPhysicalPoint((3, 1, 2)))


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_half_a_voxel_is_another_grid_however_small_voxels_are(scale):
    image = from_itk(picture(DIRECTIONS[0]))
    spacing, origin = (tuple(scale * np.array(one)) for one in (SPACING, ORIGIN))
    image = image._replace(spacing=spacing, origin=origin)
    near = tuple(np.add(origin, (1e-5, 0, 0)))
    check_grids(image, image._replace(origin=near), "scan 7")
    moved = tuple(np.add(origin, (0.5 * spacing[0], 0, 0)))
    with pytest.raises(ValueError, match="scan 7: origin of the image is"):
        check_grids(image, image._replace(origin=moved), "scan 7")


@pytest.mark.parametrize("field", ["shape", "spacing", "origin", "direction"])
def test_two_grids_are_an_error_that_names_the_scan_and_what_differs(field):
    image = from_itk(picture(DIRECTIONS[0]))
    other = {
        "shape": image._replace(array=image.array[:-1]),
        "spacing": image._replace(spacing=(0.7, 0.8, 1.3)),
        "origin": image._replace(origin=(-100.5, 20.25, 7.1)),
        "direction": image._replace(direction=DIRECTIONS[5]),
    }
    with pytest.raises(ValueError, match=f"scan 7: {field} of the image is"):
        check_grids(image, other[field], "scan 7")
