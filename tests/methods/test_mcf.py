import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.mcf import (
    difference_region,
    rectification,
    sharpened_softmax,
    squared_difference,
)
from sgrs_core.methods.mcf import McfSettings, MutualCorrection
from sgrs_core.networks.resnet import BasicBlock
from sgrs_core.training.loop import set_learning_rates
from tests.places import PROJECT

ROOT = PROJECT
PUBLISHED = TrainingSettings(iterations=6_000, base_filters=1)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:])


def new_method(run: TrainingSettings, **settings) -> MutualCorrection:
    torch.manual_seed(0)
    return MutualCorrection(run, McfSettings(**settings))


def row(foregrounds: list[list[float]]) -> torch.Tensor:
    """Logits (B, 2, 1, 1, n) whose softmax has these foreground probabilities, (B, n)."""
    p = torch.tensor(foregrounds)[:, None, None, None, :]
    return torch.cat([torch.log(1 - p), torch.log(p)], dim=1)


def random_logits(seed: int, classes: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, classes, 3, 3, 3, generator=generator)


class Fixed(nn.Module):
    """Stands for a network: whatever the images, these logits."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def with_outputs(vnet: list[list[float]], resnet: list[list[float]], **settings):
    """A method whose networks give these foreground probabilities, at any iteration."""
    method = new_method(PUBLISHED, **settings)
    method.vnet, method.resnet = Fixed(row(vnet)), Fixed(row(resnet))
    return method


def hand_made_step(vnet, resnet, iteration=6_001, **settings):
    """One labelled patch of two voxels, the first of them foreground, and one unlabelled."""
    method = with_outputs(vnet, resnet, **settings)
    images = torch.zeros(2, 1, 1, 1, 2)
    label = torch.tensor([1, 0]).view(1, 1, 1, 2)
    return method, method.step(Batch(images[:1], label, images[1:]), iteration)


def test_a_step_computed_by_hand():
    """V is right about both labelled voxels, R wrong about the second: D is the second voxel."""
    _, output = hand_made_step([[0.8, 0.4], [0.6, 0.9]], [[0.7, 0.6], [0.5, 0.2]])
    ce_v, ce_r = -math.log(0.8 * 0.6) / 2, -math.log(0.7 * 0.4) / 2
    dice_v = 1 - 2 * 0.8 / (0.8**2 + 0.4**2 + 1)
    dice_r = 1 - 2 * 0.7 / (0.7**2 + 0.6**2 + 1)
    rect_v, rect_r = 0.4**2, 0.6**2
    t = [p**10 / (p**10 + (1 - p) ** 10) for p in (0.6, 0.9)]
    consistency = ((0.5 - t[0]) ** 2 + (0.2 - t[1]) ** 2) / 2  # both classes differ equally
    expected = {
        "vnet_cross_entropy": ce_v,
        "resnet_cross_entropy": ce_r,
        "vnet_dice": dice_v,
        "resnet_dice": dice_r,
        "vnet_rectification": rect_v,
        "resnet_rectification": rect_r,
        "consistency": consistency,
        "weight": 0.1,
        "vnet_is_better": 1,
    }
    for name, value in expected.items():
        assert output.terms[name].item() == pytest.approx(value, rel=1e-4), name
    total = ce_v + dice_v + 0.5 * rect_v + ce_r + dice_r + 0.5 * rect_r + 0.1 * consistency
    assert output.loss.item() == pytest.approx(total, rel=1e-4)
    assert output.observed["pseudo_labels"].flatten().tolist() == [1, 1]


def test_the_better_network_teaches_and_learns_nothing_from_it():
    good, poor = [[0.9, 0.1], [0.8, 0.3]], [[0.6, 0.4], [0.5, 0.5]]
    for vnet, resnet in ((good, poor), (poor, good), (good, good)):
        method, output = hand_made_step(vnet, resnet)
        output.loss.backward()
        better, other = method.resnet, method.vnet  # of equals, the ResNet is the better one
        if vnet == good and resnet == poor:
            better, other = other, better
        assert output.terms["vnet_is_better"] == (better is method.vnet)
        assert better.logits.grad[1].abs().max() == 0
        assert other.logits.grad[1].abs().max() > 0


def test_no_gradient_of_one_networks_loss_reaches_the_other():
    """On labelled patches a network's gradient is the same whatever the other's certainty."""
    gradients = []
    for resnet in ([[0.6, 0.4], [0.5, 0.5]], [[0.7, 0.3], [0.1, 0.9]]):
        method, output = hand_made_step([[0.9, 0.1], [0.8, 0.3]], resnet)
        output.loss.backward()
        gradients.append(method.vnet.logits.grad)
    torch.testing.assert_close(*gradients)


def test_difference_region_and_rectification_of_hand_made_voxels():
    first, second = row([[0.9, 0.4, 0.6, 0.1]]), row([[0.8, 0.7, 0.2, 0.2]])
    region = difference_region(first, second)
    assert region.flatten().tolist() == [False, True, True, False]
    label = torch.tensor([1, 1, 0, 0]).view(1, 1, 1, 4)
    values = [
        rectification(torch.softmax(logits, 1)[:, 1], label, region).item()
        for logits in (first, second)
    ]
    assert values == pytest.approx([(0.6**2 + 0.6**2) / 2, (0.3**2 + 0.2**2) / 2])


def test_an_empty_difference_region_costs_nothing():
    p = torch.full((2, 3, 3, 3), 0.3, requires_grad=True)
    label = torch.ones(2, 3, 3, 3, dtype=torch.int64)
    loss = rectification(p, label, torch.zeros_like(label, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert (p.grad == 0).all()


@given(st.integers(0, 2**16), st.floats(0.01, 1), st.integers(2, 4))
def test_sharpening_equals_its_definition_by_powers(seed, temperature, classes):
    logits = random_logits(seed, classes).double()
    powers = torch.softmax(logits, dim=1) ** (1 / temperature)
    expected = powers / powers.sum(dim=1, keepdim=True)
    if torch.isfinite(expected).all():
        torch.testing.assert_close(
            sharpened_softmax(logits, temperature), expected, rtol=1e-6, atol=1e-9
        )


@given(st.integers(0, 2**16), st.floats(0.01, 1))
def test_sharpening_keeps_the_most_probable_class_and_makes_it_surer(seed, temperature):
    logits = random_logits(seed)
    plain, sharp = torch.softmax(logits, 1), sharpened_softmax(logits, temperature)
    assert torch.equal(sharp.argmax(1), plain.argmax(1))
    assert (sharp.amax(1) >= plain.amax(1) - 1e-6).all()
    torch.testing.assert_close(sharp.sum(1), torch.ones_like(sharp[:, 0]))


@given(st.integers(0, 2**16))
def test_the_difference_region_and_its_loss_are_symmetric_and_bounded(seed):
    first, second = random_logits(seed), random_logits(seed + 1)
    region = difference_region(first, second)
    assert torch.equal(region, difference_region(second, first))
    label = first[:, 0].gt(0).long()
    p = [torch.softmax(logits, 1)[:, 1] for logits in (first, second)]
    for one in p:
        assert 0 <= rectification(one, label, region) <= 1
    # Inside D one of the two is right, so one error is at most 1/2 and the other at least 1/2.
    inside = [(one - label).abs()[region] for one in p]
    assert torch.minimum(*inside).le(0.5).all()
    assert torch.maximum(*inside).ge(0.5).all()


def test_squared_difference_is_a_mean_over_patches_classes_and_voxels():
    p, t = torch.zeros(2, 2, 1, 1, 2), torch.zeros(2, 2, 1, 1, 2)
    p[0, 0, 0, 0, 0] = 1
    assert squared_difference(p, t) == 1 / 8


def test_the_published_weight_rises_to_a_tenth_in_40_steps_over_the_whole_run():
    method = new_method(PUBLISHED)
    weights = [method.weight(iteration) for iteration in range(1, 6_002)]
    assert weights == sorted(weights)
    assert len(set(weights[:-1])) == 40
    assert weights[0] == weights[149] < weights[150]
    assert weights[0] == pytest.approx(0.1 * math.exp(-5))
    assert weights[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("iterations", [60, 6_000, 15_000, 60_000])
def test_the_schedules_keep_their_proportion_to_the_run(iterations):
    method = new_method(replace(PUBLISHED, iterations=iterations), learning_rate_drops="punctual")
    published = new_method(PUBLISHED, learning_rate_drops="punctual")
    for tenth in range(10):
        iteration, same = tenth * iterations // 10 + 1, tenth * 600 + 1
        assert method.weight(iteration) == published.weight(same)
        assert method.learning_rate(iteration) == published.learning_rate(same)


def test_the_published_learning_rate_drops_after_2500_iterations_or_one_later():
    released = new_method(PUBLISHED)
    punctual = new_method(PUBLISHED, learning_rate_drops="punctual")
    for n, late, in_time in (
        (0, 0.01, 0.01),
        (2_499, 0.01, 0.01),
        (2_500, 0.01, 0.001),
        (2_501, 0.001, 0.001),
        (5_000, 0.001, 0.0001),
        (5_001, 0.0001, 0.0001),
    ):
        assert released.learning_rate(n + 1) == pytest.approx(late)
        assert punctual.learning_rate(n + 1) == pytest.approx(in_time)


def test_the_optimizer_follows_the_schedule(tiny_training):
    method = new_method(tiny_training, drop_every=750, drop_factor=0.5)  # of 6,000: each iteration
    (optimizer,) = method.optimizers()
    used = []
    for iteration in range(1, 9):
        set_learning_rates(method, [optimizer], iteration)
        used.append(optimizer.param_groups[0]["lr"])
    assert used == [method.learning_rate(iteration) for iteration in range(1, 9)]
    assert used == pytest.approx([0.01, 0.01] + [0.01 * 0.5**k for k in range(1, 7)])


def test_residual_norms_start_at_one_or_at_zero(tiny_training):
    for start, expected in (("released", 1), ("zero", 0)):
        method = new_method(tiny_training, residual_norms=start)
        blocks = [m for m in method.resnet.modules() if isinstance(m, BasicBlock)]
        assert len(blocks) == 16
        assert all((block.residual[-1].weight == expected).all() for block in blocks)
        assert torch.isfinite(method.step(batch(), 1).loss)


def test_the_prediction_is_the_mean_of_both_networks_or_one_of_them(tiny_training):
    method = new_method(tiny_training).eval()
    images = batch().images_u
    with torch.no_grad():
        each = {
            name: torch.softmax(network(images), 1)[:, 1]
            for name, network in (("vnet", method.vnet), ("resnet", method.resnet))
        }
        torch.testing.assert_close(method.predict(images), sum(each.values()) / 2)
        for name, expected in each.items():
            method.settings = method.settings.model_copy(update={"prediction": name})
            torch.testing.assert_close(method.predict(images), expected)
    assert not torch.allclose(*each.values())


def test_the_logged_learning_rate_is_the_one_in_use(tiny_training):
    method = new_method(tiny_training)
    for iteration in (1, 8):
        logged = method.step(batch(), iteration).terms["learning_rate"].item()
        assert logged == pytest.approx(method.learning_rate(iteration))


def test_losses_stay_in_float32_when_the_networks_do_not(tiny_training):
    method = new_method(tiny_training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(batch(), 8)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)
