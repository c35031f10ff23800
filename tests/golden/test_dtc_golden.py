"""DTC equals its authors' public code: distance maps, losses, network, steps, schedules, scans."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sgrs_core.inference import foreground_score, largest_component, segment
from sgrs_core.losses.dtc import distance_to_mask, signed_distance
from sgrs_core.methods.dtc import DtcSettings, DualTaskConsistency
from sgrs_core.methods.method import Batch
from sgrs_core.networks.dtc import DualOutput, DualTaskVNet
from sgrs_core.settings import TrainingSettings

TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
PUBLISHED_ITERATIONS = 6_000


class ChannelFactors(nn.Module):
    """A channel dropout whose draw is given: (N, C) factors."""

    def __init__(self, factors: torch.Tensor) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.factors[:, :, None, None, None]


@pytest.fixture
def arrays(golden):
    return {
        name: torch.from_numpy(array)
        for name, array in golden("dtc").items()
        if array.dtype.kind in "fi"
    }


@pytest.fixture
def method(arrays) -> DualTaskConsistency:
    """The small network at its stored state, in the public code's schedule, without dropout."""
    run = TrainingSettings(
        iterations=PUBLISHED_ITERATIONS, base_filters=len(arrays["p000"]), dropout=0
    )
    method = DualTaskConsistency(run)
    network = method.network
    for prefix, tensors in (("p", network.parameters()), ("b", network.buffers())):
        names = sorted(name for name in arrays if name[0] == prefix and name[1:].isdigit())
        for mine, name in zip(tensors, names, strict=True):
            mine.data.copy_(arrays[name])
    return method


def fill(network: nn.Module) -> None:
    """Parameters by the rule of the golden files: cosines of their place."""
    for k, (name, parameter) in enumerate(network.named_parameters()):
        c = torch.cos(0.37 * torch.arange(parameter.numel(), dtype=torch.float64) + 0.91 * k)
        if parameter.ndim > 1:
            c *= math.sqrt(2 / (parameter.numel() / parameter.shape[0]))
        else:
            c = 1 + 0.1 * c if name.endswith("weight") else 0.1 * c
        parameter.data.copy_(c.view(parameter.shape))


def close(actual, expected, relative: float = TOLERANCE, absolute: float = 1e-6) -> None:
    """The channel of stored tensors that have one is dropped."""
    assert_allclose(actual.detach(), expected.view(actual.shape), relative, absolute)


def outputs_close(actual: DualOutput, arrays, distance: str, logit: str) -> None:
    close(actual.distance, arrays[distance], absolute=3e-5)
    close(actual.logit, arrays[logit], absolute=3e-5)


def test_signed_distances_of_awkward_masks(arrays):
    close(signed_distance(arrays["sdf_mask"]), arrays["sdf_value"], relative=0)
    for mask, expected in zip(arrays["sdf_mask"], arrays["sdf_value"], strict=True):
        close(signed_distance(mask[None]), expected, relative=0)


def test_signed_distances_of_labelled_patches(arrays):
    labelled = len(arrays["sdf"])
    close(signed_distance(arrays["label"][:labelled]), arrays["sdf"].float(), relative=0)


def test_the_mask_of_a_distance_and_its_slope(arrays):
    distance = arrays["transform_distance"].clone().requires_grad_()
    mask = distance_to_mask(distance, DtcSettings().slope)
    mask.sum().backward()
    close(mask, arrays["transform_mask"])
    close(distance.grad, arrays["transform_gradient"])


def test_losses_and_their_gradients(arrays, method):
    logit = arrays["logit"].clone().requires_grad_()
    distance_logit = arrays["distance_logit"].clone().requires_grad_()
    d, s = torch.tanh(distance_logit).squeeze(1), logit.squeeze(1)
    supervised, terms = method.labelled_loss(d, s, arrays["label"][:2])
    consistency = method.consistency(d, s)
    assert_allclose(terms["dice"].item(), arrays["loss_dice"], TOLERANCE)
    assert_allclose(terms["distance"].item(), arrays["loss_sdf"], TOLERANCE)
    assert_allclose(consistency.item(), arrays["loss_consistency"], TOLERANCE)
    (supervised + 0.5 * consistency).backward()
    close(logit.grad, arrays["grad_logit"], GRADIENT_TOLERANCE, 1e-7)
    close(distance_logit.grad, arrays["grad_distance_logit"], GRADIENT_TOLERANCE, 1e-7)


