import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import cobionet as losses
from sgrs_core.methods import new_method
from sgrs_core.methods.cobionet import CoBioNet, CoBioNetSettings
from sgrs_core.networks.critic import Critic, critic_probability, frozen_critic_probability
from sgrs_core.training.loop import take_step

PUBLISHED = TrainingSettings()


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:])


def build(run: TrainingSettings, labelled_scans: int = 4, **settings) -> CoBioNet:
    torch.manual_seed(0)
    return CoBioNet(run, CoBioNetSettings(**settings), labelled_scans)


def a_step(method: CoBioNet, iteration: int = 8):
    torch.manual_seed(1)
    return method.step(batch(), iteration)


def voxels(*values: float) -> torch.Tensor:
    """A patch of a few voxels in a row, (1, 1, 1, n)."""
    return torch.tensor(values).view(1, 1, 1, -1)


def gradients(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in module.parameters()]


# Losses


def test_losses_of_two_hand_computed_voxels():
    p, q = voxels(0.5, 0.8), voxels(0.25, 1.0)
    each = [math.log(2), -math.log(0.8)]  # the first: p = 1/2 costs log 2 whatever q is
    mean = sum(each) / 2
    one = torch.tensor([[[[True, False]]]])
    assert losses.difference_loss(p, q).item() == pytest.approx(mean)
    assert losses.scalar_masked_loss(p, q, one).item() == pytest.approx(0.5 * mean)
    assert losses.voxel_masked_loss(p, q, one).item() == pytest.approx(0.5 * each[0])
    # Dice loss: 1 - 2 * 0.8 / (1.3 + 1)
    label = torch.tensor([[[[0, 1]]]])
    expected = mean + 1 - (1.6 + 1e-5) / (2.3 + 1e-5)
    assert losses.supervised_loss(p, label).item() == pytest.approx(expected)
    assert losses.generator_loss(p).item() == pytest.approx(mean)
    critic = 0.5 * (mean + (math.log(2) - math.log(0.2)) / 2)
    assert losses.critic_loss(p, p).item() == pytest.approx(critic)


def test_a_saturated_probability_costs_100_and_has_no_gradient():
    x = voxels(30.0, -200.0, 2.0).requires_grad_()
    losses.probability_cross_entropy(torch.sigmoid(x), voxels(0.0, 1.0, 0.0)).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0, 0, 1 / (1 + math.exp(-2))])
    cost = losses.probability_cross_entropy(torch.sigmoid(x), voxels(0.0, 1.0, 0.0)).flatten()
    assert cost[:2].tolist() == [100, 100]
    # kept inside [1e-8, 1 - 1e-7], it costs what float32 makes of log 1e-7
    assert losses.difference_loss(torch.sigmoid(x[..., :1]), voxels(0.0)).item() == pytest.approx(
        -math.log(1e-7), rel=0.02
    )


@settings(deadline=None)  # the first call loads what it needs
@given(st.integers(0, 2**16))
def test_masks_of_all_or_no_voxels_make_both_forms_equal(seed):
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.rand(2, 2, 3, 3, 3, generator=generator)
    for trusted in (torch.ones(p.shape, dtype=torch.bool), torch.zeros(p.shape, dtype=torch.bool)):
        scalar, voxel = (
            kind(p, q, trusted) for kind in (losses.scalar_masked_loss, losses.voxel_masked_loss)
        )
        torch.testing.assert_close(scalar, voxel)


@settings(deadline=None)  # the first call loads what it needs
@given(st.integers(0, 2**16))
def test_no_gradient_reaches_the_other_network(seed):
    generator = torch.Generator().manual_seed(seed)
    p, q = (torch.rand(1, 2, 2, 2, generator=generator).requires_grad_() for _ in range(2))
    everywhere = torch.ones(p.shape, dtype=torch.bool)
    total = losses.difference_loss(p, q) + losses.scalar_masked_loss(p, q, everywhere)
    (total + losses.voxel_masked_loss(p, q, everywhere)).backward()
    assert q.grad is None
    assert p.grad.abs().max() > 0


# Networks


def test_sizes_at_full_width():
    method = build(PUBLISHED)
    assert [len(list(network.parameters())) for network in method.networks] == [118, 118]
    counts = [
        [sum(p.numel() for p in module.parameters()) for module in modules]
        for modules in (method.networks, method.critics)
    ]
    assert counts == [[9_448_849] * 2, [2_866] * 2]


def test_a_critic_knows_no_neighbours():
    torch.manual_seed(0)
    critic, p = Critic().train(), torch.rand(2, 4, 4, 4)
    shuffled = torch.randperm(p.numel())
    expected = critic_probability(critic, p).flatten()[shuffled].view(p.shape)
    torch.testing.assert_close(
        critic_probability(critic, p.flatten()[shuffled].view(p.shape)), expected
    )


