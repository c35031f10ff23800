import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.mcnet_plus import mutual_consistency, sharpen
from sgrs_core.methods.mcnet_plus import McNetPlus, McNetPlusSettings, labelled_dice
from sgrs_core.networks.mcnet_plus import NEAREST, TRILINEAR, ThreeDecoderVNet

TEMPERATURES = st.floats(0.01, 1)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:])


def new_method(run: TrainingSettings, **settings) -> McNetPlus:
    torch.manual_seed(0)
    return McNetPlus(run, McNetPlusSettings(**settings))


def one_voxel(foreground: float) -> torch.Tensor:
    """The probabilities of a patch of one voxel, (1, 2, 1, 1, 1)."""
    return torch.tensor([1 - foreground, foreground], dtype=torch.float64).view(1, 2, 1, 1, 1)


def random_probabilities(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.softmax(3 * torch.randn(2, 2, 3, 3, 3, generator=generator), 1) for _ in range(3)]


def test_sharpening_of_hand_made_values():
    # 0.8^2 / (0.8^2 + 0.2^2) = 0.64 / 0.68
    sharpened = sharpen(torch.tensor([0.0, 0.2, 0.5, 0.8, 1.0]), temperature=0.5)
    expected = torch.tensor([0, 0.04 / 0.68, 0.5, 0.64 / 0.68, 1])
    torch.testing.assert_close(sharpened, expected)


@given(st.floats(0, 1), TEMPERATURES)
def test_sharpening_moves_away_from_a_half_and_treats_both_classes_alike(p, temperature):
    p = torch.tensor(p, dtype=torch.float64)
    sharpened = sharpen(p, temperature)
    assert abs(sharpened - 0.5) >= abs(p - 0.5) - 1e-12
    assert (sharpened - 0.5) * (p - 0.5) >= 0
    torch.testing.assert_close(sharpen(1 - p, temperature), 1 - sharpened, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1])
def test_sharpening_and_its_gradient_are_finite_in_float32(temperature):
    p = torch.linspace(0, 1, 1001, requires_grad=True)
    sharpened = sharpen(p, temperature)
    sharpened.sum().backward()
    assert torch.isfinite(sharpened).all()
    assert torch.isfinite(p.grad).all()


def test_mutual_consistency_of_a_hand_computed_voxel():
    # T = 0.5: s(0.5) = 0.5, s(0.8) = 0.64 / 0.68, s(0) = 0. With two classes both channels differ
    # by the same amount, so their mean is that of the foreground.
    s = 0.64 / 0.68
    pairs = [(0.5, s), (0.5, 0), (0.8, 0.5), (0.8, 0), (0, 0.5), (0, s)]
    value = mutual_consistency([one_voxel(p) for p in (0.5, 0.8, 0.0)], 0.5, True).item()
    assert value == pytest.approx(sum((p - target) ** 2 for p, target in pairs))


@given(st.integers(0, 2**16), TEMPERATURES)
def test_the_order_of_the_decoders_does_not_matter(seed, temperature):
    first, second, third = random_probabilities(seed)
    one = mutual_consistency([first, second, third], temperature, True)
    other = mutual_consistency([third, first, second], temperature, True)
    torch.testing.assert_close(one, other)
    assert one > 0


def test_decoders_that_are_sure_and_agree_are_consistent():
    label = torch.randint(2, (1, 1, 4, 4, 4)).float()
    sure = torch.cat([1 - label, label], dim=1)
    assert mutual_consistency([sure] * 3, 0.1, True) == 0
    assert mutual_consistency([sure, sure, 1 - sure], 0.1, True) == 4  # 4 of 6 pairs disagree


def test_targets_carry_gradient_or_not_as_asked():
    values = [p.requires_grad_() for p in (one_voxel(0.6), one_voxel(0.7))]
    mutual_consistency(values, 0.5, gradient_through_targets=False).backward()
    # d/dp_1 of mean over 2 classes of (p_1 - s(p_2))^2 is p_1 - s(p_2), p_1 being the foreground
    expected = 0.6 - 0.49 / 0.58
    assert values[0].grad[0, 1].item() == pytest.approx(expected)
    for value in values:
        value.grad = None
    mutual_consistency(values, 0.5, gradient_through_targets=True).backward()
    # and s(p_1) is compared with p_2; s'(p) = 2 p (1 - p) / (p^2 + (1 - p)^2)^2 where T = 1/2
    expected += (0.36 / 0.52 - 0.7) * 2 * 0.6 * 0.4 / 0.52**2
    assert values[0].grad[0, 1].item() == pytest.approx(expected)


