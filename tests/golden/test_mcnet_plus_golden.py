"""MC-Net+ equals its public code: networks, losses, whole iterations, schedules, scans.

The numbers were computed by that code (ycwu1997/MC-Net, mcnet3d_v2); sizes are read from them.
"""

from typing import Any, NamedTuple

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn
from torch.nn import functional

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.mcnet_plus import mutual_consistency, sharpen
from sgrs_core.methods.base import StepOutput
from sgrs_core.methods.mcnet_plus import McNetPlus, McNetPlusSettings, labelled_dice
from sgrs_core.networks.mcnet_plus import ThreeDecoderVNet
from tests.golden.closeness import GRADIENT, close
from tests.golden.public_loops import (
    DEEP_LAYERS,
    LAST_LAYERS,
    competing,
    load,
    public_steps,
    published_run,
    rates_used,
    recorded,
    scan_is_segmented_as_stored,
    size,
    states_after_the_steps,
    stored_sample,
    went_the_same_way,
    with_values,
)
from tests.golden.stored import Factors, Tensors, fill, flattened

DECODERS = range(3)
GRADIENTS_CONSISTENCY_WEIGHT = 0.7  # where the gradients with respect to the logits were taken
LOOP_WEIGHT = 100.0  # w(t)'s last value where the stored steps were taken
FIRST_EVALUATION = 800
TERMS = {"labelled_dice": "loss_dice", "consistency": "loss_consistency", "weight": "weight"}


@pytest.fixture(scope="module")
def arrays(tensors) -> Tensors:
    return tensors("mcnet_plus")


def small_method(arrays: Tensors, **settings: Any) -> McNetPlus:
    """At its stored state, in train mode."""
    method = McNetPlus(published_run(arrays), McNetPlusSettings(**settings))
    load(method.network, arrays)
    return method


@pytest.fixture
def small(arrays) -> McNetPlus:
    return small_method(arrays)


# Losses on given logits


@pytest.fixture
def logits(arrays) -> list[Tensor]:
    return [arrays[f"logits{k}"].requires_grad_() for k in DECODERS]


@pytest.fixture
def probabilities(logits) -> list[Tensor]:
    return [torch.softmax(each, dim=1) for each in logits]


def temperature() -> float:
    return McNetPlusSettings().temperature


def test_sharpening_of_an_output(probabilities, arrays):
    close(sharpen(probabilities[0], temperature()), arrays["sharpened0"])


def test_sharpening_and_its_slope_are_finite_from_0_to_1(arrays):
    probability = arrays["sharpen_probability"].requires_grad_()
    value = sharpen(probability, temperature())
    value.sum().backward()
    assert probability.min() == 0
    assert probability.max() == 1
    close(value, arrays["sharpen_value"])
    close(probability.grad, arrays["sharpen_gradient"], GRADIENT)


def test_the_dice_losses_are_added_and_so_are_six_consistencies(probabilities, arrays):
    close(labelled_dice(probabilities, arrays["label"][:2]), arrays["loss_dice"])
    consistency = mutual_consistency(probabilities, temperature(), gradient_through_targets=True)
    close(consistency, arrays["loss_consistency"])


def test_the_dice_loss_without_foreground_shows_its_constant(arrays):
    foreground = arrays["dice_empty_probability"]
    probability = torch.stack([1 - foreground, foreground], dim=1)
    empty = torch.zeros(foreground.shape, dtype=torch.int64)
    close(labelled_dice([probability], empty), arrays["dice_empty_loss"])


