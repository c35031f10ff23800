"""MC-Net+ equals its public code: network, sharpening, both losses, the step and its gradients."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sgrs_core.losses.mcnet_plus import mutual_consistency, sharpen
from sgrs_core.methods.mcnet_plus import McNetPlus, McNetPlusSettings, labelled_dice
from sgrs_core.methods.method import Batch
from sgrs_core.networks.mcnet_plus import ThreeDecoderVNet
from sgrs_core.settings import TrainingSettings

TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3


@pytest.fixture(scope="module")
def arrays(golden):
    stored = golden("mcnet_plus")
    return {name: torch.from_numpy(a) for name, a in stored.items() if a.dtype.kind in "fi"}


@pytest.fixture
def logits(arrays):
    return [arrays[f"logits{i}"].clone().requires_grad_() for i in range(3)]


@pytest.fixture
def probabilities(logits):
    return [torch.softmax(each, dim=1) for each in logits]


@pytest.fixture(scope="module")
def network(arrays) -> ThreeDecoderVNet:
    """Of full size, filled: encoder, then the decoders in order."""
    classes = arrays["network_output0"].shape[1]
    network = ThreeDecoderVNet(arrays["input"].shape[1], classes, dropout=0)
    for k, (name, parameter) in enumerate(network.named_parameters()):
        parameter.data.copy_(filled(k, name, parameter))
    return network.eval()


def filled(k: int, name: str, parameter: torch.Tensor) -> torch.Tensor:
    """The values that tensor k in definition order was given when the numbers were made."""
    c = np.cos(0.37 * np.arange(parameter.numel()) + 0.91 * k).reshape(parameter.shape)
    if parameter.ndim > 1:
        values = c * np.sqrt(2 / (parameter.numel() / len(parameter)))
    else:
        values = 0.1 * c + name.endswith("weight")
    return torch.from_numpy(values.astype(np.float32))


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    scale = float(expected.abs().max())
    assert_allclose(actual.detach(), expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


def test_the_fill_rule_is_the_one_this_test_knows(golden):
    assert str(golden("mcnet_plus").get("fill_rule", "cos")) == "cos"


def test_the_networks_size(network, arrays):
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == arrays["network_n_parameters"]
    assert len(parameters) == arrays["network_n_tensors"]


def test_the_outputs_of_the_three_decoders(network, arrays):
    with torch.no_grad():
        outputs = network(arrays["input"])
        close(network.first(arrays["input"]), arrays["network_output0"])
    for i, output in enumerate(outputs):
        close(output, arrays[f"network_output{i}"])


def test_sharpening(probabilities, arrays):
    expected = arrays["sharpened0"]
    assert_allclose(sharpen(probabilities[0], 0.1).detach(), expected, rtol=TOLERANCE, atol=1e-6)


def test_losses(probabilities, arrays):
    dice = labelled_dice(probabilities, arrays["label"][:2])
    consistency = mutual_consistency(probabilities, 0.1, gradient_through_targets=True)
    assert_allclose(dice.item(), arrays["loss_dice"], TOLERANCE)
    assert_allclose(consistency.item(), arrays["loss_consistency"], TOLERANCE)


class Recorded(nn.Module):
    """Stands for the network: whatever the images, the recorded logits."""

    def __init__(self, logits: list[torch.Tensor]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.logits


def test_the_step_of_the_method_and_its_gradients(logits, arrays):
    """The recorded gradients are those of 0.5 dice + 0.7 consistency."""
    run = TrainingSettings(base_filters=2)
    method = McNetPlus(run, McNetPlusSettings(consistency_weight=0.7))
    method.network = Recorded(logits)
    labels = arrays["label"]
    images = torch.zeros(labels.shape).unsqueeze(1)
    output = method.step(Batch(images[:2], labels[:2], images[2:]), run.ramp_iterations)
    output.loss.backward()
    expected = 0.5 * arrays["loss_dice"] + 0.7 * arrays["loss_consistency"]
    assert_allclose(output.loss.item(), expected, TOLERANCE)
    assert_allclose(output.terms["labelled_dice"], arrays["loss_dice"], TOLERANCE)
    assert_allclose(output.terms["consistency"], arrays["loss_consistency"], TOLERANCE)
    for i, tensor in enumerate(logits):
        recorded = arrays[f"grad_logits{i}"]
        near_zero = min(1e-6, 1e-4 * float(recorded.abs().max()))
        assert_allclose(tensor.grad, recorded, rtol=GRADIENT_TOLERANCE, atol=near_zero)


def test_constant_targets_have_the_recorded_loss_and_other_gradients(logits, arrays):
    probabilities = [torch.softmax(each, dim=1) for each in logits]
    dice = labelled_dice(probabilities, arrays["label"][:2])
    consistency = mutual_consistency(probabilities, 0.1, gradient_through_targets=False)
    (0.5 * dice + 0.7 * consistency).backward()
    assert_allclose(consistency.item(), arrays["loss_consistency"], TOLERANCE)
    difference = (logits[0].grad - arrays["grad_logits0"]).abs().max()
    assert difference > 0.1 * arrays["grad_logits0"].abs().max()
