"""URPC: settings, schedules, the step, and each difference of paper and public code both ways."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import urpc as losses
from sgrs_core.methods.urpc import UncertaintyRectifiedPyramidConsistency, UrpcSettings
from sgrs_core.training.loop import set_learning_rates


def new_method(run: TrainingSettings, **settings) -> UncertaintyRectifiedPyramidConsistency:
    torch.manual_seed(0)
    return UncertaintyRectifiedPyramidConsistency(run, UrpcSettings(**settings))


def batch() -> Batch:
    images = torch.randn(4, 1, 32, 16, 16, generator=torch.Generator().manual_seed(3))
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:])


def random_outputs(seed: int = 1) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 2, 4, 3, 2, generator=generator) for _ in range(4)]


def test_the_step_is_supervised_plus_weighted_consistency(tiny_training):
    method = new_method(replace(tiny_training, dropout=0.0)).train()
    patches = batch()
    labelled, unlabelled = method.network(patches.images_l), method.network(patches.images_u)
    supervised, _ = method.supervised_loss(labelled, patches.labels_l)
    consistency, _, m = method.consistency_loss(unlabelled)
    output = method.step(patches, 3)
    expected = supervised + method.weight(3) * consistency
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    mean = torch.stack([torch.softmax(o, dim=1) for o in unlabelled]).mean(0)
    torch.testing.assert_close(m, mean.detach())
    assert torch.equal(output.observed["pseudo_labels"], m.argmax(dim=1))


def test_supervision_is_half_the_mean_of_cross_entropy_and_dice_over_scales(tiny_training):
    # Even logits everywhere: p = 1/2; half of the voxels are foreground.
    outputs = [torch.zeros(1, 2, 2, 2, 2)] * 4
    label = torch.tensor([0, 1] * 4).view(1, 2, 2, 2)
    loss, terms = new_method(tiny_training).supervised_loss(outputs, label)
    assert terms["cross_entropy"].item() == pytest.approx(0.693147, abs=1e-6)  # ln 2
    assert terms["dice"].item() == pytest.approx(1 - 2 * 2 / (2 + 4), abs=1e-5)  # per class
    assert loss.item() == pytest.approx(0.5 * (0.693147 + 1 / 3), abs=1e-5)


@pytest.mark.parametrize("name", ["divergence", "distance", "uncertainty"])
def test_each_difference_changes_the_consistency_as_the_paper_prints_it(name, tiny_training):
    outputs = random_outputs()
    released = new_method(tiny_training).consistency_loss(outputs)[1]
    paper = new_method(tiny_training, **{name: "paper"}).consistency_loss(outputs)[1]
    log_p = [torch.log_softmax(o, dim=1) for o in outputs]
    log_m = torch.stack(log_p).exp().mean(0).log()
    if name == "divergence":
        reverse = [(p.exp() * (p - log_m)).sum(1).mean() for p in log_p]
        assert paper["uncertainty"].item() == pytest.approx(torch.stack(reverse).mean().item())
        assert not torch.equal(paper["rectified_distance"], released["rectified_distance"])
    elif name == "distance":
        ratio = paper["rectified_distance"] / released["rectified_distance"]
        assert ratio.item() == pytest.approx(2)
        assert torch.equal(paper["uncertainty"], released["uncertainty"])
    else:
        norms = [losses.divergence(log_m, p).square().sum().sqrt() for p in log_p]
        assert paper["uncertainty"].item() == pytest.approx(torch.stack(norms).mean().item())
        assert torch.equal(paper["rectified_distance"], released["rectified_distance"])


@pytest.mark.parametrize(("lag", "factors"), [(1, [1, 1, 0.9, 0.8]), (0, [1, 0.9, 0.8, 0.7])])
def test_the_learning_rate_falls_to_zero_over_the_run_as_the_optimiser_uses_it(
    lag, factors, tiny_training
):
    method = new_method(replace(tiny_training, iterations=10), rate_lag=lag)
    (optimizer,) = method.optimizers()
    used = []
    for iteration in range(1, 5):
        set_learning_rates(method, [optimizer], iteration)
        used.append(optimizer.param_groups[0]["lr"])
    assert used == pytest.approx([0.1 * factor**0.9 for factor in factors])
    assert method.learning_rate(11 + lag) == method.learning_rate(100) == 0


def test_a_short_run_keeps_the_proportions_of_the_weight():
    long = new_method(TrainingSettings(iterations=15_000, base_filters=1))
    short = new_method(TrainingSettings(iterations=2_400, ramp_block=24, base_filters=1))
    for block in (0, 1, 50, 99, 100):
        weight = long.weight(150 * block + 1)
        assert short.weight(24 * block + 1) == pytest.approx(weight)
    assert long.weight(1) == pytest.approx(0.1 * 0.0067379, rel=1e-4)
    assert long.weight(15_000) < long.weight(15_001) == pytest.approx(0.1)


def test_ramp_blocks_end_the_ramp_early():
    method = new_method(TrainingSettings(base_filters=1), ramp_blocks=40)
    assert method.weight(6_000) < method.weight(6_001) == method.weight(15_000) == 0.1


def test_a_run_shorter_than_one_block_has_a_ramp_of_one_block():
    method = new_method(TrainingSettings(iterations=3, base_filters=1))
    assert method.weight(3) == method.weight(1) < method.weight(151)


@pytest.mark.parametrize("network", ["unet", "vnet"])
def test_the_finest_scale_alone_predicts(network, tiny_training):
    method = new_method(tiny_training, network=network).eval()
    images = batch().images_u
    expected = torch.softmax(method.network(images)[0], dim=1)[:, 1]
    assert torch.equal(method.predict(images), expected)


@pytest.mark.parametrize("network", ["unet", "vnet"])
def test_a_step_reaches_every_parameter(network, tiny_training):
    method = new_method(tiny_training, network=network).train()
    method.step(batch(), 1).loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert any(parameter.grad.abs().sum() > 0 for parameter in method.network.heads.parameters())


def test_losses_stay_in_float32_under_low_precision(tiny_training):
    method = new_method(tiny_training).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(batch(), 1)
    output.loss.backward()
    assert {term.dtype for term in (output.loss, *output.terms.values())} == {torch.float32}
    assert torch.isfinite(output.loss)
