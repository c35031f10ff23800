import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.ssnet import (
    adversarial_dice_loss,
    cosine_distances,
    rescaled,
    unit,
    weighted_mean_distance,
)
from sgrs_core.methods.ssnet import SmoothnessAndSeparation, SsnetSettings
from sgrs_core.networks.memory import ClassMemory
from sgrs_core.networks.ssnet import EMBEDDING
from sgrs_core.training.loop import set_learning_rates


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:])


@pytest.fixture
def new_method(tiny_training):
    def build(dropout: float = 0.5, **settings) -> SmoothnessAndSeparation:
        torch.manual_seed(0)
        run = replace(tiny_training, dropout=dropout)
        return SmoothnessAndSeparation(run, SsnetSettings(**settings))

    return build


class FirstNumber(nn.Module):
    """A selector whose score rises with a vector's first number."""

    def forward(self, vectors):
        return vectors[:, :1]


def vectors(*first: float) -> torch.Tensor:
    """Vectors of the memory's length with these first numbers and zeros elsewhere."""
    result = torch.zeros(len(first), EMBEDDING)
    result[:, 0] = torch.tensor(first)
    return result


# Contrast


def test_the_weighted_distance_by_hand():
    distances = cosine_distances(torch.tensor([[3.0, 0], [0, 2]]), torch.tensor([[5.0, 0], [1, 1]]))
    half = 1 - math.sqrt(0.5)
    assert_allclose(distances, [[0, half], [1, half]], atol=1e-7)
    rows, columns = rescaled(torch.tensor([1.0, 3])), rescaled(torch.tensor([3.0, 1]))
    assert_allclose(rows, [0.5, 1.5])
    plain = weighted_mean_distance(distances, rows, torch.ones(2))
    assert_allclose(plain, (0.5 * half + 1.5 * (1 + half)) / 4, rtol=1e-6)
    learned = weighted_mean_distance(distances, rows, columns)
    assert_allclose(learned, (0.5 * 0.5 * half + 1.5 * (1.5 + 0.5 * half)) / 4, rtol=1e-6)


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_rescaled_weights_have_mean_one_and_keep_proportions(scores):
    weights = rescaled(torch.tensor(scores))
    assert weights.mean().item() == pytest.approx(1, rel=1e-5)
    assert_allclose(weights / weights[0], torch.tensor(scores) / scores[0], rtol=1e-5)


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_distances_depend_on_directions_alone(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    f, m = torch.randn(5, 8, generator=generator), torch.randn(3, 8, generator=generator)
    distances = cosine_distances(f, m)
    assert distances.min() >= -1e-6
    assert distances.max() <= 2 + 1e-6
    assert_allclose(cosine_distances(scale * f, m), distances, atol=1e-5)


def test_distances_are_float32_under_autocast():
    f, m = torch.randn(5, 8), torch.randn(3, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cosine_distances(f, m), cosine_distances(f, m).float())
        low = cosine_distances(f, m)
    assert_allclose(low, cosine_distances(f, m), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "expected"), [("ones", 0.5), ("learned", 0.5 / (0.5 + 1 / (1 + math.exp(-1))))]
)
def test_learned_weights_of_the_memory_by_hand(weights, expected, new_method):
    # Two voxels e_0 and a memory of e_0 and e_1: distances 0 and 1; scores of the memory sigmoid(1)
    # and 1/2.
    method = new_method(memory_weights=weights)
    method.network.selectors[1] = method.network.memory_selectors[1] = FirstNumber()
    f, memory = vectors(1, 1), torch.eye(2, EMBEDDING)
    assert method.class_distance(1, f, memory).item() == pytest.approx(expected, rel=1e-5)


def test_a_class_without_memory_or_with_a_single_vector_or_voxel_contributes_nothing(new_method):
    method = new_method()
    features, label = torch.randn(2, 2, 4, 4, 4), torch.zeros(2, 4, 4, 4, dtype=torch.int64)
    label[:, 0] = 1
    assert method.contrast_loss(features, label) == 0
    method.memory.store(1, vectors(1))
    assert method.contrast_loss(features, label) == 0
    method.memory.store(1, vectors(1, 2))
    assert method.contrast_loss(features, label) > 0
    label[:] = 0
    label[0, 0, 0, 0] = 1
    assert method.contrast_loss(features, label) == 0


# Memory


def test_memory_stores_and_recalls_each_class():
    memory = ClassMemory(2, size=4, length=EMBEDDING)
    assert memory.recall(1) is None
    memory.store(1, vectors(1, 2, 3))
    memory.store(1, vectors(4, 5))
    assert torch.equal(memory.recall(1), vectors(4, 5))
    assert memory.recall(0) is None
    other = ClassMemory(2, size=4, length=EMBEDDING)
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.recall(1), vectors(4, 5))


@pytest.mark.parametrize(("ranking", "kept"), [("lowest", (0, 1)), ("highest", (3, 2))])
def test_the_selector_ranks_what_is_remembered(ranking, kept, new_method):
    method = new_method(memory_ranking=ranking, memory_size=2)
    method.network.selectors[1] = FirstNumber()
    assert torch.equal(method.select(1, vectors(2, 0, 3, 1)), vectors(*kept))
    assert torch.equal(method.select(1, vectors(3, 0)), vectors(3, 0))  # not more than fit