class Recorded(nn.Module):
    """Stands for the network: whatever the images, the recorded logits."""

    def __init__(self, logits: list[Tensor]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.logits


def step_on(logits: list[Tensor], labels: Tensor, **settings: Any) -> StepOutput:
    """The method's step where the network's outputs are given and the ramp is over, and back."""
    run = TrainingSettings(base_filters=1)
    settings["consistency_weight"] = GRADIENTS_CONSISTENCY_WEIGHT
    method = McNetPlus(run, McNetPlusSettings(**settings))
    method.network = Recorded(logits)
    images = torch.zeros(labels.shape).unsqueeze(1)
    output = method.step(Batch(images[:2], labels[:2], images[2:]), run.ramp_iterations)
    output.loss.backward()
    return output


def test_the_step_of_the_method_and_its_gradients(logits, arrays):
    output = step_on(logits, arrays["label"])
    dice, consistency = arrays["loss_dice"], arrays["loss_consistency"]
    close(output.terms["labelled_dice"], dice)
    close(output.terms["consistency"], consistency)
    close(output.loss, 0.5 * dice + GRADIENTS_CONSISTENCY_WEIGHT * consistency)
    for k, tensor in enumerate(logits):
        close(tensor.grad, arrays[f"grad_logits{k}"], GRADIENT)


def test_constant_targets_have_the_recorded_loss_and_other_gradients(logits, arrays):
    output = step_on(logits, arrays["label"], targets="constant")
    close(output.terms["consistency"], arrays["loss_consistency"])
    expected = arrays["grad_logits0"]
    assert (logits[0].grad - expected).abs().max() > 0.1 * expected.abs().max()


# Networks


@torch.no_grad()
def test_the_full_size_network(arrays):
    network = ThreeDecoderVNet(dropout=0).eval()
    fill(network.named_parameters())
    assert size(network) == (arrays["network_n_parameters"], arrays["network_n_tensors"])
    for k, output in enumerate(network(arrays["input"])):
        close(output, arrays[f"network_output{k}"])
    close(network.first(arrays["input"]), arrays["network_output0"])


@torch.no_grad()
def test_the_small_network_in_eval_mode(small, arrays):
    assert size(small.network)[0] == arrays["net_n_parameters"]
    for k, output in enumerate(small.network.eval()(arrays["net_input"])):
        close(output, arrays[f"net_output{k}_eval"])


@torch.no_grad()
def test_one_dropout_at_the_bottleneck_and_one_of_its_own_for_each_decoder(small, arrays):
    network = small.network
    network.encoder.dropout = Factors(arrays["net_dropout_bottleneck"])
    for k, decoder in enumerate(network.decoders):
        decoder.dropout = Factors(arrays[f"net_dropout_output{k}"])
    for k, output in enumerate(network(arrays["net_input"])):
        close(output[:, :, ::2, ::2, ::2], arrays[f"net_output{k}_train_every2"], 1e-3)


# Whole iterations of the public loop


class Step(NamedTuple):
    """What one step showed of itself; `tolerance` is that of its numbers."""

    tolerance: float
    output: StepOutput
    logits: list[Tensor]


@pytest.fixture(scope="module")
def loop(arrays) -> tuple[McNetPlus, list[Step]]:
    """The method after the stored steps, and what each of them showed."""
    method = small_method(arrays, consistency_weight=LOOP_WEIGHT)
    outputs: list[list[Tensor]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method.network, "forward", recorded(method.network.forward, outputs))
        taken = list(public_steps(method, arrays))
    logits = zip(taken, outputs, strict=True)
    steps = [Step(tolerance, output, mine) for (_, tolerance, output), mine in logits]
    assert steps
    return method, steps


def test_the_first_outputs_of_the_public_loop(loop, arrays):
    for k, logits in enumerate(loop[1][0].logits):
        close(logits[:, :, ::2, ::2, ::2], arrays[f"step0_logits{k}_every2"])


def test_the_losses_of_the_public_loop(loop, arrays):
    for i, step in enumerate(loop[1]):
        for mine, theirs in TERMS.items():
            close(step.output.terms[mine], arrays[f"step{i}_{theirs}"], step.tolerance)
        close(step.output.loss, arrays[f"step{i}_loss"], step.tolerance)


def test_cross_entropy_is_that_of_the_labelled_patches_and_no_part_of_the_loss(loop, arrays):
    for i, step in enumerate(loop[1]):
        label = stored_sample(arrays, i).batch.labels_l
        entropy = sum(functional.cross_entropy(logits[:2], label) for logits in step.logits)
        close(entropy, arrays[f"step{i}_loss_cross_entropy"], step.tolerance)
        terms = step.output.terms
        total = 0.5 * terms["labelled_dice"] + terms["weight"] * terms["consistency"]
        close(step.output.loss, total, 1e-6)


@pytest.fixture(scope="module")
def networks(loop, arrays) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Where the loop starts, where it ends here, where the public one ends."""
    start, theirs = small_method(arrays).network, small_method(arrays).network
    return start, loop[0].network, with_values(theirs, *states_after_the_steps(arrays))


@pytest.mark.parametrize("layer", ["stage9", "output"])
@pytest.mark.parametrize("k", DECODERS)
def test_the_last_layers_end_where_the_public_loop_leaves_them(k, layer, networks):
    parts = (network.get_submodule(f"decoders.{k}.{layer}") for network in networks)
    went_the_same_way(*(flattened(part.parameters()) for part in parts), LAST_LAYERS)


PARTS = ["encoder", *(f"decoders.{k}" for k in DECODERS)]


@pytest.mark.parametrize("part", PARTS)
def test_the_deep_layers_go_the_public_loops_way(part, networks):
    parts = (network.get_submodule(part) for network in networks)
    went_the_same_way(*(flattened(part.parameters()) for part in parts), DEEP_LAYERS)


@pytest.mark.parametrize("part", PARTS)
def test_running_statistics_end_where_the_public_loop_leaves_them(part, networks):
    parts = (network.get_submodule(part) for network in networks)
    went_the_same_way(*(flattened(part.buffers()) for part in parts), LAST_LAYERS)


# Schedules and scans


def test_weight_and_learning_rate_over_the_published_iterations(arrays):
    method = McNetPlus(published_run(arrays))
    rates = rates_used(method, method.training_settings.iterations)
    iterations = arrays["schedule_iterations"].tolist()
    weights = [method.weight(iteration) for iteration in iterations]
    close(torch.tensor(weights), arrays["schedule_weight"])
    assert_allclose([rates[t] for t in iterations], arrays["schedule_learning_rate"], 1e-5)


def test_checkpoints_compete_where_the_public_loop_evaluates(arrays):
    evaluated = arrays["schedule_evaluated"].tolist()
    run = TrainingSettings(selection_from=FIRST_EVALUATION)
    assert competing(run, max(evaluated)) == evaluated


def test_a_scans_score_and_label(small, arrays):
    small.network.decoders[0].output.bias.data.copy_(arrays["infer_output_bias"])
    scan_is_segmented_as_stored(small, arrays)
