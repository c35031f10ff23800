"""URPC's losses: two voxels by hand, and what must hold for all outputs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sgrs_core.losses import urpc as losses


def log_probabilities(*foreground: float) -> Tensor:
    """Voxels in a row, two classes: (1, 2, voxels, 1, 1)."""
    p = torch.tensor(foreground, dtype=torch.float64)
    return torch.stack([1 - p, p]).log().view(1, 2, -1, 1, 1)


def random_scales(seed: int, classes: int = 2, spread: float = 2.0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, classes, 3, 2, 2)
    logits = [spread * torch.randn(shape, generator=generator) for _ in range(4)]
    return [torch.log_softmax(scale, dim=1) for scale in logits]


def consistency(log_p: list[Tensor], released: bool = True) -> Tensor:
    log_m = losses.log_mean(log_p)
    terms = []
    for scale in log_p:
        d = losses.divergence(log_m, scale, released)
        distance = losses.squared_distance(log_m, scale, released)
        terms.append(losses.rectified(distance, d) + losses.minimised_uncertainty(d, released))
    return torch.stack(terms).mean()


# First voxel: p_1 = (0.5, 0.5), p_2 = (0.9, 0.1), so m = (0.7, 0.3). Second: all (0.5, 0.5).
P_1, P_2 = log_probabilities(0.5, 0.5), log_probabilities(0.1, 0.5)
M = log_probabilities(0.3, 0.5)


def test_the_mean_of_the_scales_by_hand():
    torch.testing.assert_close(losses.log_mean([P_1, P_2]), M)


def test_divergence_by_hand():
    released, paper = (losses.divergence(M, P_2, form).flatten().tolist() for form in (True, False))
    assert released == pytest.approx([0.7 * math.log(7 / 9) + 0.3 * math.log(3), 0])  # 0.1537
    assert paper == pytest.approx([0.9 * math.log(9 / 7) + 0.1 * math.log(1 / 3), 0])  # 0.1163


def test_squared_distance_by_hand():
    released, paper = (losses.squared_distance(M, P_2, form).flatten() for form in (True, False))
    assert released.tolist() == pytest.approx([0.04, 0])
    assert paper.tolist() == pytest.approx([0.08, 0])


def test_rectified_distance_and_uncertainty_by_hand():
    d = losses.divergence(M, P_2)
    w = 0.857561  # exp(-0.153664); the second voxel's is 1
    rectified = losses.rectified(losses.squared_distance(M, P_2), d)
    assert rectified.item() == pytest.approx(0.04 * w / (w + 1), rel=1e-5)
    assert losses.minimised_uncertainty(d).item() == pytest.approx(0.153664 / 2, rel=1e-5)
    assert losses.minimised_uncertainty(d, released=False).item() == pytest.approx(
        0.153664, rel=1e-5
    )


@pytest.mark.parametrize("released", [True, False])
@given(st.integers(0, 2**16))
def test_consistency_is_not_negative_and_does_not_know_the_scales_order(released, seed):
    log_p = random_scales(seed)
    loss = consistency(log_p, released).item()
    assert loss > 0
    assert consistency(log_p[::-1], released).item() == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("released", [True, False])
def test_scales_that_agree_cost_nothing(released):
    log_p = random_scales(0)[:1] * 4
    assert consistency(log_p, released).item() == pytest.approx(0, abs=1e-5)


def test_nothing_is_detached():
    logits = [torch.randn(1, 2, 2, 2, 2).requires_grad_() for _ in range(4)]
    log_p = [torch.log_softmax(scale, dim=1) for scale in logits]
    log_m = losses.log_mean(log_p)
    d = losses.divergence(log_m, log_p[0])
    losses.rectified(torch.ones_like(d).cumsum(2), d).backward()  # the weights alone
    assert all(scale.grad.abs().sum() > 0 for scale in logits)


@pytest.mark.parametrize("released", [True, False])
def test_sure_and_opposed_scales_stay_finite_with_their_gradients(released):
    sure = torch.tensor([400.0, -400.0]).view(1, 2, 1, 1, 1)
    logits = [(sign * sure).requires_grad_() for sign in (1, 1, -1, -1)]
    loss = consistency([torch.log_softmax(scale, dim=1) for scale in logits], released)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(scale.grad).all() for scale in logits)


@given(st.integers(0, 2**16), st.integers(2, 3))
def test_the_dice_loss_lies_between_0_and_1_and_treats_classes_alike(seed, classes):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 3, 2, 2, generator=generator)
    label = torch.randint(classes, (2, 3, 2, 2), generator=generator)
    loss = losses.class_mean_dice(logits, label).item()
    assert 0 <= loss <= 1
    mirrored = losses.class_mean_dice(logits.flip(1), classes - 1 - label)
    assert mirrored.item() == pytest.approx(loss, rel=1e-5)
