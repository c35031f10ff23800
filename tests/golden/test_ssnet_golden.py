"""SS-Net equals its public code: networks, memory, losses, whole iterations, schedules, scans.

The numbers were computed by that code (ycwu1997/SS-Net); sizes are read from them.
"""

from typing import Any, NamedTuple

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn
from torch.nn import functional

from sgrs_core.data.masks import largest_component
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import ssnet as losses
from sgrs_core.losses.common import most_probable
from sgrs_core.methods.base import StepOutput
from sgrs_core.methods.ssnet import SmoothnessAndSeparation, SsnetSettings
from sgrs_core.networks.ssnet import EMBEDDING, SeparatingVNet
from tests.golden.closeness import FLOOR, GRADIENT, close, within
from tests.golden.public_loops import (
    DEEP_LAYERS,
    FEW,
    LAST_LAYERS,
    competing,
    count,
    load,
    public_steps,
    published_run,
    rates_used,
    recorded,
    rows_close,
    scan_is_segmented_as_stored,
    size,
    states_after_the_steps,
    stored_sample,
    went_the_same_way,
    with_values,
)
from tests.golden.stored import Factors, Tensors, fill, flattened, numbered

LOOP_WEIGHT = 100.0  # w(t)'s last value where the stored steps were taken
FIRST_EVALUATION = 2_000
TERMS = {
    "dice": "loss_dice",
    "smoothness": "loss_smoothness",
    "contrast_labelled": "loss_contrast_labelled",
    "contrast_unlabelled": "loss_contrast_unlabelled",
    "weight": "weight",
}


@pytest.fixture(scope="module")
def arrays(tensors) -> Tensors:
    return tensors("ssnet")


def small_method(arrays: Tensors, **settings: Any) -> SmoothnessAndSeparation:
    """At its stored state, in train mode."""
    method = SmoothnessAndSeparation(published_run(arrays), SsnetSettings(**settings))
    load(method.network, arrays)
    return method


@pytest.fixture
def small(arrays) -> SmoothnessAndSeparation:
    return small_method(arrays)


# At full size


@pytest.fixture(scope="module")
def filled() -> SeparatingVNet:
    network = SeparatingVNet(classes=2, base_filters=16, dropout=0)
    fill(network.named_parameters())
    return network


@pytest.fixture
def full(filled) -> SmoothnessAndSeparation:
    """In train mode, its heads at their first statistics."""
    method = SmoothnessAndSeparation(TrainingSettings(dropout=0))
    method.network.load_state_dict(filled.state_dict())
    return method


def test_the_full_size_network_has_the_published_parameters(filled, arrays):
    assert size(filled) == (arrays["network_n_parameters"], arrays["network_n_tensors"])