def test_the_dice_losses_of_the_decoders_are_added_and_see_labelled_patches_only():
    label = torch.tensor([1, 0]).view(1, 1, 1, 2)
    foreground = torch.tensor([[0.5, 1.0], [0.3, 0.4]]).view(
        2, 1, 1, 1, 2
    )  # the second: unlabelled
    probability = torch.cat([1 - foreground, foreground], dim=1)
    # 1 - 2 * 0.5 / (1.5 + 1) for each decoder
    torch.testing.assert_close(labelled_dice([probability] * 3, label), torch.tensor(3 * 0.6))


def test_the_loss_is_the_weighted_sum_and_the_weight_follows_the_ramp(tiny_training):
    method = new_method(tiny_training, dice_weight=0.25, consistency_weight=2.0)
    for iteration in (1, 3, 8):
        output = method.step(batch(), iteration)
        terms = output.terms
        assert terms["weight"].item() == pytest.approx(2 * method.rampup(iteration))
        expected = 0.25 * terms["labelled_dice"] + terms["weight"] * terms["consistency"]
        torch.testing.assert_close(output.loss.detach(), expected)


def test_the_published_weight_rises_from_exp_minus_5_to_1_in_40_steps():
    method = McNetPlus(TrainingSettings(base_filters=1))
    weights = {method.weight(t) for t in range(1, 6001)}
    assert len(weights) == 41
    assert min(weights) == pytest.approx(math.exp(-5))
    assert max(weights) == 1


def test_both_forms_of_the_targets_have_one_loss_and_different_gradients(tiny_training):
    results = []
    for targets in ("released", "constant"):
        method = new_method(tiny_training, targets=targets)
        torch.manual_seed(1)
        output = method.step(batch(), 8)
        output.loss.backward()
        results.append((output.loss.item(), method.network.decoders[0].output.bias.grad))
    assert results[0][0] == results[1][0]
    assert not torch.allclose(results[0][1], results[1][1])


def test_the_prediction_is_the_first_decoders_or_the_mean_of_all(tiny_training):
    method = new_method(tiny_training).eval()
    images = batch().images_u
    with torch.no_grad():
        each = [torch.softmax(logits, 1)[:, 1] for logits in method.network(images)]
        torch.testing.assert_close(method.predict(images), each[0])
        method.settings = method.settings.model_copy(update={"prediction": "mean"})
        torch.testing.assert_close(method.predict(images), sum(each) / 3)
    assert not torch.allclose(each[0], each[1])


def test_each_decoder_learns_on_unlabelled_patches(tiny_training):
    method = new_method(tiny_training, dice_weight=0.0)
    method.step(batch(), 8).loss.backward()
    for decoder in method.network.decoders:
        assert decoder.output.weight.grad.abs().max() > 0


def test_losses_stay_in_float32_when_the_network_does_not(tiny_training):
    method = new_method(tiny_training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(batch(), 8)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)


def test_nearest_and_trilinear_doubling_of_a_ramp():
    ramp = torch.tensor([0.0, 3.0]).view(1, 1, 2, 1, 1)
    nearest, trilinear = (kind(1, 1)[0](ramp).flatten()[::4] for kind in (NEAREST, TRILINEAR))
    torch.testing.assert_close(nearest, torch.tensor([0.0, 0, 3, 3]))
    torch.testing.assert_close(trilinear, torch.tensor([0.0, 1, 2, 3]))  # corners stay corners


def test_the_three_outputs_have_the_patchs_sides():
    outputs = ThreeDecoderVNet(base_filters=2)(torch.zeros(2, 1, 32, 16, 16))
    assert [tuple(output.shape) for output in outputs] == [(2, 2, 32, 16, 16)] * 3