@torch.no_grad()
def test_the_network_at_full_size(arrays):
    network = DualTaskVNet(dropout=0).eval()
    fill(network)
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == arrays["network_n_parameters"]
    assert len(parameters) == arrays["network_n_tensors"]
    outputs_close(network(arrays["input"]), arrays, "network_distance", "network_logit")


@torch.no_grad()
def test_the_small_network_in_eval_mode(arrays, method):
    output = method.network.eval()(arrays["net_input"])
    outputs_close(output, arrays, "net_distance_eval", "net_logit_eval")


@torch.no_grad()
def test_both_heads_read_the_same_dropped_out_features(arrays, method):
    network = method.network.train()
    network.encoder.dropout = ChannelFactors(arrays["net_dropout_bottleneck"])
    network.decoder.dropout = ChannelFactors(arrays["net_dropout_output"])
    output = network(arrays["net_input"])
    outputs_close(output, arrays, "net_distance_train", "net_logit_train")


@torch.no_grad()
def test_outputs_in_the_first_iteration(arrays, method):
    output = method.network.train()(arrays["step0_images"])
    outputs_close(output, arrays, "step0_distance", "step0_logit")


def test_the_iterations_of_the_public_loop(arrays, method):
    method.train()
    (optimizer,) = method.optimizers()
    steps = sum(name.startswith("step") and name.endswith("_images") for name in arrays)
    for t in range(steps):
        images, labels = arrays[f"step{t}_images"], arrays[f"step{t}_labels"]
        output = method.step(Batch(images[:2], labels[:2], images[2:]), t + 1)
        stored = {"dice": "loss_dice", "distance": "loss_sdf", "consistency": "loss_consistency"}
        stored |= {"weight": "weight", "cross_entropy": "loss_cross_entropy"}
        for name, theirs in stored.items():
            expected = arrays[f"step{t}_{theirs}"]
            assert_allclose(output.terms[name].item(), expected, TOLERANCE, err_msg=f"{name} {t}")
        assert_allclose(output.loss.item(), arrays[f"step{t}_loss"], TOLERANCE)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        method.after_step(t + 1)
    network = method.network
    parameters = torch.cat([value.flatten() for value in network.parameters()])
    buffers = torch.cat([v.flatten() for v in network.buffers() if v.is_floating_point()])
    last = f"step{steps - 1}"
    assert_allclose(parameters.detach(), arrays[f"{last}_params"], 1e-3, atol=2e-5)
    assert_allclose(buffers, arrays[f"{last}_buffers"], 1e-3, atol=2e-5)


def test_schedules_over_the_published_iterations(arrays, method):
    iterations = [int(t) + 1 for t in arrays["schedule_iterations"]]
    weights = [method.weight(iteration) for iteration in iterations]
    rates = [method.learning_rate(iteration) for iteration in iterations]
    assert_allclose(weights, arrays["schedule_weight"], 1e-5)
    assert_allclose(rates, arrays["schedule_learning_rate"], 1e-5)


def test_a_scans_score_label_and_largest_component(arrays, method):
    method.network.mask.bias.data.copy_(arrays["infer_mask_head_bias"])
    method.eval()
    patch = tuple(arrays["infer_patch"].tolist())
    in_plane, along_z = arrays["infer_strides"].tolist()
    image, stride = arrays["infer_image"].numpy(), (in_plane, in_plane, along_z)
    score = foreground_score(method.predict, image, patch, stride)
    assert_allclose(score, arrays["infer_score"], rtol=0, atol=1e-5)

    label = arrays["infer_label"].numpy() == 1
    sure = np.abs(arrays["infer_score"].numpy() - 0.5) >= 1e-5
    assert_array_equal(segment(score)[sure], label[sure])
    assert_array_equal(largest_component(label), arrays["infer_label_largest"].numpy() == 1)
