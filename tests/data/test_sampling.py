from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgrs_core.data import sampling
from sgrs_core.data.sampling import (
    LABELLED,
    TwoStreamSampler,
    before_turning,
    encode,
    padding,
    random_window,
)
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.settings import TrainingSettings


def volume(number: int, shape=(24, 22, 20)) -> Volume:
    """A scan whose image says which scan it is, and whose label is where the image is odd."""
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 100_000 * number
    return Volume(image, (image % 2).astype(np.uint8))


@pytest.fixture
def sampler(tiny_training):
    def build(labelled=3, unlabelled=5, seed=0, **changes) -> TwoStreamSampler:
        run = replace(tiny_training, **changes)
        scans = [volume(number) for number in range(labelled + unlabelled)]
        device = torch.device("cpu")
        return TwoStreamSampler(scans[:labelled], scans[labelled:], run, seed, device)

    return build


def scans_in(images: torch.Tensor) -> list[int]:
    """Which scan each patch is from; padding aside."""
    return [int(patch.max()) // 100_000 for patch in images]


def test_a_batch_has_the_shapes_and_types_that_methods_expect(sampler):
    batch, labels_u = sampler().draw(1)
    assert batch.images_l.shape == batch.images_u.shape == (2, 1, 16, 16, 16)
    assert batch.images_l.dtype == torch.float32
    assert batch.labels_l.shape == labels_u.shape == (2, 16, 16, 16)
    assert (batch.labels_l.dtype, labels_u.dtype) == (torch.int64, torch.uint8)


def test_image_and_label_stay_together_through_crop_rotation_and_flip(sampler):
    source = sampler()
    for iteration in range(1, 30):
        batch, labels_u = source.draw(iteration)
        images = torch.cat([batch.images_l, batch.images_u])[:, 0]
        assert torch.equal(images.long() % 2, torch.cat([batch.labels_l, labels_u]))


def test_unlabelled_scans_need_no_label_and_give_the_same_patches_without(sampler, tiny_training):
    scans = [volume(number) for number in range(8)]
    scans[5] = replace(scans[5], label=None)
    without = TwoStreamSampler(scans[:3], scans[3:], tiny_training, 0, torch.device("cpu"))
    for iteration in range(1, 6):
        expected, drawn = sampler().draw(iteration), without.draw(iteration)
        assert drawn.labels_u is None
        assert all(map(torch.equal, drawn.batch[:3], expected.batch[:3]))


def test_draws_depend_on_seed_and_iteration_alone(sampler):
    one, other = sampler(), sampler()
    for iteration in (5, 2, 9):
        one.draw(iteration + 1)  # what was drawn before does not matter
        expected, drawn = one.draw(iteration), other.draw(iteration)
        assert torch.equal(drawn.batch.images_l, expected.batch.images_l)
        assert torch.equal(drawn.batch.images_u, expected.batch.images_u)
    assert not torch.equal(sampler(seed=1).draw(5).batch.images_l, one.draw(5).batch.images_l)
    assert not torch.equal(one.draw(5).batch.images_l, one.draw(6).batch.images_l)


def test_labelled_patches_come_from_labelled_scans_only(sampler):
    source = sampler(labelled=3, unlabelled=5)
    for iteration in range(1, 20):
        batch, _ = source.draw(iteration)
        assert set(scans_in(batch.images_l)) <= {0, 1, 2}
        assert set(scans_in(batch.images_u)) <= {3, 4, 5, 6, 7}


def test_each_scan_comes_once_before_any_comes_again(sampler):
    source = sampler()
    drawn = [
        scan for step in range(1, 7) for scan in source.indices(LABELLED, 4, 2, step)
    ]  # three epochs of four scans
    for epoch in range(3):
        assert sorted(drawn[4 * epoch : 4 * epoch + 4]) == [0, 1, 2, 3]


@settings(max_examples=100, deadline=None)
@given(scans=st.integers(1, 9), per_step=st.integers(1, 5), steps=st.integers(1, 12))
def test_a_step_holds_no_scan_twice_unless_it_has_more_patches_than_there_are_scans(
    scans, per_step, steps
):
    source = TwoStreamSampler([], [], TrainingSettings(), 0, torch.device("cpu"))
    for step in range(1, steps + 1):
        drawn = Counter(source.indices(LABELLED, scans, per_step, step))
        assert sum(drawn.values()) == per_step
        assert max(drawn.values()) <= -(-per_step // scans)


def test_the_odd_scan_of_an_epoch_is_dropped(sampler):
    source = sampler()
    left_out = Counter()
    for epoch in range(300):  # of three scans, one step each
        left_out.update({0, 1, 2} - set(source.indices(LABELLED, 3, 2, epoch + 1)))
    assert sum(left_out.values()) == 300
    assert min(left_out.values()) > 70  # by chance, each one now and then


def test_the_order_of_scans_changes_from_epoch_to_epoch(sampler):
    source = sampler()
    epochs = [tuple(source.indices(LABELLED, 6, 6, step)) for step in range(1, 9)]
    assert len(set(epochs)) > 1


def test_corners_are_uniform_and_leave_out_the_last_one(sampler):
    source = sampler(labelled=1, unlabelled=1, augmentation="none", labelled_patches=1)
    corners = Counter()
    for iteration in range(1, 2001):
        first = int(source.draw(iteration).batch.images_l[0, 0, 0, 0, 0])
        corners[first // (22 * 20)] += 1  # the corner's x
    assert set(corners) == set(range(24 - 16))  # upper end excluded
    assert min(corners.values()) > 0.7 * 2000 / 8


def test_a_quarter_turn_and_one_flip_make_the_four_mirror_images(sampler):
    source = sampler(labelled=1, labelled_patches=1)
    seen = set()
    for iteration in range(1, 100):
        patch = source.draw(iteration).batch.images_l[0, 0]
        along_x, along_y, along_z = (
            int(patch[step] - patch[0, 0, 0]) for step in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        )
        assert along_z == 1  # z is never turned or flipped
        seen.add((along_x, along_y))
    x, y = 22 * 20, 20  # the image's steps along x and y before turning
    assert seen == {(-x, y), (x, -y), (y, x), (-y, -x)}


@settings(max_examples=200, deadline=None)
@given(
    shape=st.tuples(*[st.integers(6, 9)] * 3),
    patch=st.tuples(*[st.integers(2, 5)] * 3),
    turns=st.integers(0, 3),
    flipped_axis=st.integers(0, 1),
    seed=st.integers(0, 100),
)
def test_turning_the_patch_is_turning_the_scan(shape, patch, turns, flipped_axis, seed):
    voxels = np.arange(np.prod(shape)).reshape(shape)
    whole = np.flip(np.rot90(voxels, turns), flipped_axis)
    window = random_window(whole.shape, patch, np.random.default_rng(seed))
    source = before_turning(window, shape, turns, flipped_axis)
    turned_alone = np.flip(np.rot90(voxels[source], turns), flipped_axis)
    np.testing.assert_array_equal(turned_alone, whole[window])


def test_patches_that_are_turned_reach_every_plane_of_a_scan(sampler):
    source = sampler(labelled=1, labelled_patches=1)
    x, y = np.zeros(24, bool), np.zeros(22, bool)
    for iteration in range(1, 300):
        voxels = source.draw(iteration).batch.images_l.long().unique()
        x[np.unique(voxels // (22 * 20))] = True
        y[np.unique(voxels // 20 % 22)] = True
    assert x.all()
    assert y.all()


def test_without_augmentation_patches_lie_as_in_the_scan(sampler):
    patch = sampler(augmentation="none").draw(1).batch.images_u[0, 0]
    assert patch[1, 0, 0] - patch[0, 0, 0] == 22 * 20
    assert patch[0, 1, 0] - patch[0, 0, 0] == 20


@pytest.mark.parametrize(
    ("shape", "patch", "ends"),
    [
        ((20, 20, 20), (16, 16, 16), (0, 0, 0)),
        ((16, 30, 30), (16, 16, 16), (3, 0, 0)),
        ((16, 20, 21), (16, 16, 16), (3, 1, 0)),  # up to 4 voxels larger: padded too
        ((9, 16, 40), (16, 16, 16), (6, 3, 0)),
    ],
)
def test_padding_follows_the_published_rule(shape, patch, ends):
    x, y, z = ends
    assert padding(shape, patch) == [z, z, y, y, x, x]


@pytest.mark.parametrize("patch", [(16, 32, 16), (32, 16, 16)])
def test_patches_that_are_not_square_can_be_turned(patch, sampler):
    source = sampler(patch=patch)
    for iteration in range(1, 10):
        assert source.draw(iteration).batch.images_l.shape[2:] == patch


def test_a_supervised_run_has_no_unlabelled_patches(sampler):
    batch, labels_u = sampler(unlabelled=0).draw(1)
    assert batch.images_u.shape == (0, 1, 16, 16, 16)
    assert labels_u.shape == (0, 16, 16, 16)


def test_a_batch_says_which_labelled_scans_its_patches_are_from(sampler):
    source = sampler(labelled=5)
    for iteration in range(1, 8):
        batch, _ = source.draw(iteration)
        assert list(batch.scans_l) == scans_in(batch.images_l)


def eight_bit_volume(number: int, shape=(24, 22, 20)) -> Volume:
    """A z-scored scan of whole numbers from 0 to 255, as most of LA's are."""
    random = np.random.default_rng(number)
    image = random.integers(0, 256, shape).astype(np.float32)
    return Volume((image - image.mean()) / image.std(), (image > 200).astype(np.uint8))


def test_scans_kept_as_bytes_give_the_same_patches_as_scans_kept_as_numbers(
    tiny_training, monkeypatch
):
    scans = [eight_bit_volume(number) for number in range(5)]
    device = torch.device("cpu")
    as_bytes = TwoStreamSampler(scans[:2], scans[2:], tiny_training, 0, device)
    monkeypatch.setattr(sampling, "encode", lambda image: None)
    as_numbers = TwoStreamSampler(scans[:2], scans[2:], tiny_training, 0, device)
    assert {scan.voxels.dtype for scan in as_bytes.labelled} == {torch.uint8}
    assert {scan.voxels.dtype for scan in as_numbers.labelled} == {torch.float32}
    for iteration in range(1, 20):
        one, other = as_bytes.draw(iteration), as_numbers.draw(iteration)
        assert torch.equal(one.batch.images_l, other.batch.images_l)
        assert torch.equal(one.batch.images_u, other.batch.images_u)
        assert torch.equal(one.batch.labels_l, other.batch.labels_l)


@settings(max_examples=50, deadline=None)
@given(distinct=st.integers(1, 300), seed=st.integers(0, 1_000))
def test_at_most_256_intensities_are_kept_as_bytes_and_none_is_lost(distinct, seed):
    random = np.random.default_rng(seed)
    levels = np.unique(random.normal(size=distinct).astype(np.float32))
    image = random.choice(levels, size=(9, 10, 11))
    encoded = encode(image)
    if len(np.unique(image)) > 256:
        assert encoded is None
    else:
        codes, values = encoded
        assert codes.dtype == np.uint8
        np.testing.assert_array_equal(values[codes], image)
