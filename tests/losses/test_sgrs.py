"""Each loss against a reference that walks over voxels, as the equation is printed."""

import math

import pytest
import torch
from torch import Tensor

from sgrs_core.losses import sgrs
from sgrs_core.losses.common import cross_entropy_map

EPSILON, ETA = 0.2, 20.0


@pytest.fixture
def case() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Logits, probabilities, labels and a region of two small patches with two classes."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 2, 3, 2, 2, generator=generator)
    label = torch.randint(2, (2, 3, 2, 2), generator=generator)
    mask = torch.rand(2, 3, 2, 2, generator=generator) > 0.4
    return logits, torch.softmax(logits, 1), label, mask


def voxels(label: Tensor) -> list[tuple[int, ...]]:
    return [tuple(place) for place in torch.ones_like(label).nonzero().tolist()]


def test_partial_cross_entropy_averages_over_all_voxels_of_the_patch(case):
    logits, probability, label, mask = case
    total = sum(
        -math.log(probability[b, label[b, x, y, z], x, y, z])
        for b, x, y, z in voxels(label)
        if mask[b, x, y, z]
    )
    expected = total / label.numel()
    assert sgrs.partial_cross_entropy(logits, label, mask).item() == pytest.approx(expected)


@pytest.mark.parametrize("eta", [0.0, ETA])
def test_partial_dice_is_equation_11_and_with_eta_equation_16(case, eta):
    _, probability, label, mask = case
    overlap = size = 0.0
    for b, x, y, z in voxels(label):
        if mask[b, x, y, z]:
            for j in range(2):
                p, target = probability[b, j, x, y, z].item(), float(label[b, x, y, z] == j)
                overlap += p * target
                size += p**2 + target**2
    expected = 1 - 2 * overlap / (size + eta)
    loss = sgrs.partial_dice(probability, label, mask, eta)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_noise_robust_cross_entropy_is_against_the_smoothed_label(case):
    logits, probability, label, mask = case
    total = 0.0
    for b, x, y, z in voxels(label):
        if mask[b, x, y, z]:
            for j in range(2):
                target = (1 - EPSILON) * float(label[b, x, y, z] == j) + EPSILON / 2
                total -= target * math.log(probability[b, j, x, y, z])
    loss = sgrs.partial_cross_entropy(logits, label, mask, EPSILON)
    assert loss.item() == pytest.approx(total / label.numel(), rel=1e-5)


def test_released_noise_robust_cross_entropy_averages_over_all_pairs_of_samples(case):
    logits, _, label, mask = case
    losses = cross_entropy_map(logits, label, EPSILON)
    pairs = losses * mask.unsqueeze(1)  # (B, X, Y, Z) * (B, 1, X, Y, Z) -> (B, B, X, Y, Z)
    assert pairs.shape == (2, 2, 3, 2, 2)
    loss = sgrs.released_noise_robust_cross_entropy(logits, label, mask, EPSILON)
    torch.testing.assert_close(loss, pairs.mean())


def test_released_labelled_dice_cannot_fall_below_a_half():
    label = torch.randint(2, (2, 4, 4, 4))
    perfect = torch.nn.functional.one_hot(label, 2).movedim(-1, 1).float()
    assert sgrs.released_labelled_dice(perfect, label).item() == pytest.approx(0.5)


@pytest.mark.parametrize("smooth", [1.0, ETA])
def test_released_partial_dice_counts_per_sample_and_class(case, smooth):
    _, probability, label, mask = case
    losses = []
    for b in range(2):
        for j in range(2):
            p, inside = probability[b, j][mask[b]], (label[b] == j)[mask[b]].float()
            tp, fp, fn = (p * inside).sum(), (p * (1 - inside)).sum(), ((1 - p) * inside).sum()
            losses.append(1 - (2 * tp + smooth) / (2 * tp + fp + fn + smooth + 1e-8))
    loss = sgrs.released_partial_dice(probability, label, mask, smooth)
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_an_empty_region_contributes_nothing_to_loss_or_gradient(case):
    logits, _, label, mask = case
    nothing = torch.zeros_like(mask)
    logits = logits.clone().requires_grad_()
    probability = torch.softmax(logits, 1)
    losses = [
        sgrs.partial_cross_entropy(logits, label, nothing),
        sgrs.partial_dice(probability, label, nothing),
        sgrs.partial_dice(probability, label, nothing, ETA),
        sgrs.partial_cross_entropy(logits, label, nothing, EPSILON),
        sgrs.released_noise_robust_cross_entropy(logits, label, nothing, EPSILON),
        sgrs.released_partial_dice(probability, label, nothing, 1.0),
    ]
    total = torch.stack(losses).sum()
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-6)
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_perfect_probabilities_have_no_dice_loss_without_eta(case):
    _, _, label, mask = case
    perfect = torch.nn.functional.one_hot(label, 2).movedim(-1, 1).float()
    assert sgrs.partial_dice(perfect, label, mask).item() == pytest.approx(0, abs=1e-6)
    damped = sgrs.partial_dice(perfect, label, mask, ETA).item()
    inside = 2 * mask.sum().item()
    assert damped == pytest.approx(1 - inside / (inside + ETA))
