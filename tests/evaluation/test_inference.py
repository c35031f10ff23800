from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgrs_core.evaluation.inference import foreground_score, segment, window_starts


def identity(images: torch.Tensor) -> torch.Tensor:
    """A network that calls each voxel's intensity its probability."""
    return images[:, 0]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 25))
def test_windows_cover_every_voxel_and_stay_inside(extra, patch, stride):
    side = patch + extra
    starts = window_starts(side, patch, stride)
    assert starts[0] == 0
    assert starts[-1] == side - patch
    if stride <= patch:
        covered = {voxel for start in starts for voxel in range(start, start + patch)}
        assert covered == set(range(side))
    assert all(0 < later - earlier <= stride for earlier, later in pairwise(starts))


@pytest.mark.parametrize("shape", [(20, 17, 9), (8, 8, 8), (5, 20, 3)])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_averaging_windows_of_a_voxelwise_function_gives_the_function(shape, batch):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    score = foreground_score(identity, image, (8, 8, 8), (3, 5, 8), batch)
    np.testing.assert_allclose(score, image, rtol=1e-6)


@given(st.tuples(*[st.integers(1, 12)] * 3))
def test_a_stride_that_would_leave_voxels_uncovered_is_refused(stride):
    image, patch = np.ones((20, 17, 9), np.float32), (8, 8, 8)
    if max(stride) > 8:
        with pytest.raises(ValueError, match=r"stride = .*at most the sides of patch"):
            foreground_score(identity, image, patch, stride)
    else:
        np.testing.assert_array_equal(foreground_score(identity, image, patch, stride), image)


def test_each_voxel_is_the_mean_of_all_windows_over_it():
    calls = iter(range(10))

    def count(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([torch.full(patch.shape[1:], float(next(calls))) for patch in images])

    score = foreground_score(count, np.zeros((6, 4, 4), np.float32), (4, 4, 4), (2, 4, 4))
    assert score[:, 0, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_exactly_one_half_is_background():
    assert segment(np.array([0.5, np.nextafter(np.float32(0.5), 1)])).tolist() == [False, True]