def test_only_correct_voxels_are_remembered_and_the_last_memory_is_kept(new_method):
    method = new_method()
    features = torch.randn(1, 2, 2, 2, 2)
    label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).view(1, 2, 2, 2)
    predicted = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]).view(1, 2, 2, 2)
    method.remember(features, predicted, label)
    correct = features[0].flatten(1).T[[5, 7]]
    remembered = method.memory.recall(1)
    assert_allclose(remembered, method.network.projection.evaluate(correct), atol=1e-6)
    assert method.memory.recall(0) is None
    method.remember(features, 1 - label, label)  # nothing is correct
    assert torch.equal(method.memory.recall(1), remembered)
    assert method.network.projection.training


def test_remembering_leaves_the_projections_statistics_alone(new_method):
    method = new_method()
    before = {key: value.clone() for key, value in method.network.projection.state_dict().items()}
    label = torch.ones(1, 4, 4, 4, dtype=torch.int64)
    method.remember(torch.randn(1, 2, 4, 4, 4), label, label)
    after = method.network.projection.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


# Smoothness


class Logistic(nn.Module):
    """Logits (0, x ln 3) of every voxel."""

    def forward(self, images):
        return torch.cat([0 * images, math.log(3) * images], dim=1)


@pytest.mark.parametrize("start", [-0.3, 0.3])
def test_smoothness_of_one_voxel_by_hand(start):
    # x = 1: p = (1/4, 3/4). One voxel's Dice loss is 1 - p q, which rises as x falls, so d = -1,
    # wherever it starts; with epsilon = 1 the perturbed x is 0, q = (1/2, 1/2), the loss 1/2.
    one = torch.ones(1, 1, 1, 1, 1)
    loss = adversarial_dice_loss(Logistic(), one, start * one, xi=1, epsilon=1)
    assert loss.item() == pytest.approx(0.5, rel=1e-5)


def test_the_adversarial_direction_is_worse_than_a_random_one(new_method):
    network = new_method(dropout=0).network
    images, start = batch().images_u, torch.rand(2, 1, 16, 16, 16) - 0.5
    p, q = (torch.softmax(network(x), dim=1).detach() for x in (images, images + 10 * unit(start)))
    random_loss = 1 - 2 * (p * q).sum() / (p.sum() + q.sum())
    assert adversarial_dice_loss(network, images, start, 10, 10) > random_loss


def test_directions_have_unit_length():
    directions = torch.randn(3, 1, 4, 4, 4)
    assert_allclose(unit(directions).flatten(1).norm(dim=1), torch.ones(3), rtol=1e-5)
    assert torch.equal(unit(0 * directions), 0 * directions)


def test_running_statistics_learn_from_the_images_alone(new_method):
    network = new_method(dropout=0).network
    images = batch().images_u
    expected = new_method(dropout=0).network
    expected(images)
    adversarial_dice_loss(network, images, torch.randn_like(images), 10, 10)
    for (name, mine), theirs in zip(network.named_buffers(), expected.buffers(), strict=True):
        assert torch.equal(mine, theirs), name
    assert all(parameter.grad is None for parameter in network.parameters())
    network(images)
    assert network.encoder.stage1[1].num_batches_tracked == 2  # tracking is on again


# The step


def test_the_total_is_made_of_its_terms(new_method):
    method = new_method(contrast_weight=0.3)
    output = method.step(batch(), 2)
    terms = {name: value.item() for name, value in output.terms.items()}
    assert terms["weight"] == pytest.approx(method.rampup(2))
    assert terms["contrast_labelled"] > 0
    assert terms["contrast_unlabelled"] > 0
    contrast = 0.3 * (terms["contrast_labelled"] + terms["contrast_unlabelled"])
    expected = terms["dice"] + terms["weight"] * (terms["smoothness"] + contrast)
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)


def make_undecided(method: SmoothnessAndSeparation) -> None:
    """Shift the output so that half of the batch's voxels are foreground."""
    logits = method.network(torch.cat([batch().images_l, batch().images_u])).detach()
    method.network.decoder.output.bias.data[0] += (logits[:, 1] - logits[:, 0]).median()


@pytest.mark.parametrize("classes", ["foreground", "all"])
@pytest.mark.parametrize("weights", ["ones", "learned"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_trained_parameter_gets_a_gradient(classes, weights, precision, new_method):
    method = new_method(dropout=0, memory_classes=classes, memory_weights=weights)
    make_undecided(method)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        method.step(batch(), 1).loss.backward()
    for name, parameter in method.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
    assert (method.memory.recall(0) is None) == (classes == "foreground")
    assert method.memory.recall(1).dtype == torch.float32


# The learning rate


@given(st.integers(1, 100_000), st.integers(1, 8), st.floats(0.1, 0.9))
def test_the_rate_falls_by_its_factor_after_each_part_of_the_run(iterations, levels, factor):
    run = TrainingSettings(iterations, (16, 16, 16), base_filters=1, dropout=0)
    method = SmoothnessAndSeparation(run, SsnetSettings(rate_levels=levels, rate_factor=factor))
    part = max(1, round(iterations / levels))
    assert method.learning_rate(1) == method.learning_rate(part) == run.learning_rate
    falls = method.learning_rate(part + 1) / method.learning_rate(part)
    assert falls == pytest.approx(factor)
    assert method.learning_rate(3 * part + 1) == pytest.approx(run.learning_rate * factor**3)


def test_each_step_is_taken_at_its_own_rate(new_method):
    method = new_method()
    (optimizer,) = method.optimizers()
    for iteration in range(1, method.training_settings.iterations + 1):
        set_learning_rates(method, [optimizer], iteration)
        rate = method.learning_rate(iteration)
        assert optimizer.param_groups[0]["lr"] == rate
        logged = method.step(batch(), iteration).terms["learning_rate"]
        assert logged.item() == pytest.approx(rate)