def test_a_constant_critic_gives_the_same_probability_and_keeps_no_gradient():
    torch.manual_seed(0)
    critic, p = Critic(), torch.rand(2, 4, 4, 4, requires_grad=True)
    result = frozen_critic_probability(critic, p)
    torch.testing.assert_close(result, critic_probability(critic, p))
    result.sum().backward()
    assert p.grad is not None
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_both_networks_start_from_weights_of_their_own(tiny_training):
    first, second = build(tiny_training).networks
    assert not torch.equal(first.decoder.output.weight, second.decoder.output.weight)


# The step


def test_the_loss_is_the_weighted_sum_of_both_networks_terms(tiny_training):
    method = build(tiny_training, supervised_weight=2.0, generator_weight=0.5, mutual_weight=0.3)
    for iteration in (1, 3, 8):
        output = method.step(batch(), iteration)
        terms, weight = output.terms, 0.3 * method.rampup(iteration)
        assert terms["weight"].item() == pytest.approx(weight)
        expected = sum(
            2 * terms[f"supervised{k}"]
            + weight
            * (terms[f"difference{k}"] + terms[f"masked{k}"] + 0.5 * terms[f"generator{k}"])
            for k in (1, 2)
        )
        torch.testing.assert_close(output.loss.detach(), expected)


def test_the_log_shows_what_is_trusted_and_the_pseudo_labels(tiny_training):
    method = build(tiny_training, threshold=0.5)
    output = a_step(method)
    for k in (1, 2):
        trusted = output.observed[f"region_trusted{k}"]
        assert trusted.shape == (2, 16, 16, 16)
        assert 0 < trusted.float().mean() < 1
    assert set(output.observed["pseudo_labels"].unique().tolist()) <= {0, 1}


