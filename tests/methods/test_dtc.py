"""Dual-task consistency: distance maps, losses by hand, both signs, schedules of any length."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor

from sgrs_core.data.batch import Batch
from sgrs_core.data.masks import largest_component
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.dtc import distance_to_mask, signed_distance
from sgrs_core.methods.dtc import DtcSettings, DualTaskConsistency
from sgrs_core.training.loop import set_learning_rates


def boxes() -> torch.Tensor:
    """Two patches with a box each, (2, 16, 16, 16)."""
    labels = torch.zeros(2, 16, 16, 16, dtype=torch.int64)
    labels[0, 3:10, 4:12, 5:9] = 1
    labels[1, 0:8, 6:16, 2:14] = 1
    return labels


def batch(images_u: torch.Tensor | None = None) -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], boxes(), images[2:] if images_u is None else images_u)


def dtc(run: TrainingSettings, **settings) -> DualTaskConsistency:
    torch.manual_seed(0)
    return DualTaskConsistency(run, DtcSettings(**settings))


def test_the_signed_distance_of_a_row_of_voxels():
    label = tensor([0, 0, 1, 1, 1, 1, 1, 0, 0, 0]).view(1, 10, 1, 1)
    # outside up to 3 voxels away; inside 1 2 3 2 1, of which the 1s are the boundary
    expected = tensor([2 / 3, 1 / 3, 0, -2 / 3, -1, -2 / 3, 0, 1 / 3, 2 / 3, 1])
    torch.testing.assert_close(signed_distance(label).flatten(), expected)


def test_the_signed_distance_goes_through_the_air():
    label = torch.zeros(1, 3, 4, 1, dtype=torch.int64)
    label[0, 0, 0, 0] = 1
    expected = torch.sqrt(torch.arange(3.0)[:, None] ** 2 + torch.arange(4.0) ** 2) / 13**0.5
    torch.testing.assert_close(signed_distance(label)[0, :, :, 0], expected)


def test_an_empty_patch_lies_on_the_boundary_everywhere():
    labels = boxes()
    labels[0] = 0
    distance = signed_distance(labels)
    assert torch.equal(distance[0], torch.zeros(16, 16, 16))
    assert torch.equal(distance[1:], signed_distance(labels[1:]))


def test_a_patch_without_background_is_an_error_that_names_it():
    labels = boxes()
    labels[1] = 1
    with pytest.raises(ValueError, match=r"labelled patch 2 of 2 .*no background"):
        signed_distance(labels)


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_the_sign_says_the_side_and_the_extremes_are_one(seed, density):
    generator = np.random.default_rng(seed)
    label = torch.from_numpy((generator.random((1, 5, 6, 4)) < density).astype(np.int64))
    label[0, 0, 0, 0], label[0, -1, -1, -1] = 0, 1
    distance = signed_distance(label)
    assert distance[label == 0].min() > 0
    assert distance[label == 0].max() == 1
    assert distance[label == 1].max() <= 0
    assert distance.min() >= -1


def test_the_mask_of_a_target_is_the_label_and_half_on_its_boundary():
    labels = boxes()
    distance = signed_distance(labels)
    mask = distance_to_mask(distance, 1500.0)
    off_boundary = distance != 0
    torch.testing.assert_close(mask[off_boundary], labels[off_boundary].float())
    assert (mask[~off_boundary] == 0.5).all()


def test_losses_of_a_hand_computed_case(tiny_training):
    method = dtc(tiny_training, slope=2.0, distance_weight=0.5)
    label = tensor([1, 0]).view(1, 2, 1, 1)  # S = 0, 1
    logit = tensor([[0.0, 0.0], [0.0, 0.0]]).view(2, 2, 1, 1)  # q = 0.5
    d = tensor([[0.2, 0.6], [0.0, math.log(3) / 2]]).view(2, 2, 1, 1)
    loss, terms = method.labelled_loss(d, logit, label)
    torch.testing.assert_close(terms["dice"], tensor(1 - 1 / 1.5))  # 2 * 0.5 / (2 * 0.25 + 1)
    torch.testing.assert_close(terms["distance"], tensor(0.1))  # mean of 0.04 and 0.16
    torch.testing.assert_close(terms["cross_entropy"], tensor(math.log(2)))
    torch.testing.assert_close(loss, tensor(1 / 3 + 0.05))
    # m = sigmoid(0) = 0.5 and sigmoid(-log 3) = 0.25 in the second patch
    consistency = method.consistency(d[1:], logit[1:])
    torch.testing.assert_close(consistency, tensor(0.25**2 / 2))


@pytest.mark.parametrize(("transform", "loss"), [("released", 0.0), ("paper", 1.0)])
def test_only_the_released_sign_makes_both_masks_the_foregrounds(transform, loss, tiny_training):
    labels = boxes()
    distance = torch.where(labels == 1, -0.5, 0.5)
    logit = torch.where(labels == 1, 50.0, -50.0)
    value = dtc(tiny_training, transform=transform).consistency(distance, logit)
    assert value.item() == pytest.approx(loss, abs=1e-6)


def test_consistency_moves_both_heads_where_the_distance_is_near_zero(tiny_training):
    d = tensor([0.0, 0.3]).view(1, 2, 1, 1).requires_grad_()
    logit = tensor([1.0, 1.0]).view(1, 2, 1, 1).requires_grad_()
    dtc(tiny_training).consistency(d, logit).backward()
    assert d.grad is not None
    assert d.grad.flatten()[0] != 0
    assert d.grad.flatten()[1] == 0
    assert (logit.grad != 0).all()


def test_unlabelled_patches_reach_the_consistency_loss_and_no_other(tiny_training):
    run = replace(tiny_training, dropout=0.0)
    method = dtc(run).eval()
    one = method.step(batch(), 1).terms
    other = method.step(batch(torch.ones(2, 1, 16, 16, 16)), 1).terms
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert changed == {"consistency"}


def test_losses_are_float32_when_the_network_is_not(tiny_training):
    with torch.autocast("cpu", torch.bfloat16):
        method = dtc(tiny_training)
        output = method.step(batch(), 1)
        distance, logit = method.network(batch().images_u)
    assert output.loss.dtype == distance.dtype == logit.dtype == torch.float32
    assert torch.isfinite(output.loss)


@pytest.mark.parametrize("iterations", [1, 8, 100, 6_000, 15_000])
def test_schedules_stretch_over_the_run(iterations):
    method = dtc(TrainingSettings(iterations=iterations, base_filters=2))
    moments = [1 + round(part * (iterations - 1)) for part in (0, 0.2, 0.41, 0.43, 0.82, 0.84, 1)]
    weights = [method.weight(moment) for moment in moments]
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(math.exp(-5))
    assert weights[-1] < 1
    if iterations >= 100:
        falls = [method.learning_rate(moment) / 0.01 for moment in moments]
        assert falls == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    if iterations >= 6_000:
        assert weights[-1] > 0.99


def test_the_optimizer_follows_the_schedule(tiny_training):
    method = dtc(replace(tiny_training, iterations=12, learning_rate=0.5))
    (optimizer,) = method.optimizers()
    rates = []
    for iteration in range(1, 13):
        set_learning_rates(method, [optimizer], iteration)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5] * 5 + [0.05] * 5 + [0.005] * 2)
    constant = dtc(tiny_training, rate_factor=1.0)
    assert constant.learning_rate(8) == constant.learning_rate(1)


def test_the_largest_component_is_joined_by_corners_and_the_first_of_equals():
    mask = np.zeros((6, 5, 5), np.bool_)
    mask[1, 3, 3] = mask[2, 4, 4] = True  # a diagonal of two
    mask[5, 0, 0:2] = True  # as large, later
    mask[0, 0, 0] = True  # first, smaller
    kept = largest_component(mask)
    assert sorted(map(tuple, np.argwhere(kept).tolist())) == [(1, 3, 3), (2, 4, 4)]
    assert not largest_component(np.zeros((2, 2, 2), np.bool_)).any()
