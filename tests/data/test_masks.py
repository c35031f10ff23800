"""Between which planes a mask's voxels lie."""

import numpy as np
import pytest

from sgrs_core.data.masks import bounding_box, extent


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((6, 7, 8), bool)
    mask[2, 3, 1] = mask[4, 3, 7] = True
    return mask


@pytest.mark.parametrize(("axis", "ends"), [(0, (2, 5)), (1, (3, 4)), (2, (1, 8))])
def test_an_extent_reaches_from_the_first_to_the_last_voxel(mask, axis, ends):
    assert extent(mask, axis) == slice(*ends)


def test_a_margin_ends_where_the_array_begins(mask):
    assert extent(mask, 0, margin=1) == slice(1, 6)
    assert extent(mask, 2, margin=3).start == 0


def test_a_bounding_box_holds_every_voxel_and_nothing_more(mask):
    box = bounding_box(mask)
    assert mask[box].sum() == mask.sum()
    assert all(mask[box].any(axis=others)[[0, -1]].all() for others in ((1, 2), (0, 2), (0, 1)))


def test_without_a_voxel_there_is_no_extent(mask):
    with pytest.raises(ValueError, match="zero everywhere"):
        bounding_box(np.zeros_like(mask))