class Convinced(nn.Module):
    """A critic that says the same of every voxel."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = logit

    def forward(self, probability: torch.Tensor) -> torch.Tensor:
        return self.logit + 0 * probability


@pytest.mark.parametrize(("logit", "trusts"), [(-1.0, False), (1.0, True)])
def test_networks_learn_from_each_other_only_where_something_is_trusted(
    logit, trusts, tiny_training
):
    method = build(tiny_training, supervised_weight=0.0, generator_weight=0.0)
    method.critics = nn.ModuleList(Convinced(logit) for _ in range(2))  # sigmoid: 0.27 or 0.73
    output = a_step(method)
    output.loss.backward()
    for k, network in enumerate(method.networks, start=1):
        assert bool(output.observed[f"region_trusted{k}"].all()) is trusts
        assert bool(network.decoder.output.weight.grad.abs().max() > 0) is trusts


def test_a_logged_difference_counts_in_the_loss_and_not_in_the_gradient(tiny_training):
    results = {}
    for difference in ("logged", "trained"):
        method = build(tiny_training, difference=difference)
        output = a_step(method)
        output.loss.backward()
        results[difference] = output.loss.item(), gradients(method.networks)[0]
    assert results["logged"][0] == results["trained"][0]
    assert not torch.allclose(results["logged"][1], results["trained"][1])
    method = build(tiny_training, supervised_weight=0.0, generator_weight=0.0)
    method.critics = nn.ModuleList(Convinced(-1.0) for _ in range(2))
    output = a_step(method)  # nothing but the difference is left
    assert output.loss > 0
    output.loss.backward()
    assert all(torch.all(gradient == 0) for gradient in gradients(method.networks))


def test_a_mask_of_voxels_differs_from_one_number(tiny_training):
    scalar, voxel = (
        a_step(build(tiny_training, mask=mask, threshold=0.5)) for mask in ("scalar", "voxel")
    )
    assert torch.equal(scalar.observed["region_trusted1"], voxel.observed["region_trusted1"])
    kappa = scalar.observed["region_trusted1"].float().mean()
    assert 0 < kappa < 1
    torch.testing.assert_close(scalar.terms["masked1"], kappa * scalar.terms["difference1"])
    assert not torch.isclose(scalar.terms["masked1"], voxel.terms["masked1"])


# Critics


def critics_after(run: TrainingSettings, critics: str) -> tuple[CoBioNet, list[torch.Tensor]]:
    method = build(run, critics=critics)
    before = [parameter.detach().clone() for parameter in method.critics.parameters()]
    optimizers = method.optimizers()
    a_step(method).loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    return method, before


def test_published_critics_never_change(tiny_training):
    method, before = critics_after(tiny_training, "frozen")
    assert len(method.optimizers()) == 1
    assert all(torch.equal(p, q) for p, q in zip(method.critics.parameters(), before, strict=True))


def test_critics_that_learn_get_the_gradient_of_their_own_loss_alone(tiny_training):
    method, before = critics_after(tiny_training, "trained")
    assert len(method.optimizers()) == 2
    for p, q in zip(method.critics.parameters(), before, strict=True):
        assert not torch.equal(p, q)
    reference = build(tiny_training, critics="trained")
    torch.manual_seed(1)
    for view in reference.views(batch()):
        on_outputs = critic_probability(view.critic, view.everything.detach())
        on_labels = critic_probability(view.critic, batch().labels_l.float())
        losses.critic_loss(on_labels, on_outputs).backward()
    for mine, expected in zip(gradients(method.critics), gradients(reference.critics), strict=True):
        torch.testing.assert_close(mine, expected)


def test_a_critic_that_learns_tells_labels_from_outputs():
    torch.manual_seed(0)
    critic, outputs = Critic(), torch.rand(2, 8, 8, 8)
    adam = torch.optim.Adam(critic.parameters(), 0.01)
    values = []
    for _ in range(30):
        loss = losses.critic_loss(
            critic_probability(critic, outputs.round()), critic_probability(critic, outputs)
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
        values.append(loss.item())
    assert values[-1] < values[0]


# Learning rate


@pytest.mark.parametrize(
    ("labelled", "period", "last"),
    [(3, 15_001, 0), (4, 7_501, 1), (6, 5_001, 0), (8, 3_751, 1), (12, 2_501, 1), (25, 1_251, 1)],
)
def test_the_published_learning_rate_falls_and_rises_again(labelled, period, last):
    method = build(replace(PUBLISHED, base_filters=2), labelled)
    assert method.learning_rate(1) == 0.01
    assert method.learning_rate(1 + period) == pytest.approx(0, abs=1e-9)
    assert method.learning_rate(1 + 2 * period) == pytest.approx(0.01)
    middle = method.learning_rate(1 + period // 2)
    assert middle == pytest.approx(0.005, rel=0.01)
    assert method.learning_rate(15_000) == pytest.approx(0.01 * last, abs=1e-5)


def test_the_learning_rate_of_one_fall():
    method = build(replace(PUBLISHED, base_filters=2), labelled_scans=8, schedule="once")
    rates = [method.learning_rate(t) for t in (1, 7501, 15_000)]
    assert rates == pytest.approx([0.01, 0.005, 0], abs=1e-6)


def test_a_shorter_run_keeps_the_schedules_shape():
    short = build(replace(PUBLISHED, base_filters=2, iterations=1500), labelled_scans=8)
    whole = build(replace(PUBLISHED, base_filters=2), labelled_scans=8)
    for t in (1, 300, 750, 1125, 1500):
        assert short.learning_rate(t) == pytest.approx(whole.learning_rate(10 * t), abs=5e-5)


def test_the_optimizer_steps_at_the_rate_of_its_iteration(tiny_training):
    run = replace(tiny_training, device="cpu")
    method = build(run, labelled_scans=4)
    optimizers = method.optimizers()
    used = []
    optimizers[0].register_step_pre_hook(lambda sgd, *_: used.append(sgd.param_groups[0]["lr"]))
    sample = type("Sample", (), {"batch": batch(), "labels_u": torch.zeros(2, 16, 16, 16)})()
    for iteration in range(1, 9):
        output = take_step(method, optimizers, sample, iteration, run)
        assert output.terms["learning_rate"].item() == pytest.approx(used[-1])
    assert used == pytest.approx([method.learning_rate(t) for t in range(1, 9)])
    # an epoch is 2 iterations, so T = 8 // 2 + 1 = 5: the rate is 0 at t = 6
    assert used[5] == pytest.approx(0, abs=1e-12)
    assert used[7] > used[6] > used[5]


def test_a_run_tells_its_method_how_many_scans_are_labelled(tiny_training, tiny_inference):
    run = Run("cobionet", {}, tiny_training, tiny_inference, 0, tuple("abcdef"), ("x",), {})
    assert new_method(run).labelled_scans == 6


def test_the_published_schedule_cannot_be_had_without_the_number_of_labelled_scans(tiny_training):
    with pytest.raises(ValueError, match="labelled_scans"):
        CoBioNet(tiny_training)
    CoBioNet(tiny_training, CoBioNetSettings(schedule="once"))


# Prediction


def test_the_prediction_is_the_mean_of_both_networks_or_one_of_them(tiny_training):
    method = build(tiny_training).eval()
    images = batch().images_u
    with torch.no_grad():
        first, second = (torch.sigmoid(network(images)[:, 0]) for network in method.networks)
        for name, expected in (
            ("ensemble", (first + second) / 2), ("first", first), ("second", second)
        ):  # fmt: skip
            method.settings = method.settings.model_copy(update={"prediction": name})
            torch.testing.assert_close(method.predict(images), expected)
    assert not torch.allclose(first, second)


def test_each_network_can_be_chosen_by_what_it_predicts_alone(tiny_training):
    method = build(tiny_training, chosen="each").eval()
    images, candidates = batch().images_u, method.candidates()
    for k, candidate in enumerate(candidates.values()):
        expected = torch.sigmoid(method.networks[k](images)[:, 0])
        torch.testing.assert_close(candidate.predict(images), expected)
    owners = [
        [name.startswith(candidate.prefixes) for candidate in candidates.values()]
        for name in method.state_dict()
    ]
    assert all(sum(owned) == 1 for owned in owners)  # each value belongs to one candidate
    assert list(build(tiny_training).candidates()) == [""]


def test_losses_stay_in_float32_when_the_networks_do_not(tiny_training):
    method = build(tiny_training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = a_step(method)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)