def test_the_heads_are_filled_as_the_rule_says(filled, arrays):
    heads = numbered(arrays, "head_p")
    for mine, stored in zip(list(filled.parameters())[-len(heads) :], heads, strict=True):
        assert_allclose(mine.detach(), stored, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_the_full_size_network_gives_the_published_output_and_features(full, arrays):
    logits, features = full.network.eval().with_features(arrays["input"])
    close(logits, arrays["network_output"])
    close(full.network(arrays["input"]), arrays["network_output"])
    close(features[:, :, ::4, ::4, ::4], arrays["network_features_every4"])


def remember(method, features: Tensor, arrays) -> Tensor:
    """Fill the memory from the labelled patches; the most probable class of every patch."""
    predicted = most_probable(arrays["logits"])
    method.remember(features[:2], predicted[:2], arrays["label"][:2])
    return predicted


def test_the_memory_holds_the_lowest_ranked_foreground_and_no_background(full, arrays):
    remember(full, arrays["features"], arrays)
    assert (full.memory.recall(0) is None) == bool(arrays["memory_background_is_none"])
    close(full.memory.recall(1), arrays["memory_foreground"])


def test_both_contrasts_of_a_batch_and_their_gradient(full, arrays):
    features = arrays["features"].requires_grad_()
    predicted = remember(full, features, arrays)
    labelled = full.contrast_loss(features[:2], arrays["label"][:2])
    unlabelled = full.contrast_loss(features[2:], predicted[2:])
    (labelled + unlabelled).backward()
    close(labelled, arrays["loss_contrast_labelled"])
    close(unlabelled, arrays["loss_contrast_unlabelled"])
    close(features.grad, arrays["grad_features"], GRADIENT)


# Smoothness


def vat_network(arrays) -> nn.Module:
    """A convolution, a batch norm, another convolution, of the stored sizes."""
    stored = numbered(arrays, "vat_p")
    (hidden, inputs), classes = stored[0].shape[:2], len(stored[-1])
    network = nn.Sequential(
        nn.Conv3d(inputs, hidden, 3, padding=1),
        nn.BatchNorm3d(hidden),
        nn.ReLU(),
        nn.Conv3d(hidden, classes, 3, padding=1),
    )
    for mine, value in zip(network.parameters(), stored, strict=True):
        mine.data.copy_(value)
    return network


def test_the_smoothness_and_its_gradients(small, arrays, monkeypatch):
    small.network = network = vat_network(arrays)
    monkeypatch.setattr(torch, "rand_like", lambda images: arrays["vat_uniform"])
    loss = small.smoothness_loss(arrays["vat_input"])
    loss.backward()
    close(loss, arrays["vat_loss"])
    for mine, stored in zip(network.parameters(), numbered(arrays, "vat_grad"), strict=True):
        within(mine.grad, stored, GRADIENT, FLOOR * float(stored.abs().max()) + 1e-7)


# The small network


def test_the_small_network_has_the_public_size(small, arrays):
    parameters, _ = size(small.network)
    assert parameters == arrays["net_n_parameters"]


@torch.no_grad()
def test_the_small_network_in_eval_mode(small, arrays):
    logits, features = small.network.eval().with_features(arrays["net_input"])
    close(logits, arrays["net_output_eval"])
    close(features[:, :, ::2, ::2, ::2], arrays["net_features_eval_every2"])


@torch.no_grad()
def test_the_features_are_those_after_the_dropout(small, arrays):
    network = small.network
    network.encoder.dropout = Factors(arrays["net_dropout_bottleneck"])
    network.decoder.dropout = Factors(arrays["net_dropout_output"])
    logits, features = network.with_features(arrays["net_input"])
    close(logits[:, :, ::2, ::2, ::2], arrays["net_output_train_every2"], 1e-3)
    close(features[:, :, ::2, ::2, ::2], arrays["net_features_train_every2"], 1e-3)


@torch.no_grad()
def test_the_projection_head_with_running_and_with_batch_statistics(small, arrays):
    vectors, projection = arrays["head_features"], small.network.projection
    close(small.network.projection.evaluate(vectors), arrays["head_projection_eval"])
    close(projection(vectors), arrays["head_projection_train"])


@torch.no_grad()
def test_the_prediction_head_reads_the_projection(small, arrays):
    close(small.network.embed(arrays["head_features"]), arrays["head_prediction_train"])


# Memory and contrast of single vectors, which stand for voxels


def voxels(vectors: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(n, C) and (n,) as features (1, C, n, 1, 1) and labels (1, n, 1, 1)."""
    return vectors.T[None, :, :, None, None], labels[None, :, None, None]


def remembered(method, c: int) -> Tensor:
    """What is remembered of a class; no rows where that is nothing."""
    memory = method.memory.recall(c)
    return torch.zeros(0, EMBEDDING) if memory is None else memory


def test_the_memory_after_each_of_several_updates(arrays):
    method = small_method(arrays, memory_classes="all")
    method.network.projection.evaluate = lambda vectors: vectors
    updates = count(arrays, "memory", "_labels")
    assert updates > 0
    for i in range(updates):
        features, labels = voxels(arrays[f"memory{i}_features"], arrays[f"memory{i}_labels"])
        method.remember(features, labels, labels)
        for c in (0, 1):
            assert_array_equal(remembered(method, c), arrays[f"memory{i}_class{c}"])


def contrast_of(case: str, arrays) -> tuple[SmoothnessAndSeparation, Tensor, Tensor]:
    """A method with the case's memory, the case's vectors, and their contrast loss."""
    method = small_method(arrays, memory_classes="all")
    method.network.embed = lambda vectors: vectors
    for c in (0, 1):
        method.memory.store(c, arrays[f"{case}_memory{c}"])
    vectors = arrays[f"{case}_features"].requires_grad_()
    return method, vectors, method.contrast_loss(*voxels(vectors, arrays[f"{case}_labels"]))


@pytest.mark.parametrize("case", ["contrast_both", "contrast_foreground"])
def test_the_contrast_reaches_the_features_and_the_selectors_of_remembered_classes(case, arrays):
    method, vectors, loss = contrast_of(case, arrays)
    close(loss, arrays[f"{case}_loss"])
    loss.backward()
    close(vectors.grad, arrays[f"{case}_grad_features"], GRADIENT)
    for c, selector in enumerate(method.network.selectors):
        expected = arrays[f"{case}_grad_selector{c}"]
        if len(arrays[f"{case}_memory{c}"]):
            gradient = flattened(parameter.grad for parameter in selector.parameters())
            within(gradient, expected, GRADIENT, FLOOR * float(expected.abs().max()) + 1e-6)
        else:
            assert expected.tolist() == [0]
            assert all(parameter.grad is None for parameter in selector.parameters())


@pytest.mark.parametrize("case", ["contrast_one_memory_row", "contrast_one_feature"])
def test_a_single_row_and_a_single_voxel_are_left_out_of_the_contrast(case, arrays):
    _, _, loss = contrast_of(case, arrays)
    assert loss == arrays[f"{case}_loss"] == 0


# Whole iterations of the public loop


class Step(NamedTuple):
    """What one step showed of itself; `tolerance` is that of its numbers."""

    tolerance: float
    output: StepOutput
    logits: Tensor
    inner: Tensor  # smoothness loss at x + xi d
    reference: Tensor  # q
    correct: int  # labelled voxels rightly called foreground
    memory: Tensor


@pytest.fixture(scope="module")
def loop(arrays) -> tuple[SmoothnessAndSeparation, list[Step]]:
    """The method after the stored steps, and what each of them showed."""
    method = small_method(arrays, consistency_weight=LOOP_WEIGHT)
    outputs: list[tuple[Tensor, Tensor]] = []
    smoothness: list[Tensor] = []
    softmax: list[Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            method.network, "with_features", recorded(method.network.with_features, outputs)
        )
        for name, calls in (("binary_dice_loss", smoothness), ("softmax_output", softmax)):
            patch.setattr(losses, name, recorded(getattr(losses, name), calls))

        def draw(step: int) -> None:
            for calls in (outputs, smoothness, softmax):
                calls.clear()
            patch.setattr(torch, "rand_like", lambda images: arrays[f"step{step}_uniform"])

        steps = []
        for step, tolerance, output in public_steps(method, arrays, draw):
            ((logits, _),) = outputs
            label = stored_sample(arrays, step).batch.labels_l
            correct = int((label * most_probable(logits[:2])).sum())
            inner, _ = smoothness
            reference, memory = softmax[0], remembered(method, 1).clone()
            steps.append(Step(tolerance, output, logits, inner, reference, correct, memory))
    assert steps
    return method, steps


def test_the_first_outputs_of_the_public_loop(loop, arrays):
    first = loop[1][0]
    every2 = (slice(None), slice(None), *[slice(None, None, 2)] * 3)
    close(first.logits[every2], arrays["step0_logits_every2"])
    close(first.reference[every2], arrays["step0_smoothness_reference_every2"])


def test_the_losses_of_the_public_loop(loop, arrays):
    for i, step in enumerate(loop[1]):
        for mine, theirs in TERMS.items():
            close(step.output.terms[mine], arrays[f"step{i}_{theirs}"], step.tolerance)
        close(step.inner, arrays[f"step{i}_loss_smoothness_inner"], step.tolerance)
        close(step.output.loss, arrays[f"step{i}_loss"], step.tolerance)


def test_cross_entropy_is_that_of_the_labelled_patches_and_no_part_of_the_loss(loop, arrays):
    for i, step in enumerate(loop[1]):
        label = stored_sample(arrays, i).batch.labels_l
        entropy = functional.cross_entropy(step.logits[:2], label)
        close(entropy, arrays[f"step{i}_loss_cross_entropy"], step.tolerance)
        terms = step.output.terms
        contrast = terms["contrast_labelled"] + terms["contrast_unlabelled"]
        total = terms["dice"] + terms["weight"] * (terms["smoothness"] + 0.1 * contrast)
        close(step.output.loss, total, 1e-6)


def test_the_memory_after_each_step_of_the_public_loop(loop, arrays):
    for i, step in enumerate(loop[1]):
        assert abs(step.correct - arrays[f"step{i}_n_correct_foreground"]) <= FEW
        floor = FLOOR if i == 0 else 0.05  # features of deep layers that have moved
        rows_close(step.memory, arrays[f"step{i}_memory_foreground"], floor)


@pytest.fixture(scope="module")
def networks(loop, arrays) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Where the loop starts, where it ends here, where the public one ends."""
    start, theirs = small_method(arrays).network, small_method(arrays).network
    return start, loop[0].network, with_values(theirs, *states_after_the_steps(arrays))


HEADS = ["projection", "prediction", "selectors.1", "memory_selectors.1"]


@pytest.mark.parametrize("part", ["decoder.stage9", "decoder.output", *HEADS])
def test_the_last_layers_and_the_heads_end_where_the_public_loop_leaves_them(part, networks):
    parts = (network.get_submodule(part) for network in networks)
    went_the_same_way(*(flattened(part.parameters()) for part in parts), LAST_LAYERS)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_the_deep_layers_go_the_public_loops_way(part, networks):
    parts = (network.get_submodule(part) for network in networks)
    went_the_same_way(*(flattened(part.parameters()) for part in parts), DEEP_LAYERS)


@pytest.mark.parametrize("part", ["encoder", "decoder", *HEADS])
def test_running_statistics_end_where_the_public_loop_leaves_them(part, networks):
    parts = (network.get_submodule(part) for network in networks)
    went_the_same_way(*(flattened(part.buffers()) for part in parts), LAST_LAYERS)


@pytest.mark.parametrize("part", ["selectors.0", "memory_selectors.0"])
def test_the_backgrounds_selectors_never_move(part, networks):
    start, mine, theirs = (network.get_submodule(part).state_dict() for network in networks)
    for name in start:
        assert torch.equal(mine[name], start[name])
        assert torch.equal(mine[name], theirs[name])


# Schedules and scans


def test_weight_and_learning_rate_over_the_published_iterations(arrays):
    method = SmoothnessAndSeparation(published_run(arrays))
    rates = rates_used(method, method.training_settings.iterations)
    iterations = arrays["schedule_iterations"].tolist()
    weights = [method.weight(iteration) for iteration in iterations]
    close(torch.tensor(weights), arrays["schedule_weight"])
    assert_allclose([rates[t] for t in iterations], arrays["schedule_learning_rate"], 1e-5)
    assert [method.learning_rate(t) for t in iterations] == [rates[t] for t in iterations]


def test_checkpoints_compete_where_the_public_loop_evaluates(arrays):
    evaluated = arrays["schedule_evaluated"].tolist()
    run = TrainingSettings(selection_from=FIRST_EVALUATION)
    assert competing(run, max(evaluated)) == evaluated


def test_a_scans_score_and_label(small, arrays):
    small.network.decoder.output.bias.data.copy_(arrays["infer_output_bias"])
    scan_is_segmented_as_stored(small, arrays)


def test_the_public_test_script_keeps_a_scans_largest_component(arrays):
    kept = largest_component(arrays["infer_label"].numpy() == 1)
    assert_array_equal(kept, arrays["infer_label_largest"].numpy() == 1)
