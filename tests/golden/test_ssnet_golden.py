"""SS-Net equals its public code: network, memory, both contrast losses, smoothness."""

import math

import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sgrs_core.losses.adversarial import adversarial_dice_loss
from sgrs_core.methods.ssnet import SmoothnessAndSeparation
from sgrs_core.networks.ssnet import SeparatingVNet
from sgrs_core.settings import TrainingSettings


@pytest.fixture
def arrays(golden):
    stored = golden("ssnet")
    assert str(stored["fill_rule"]) == "cos"
    return {name: torch.as_tensor(array) for name, array in stored.items() if name != "fill_rule"}


def filled(network: nn.Module) -> nn.Module:
    """Tensor k, element i: cos(0.37 i + 0.91 k), scaled by what kind of parameter it is."""
    for k, (name, parameter) in enumerate(network.named_parameters()):
        i = torch.arange(parameter.numel(), dtype=torch.float64)
        value = torch.cos(0.37 * i + 0.91 * k).view(parameter.shape)
        if parameter.dim() > 1:
            value = value * math.sqrt(2 / (parameter.numel() / len(parameter)))
        else:
            value = 0.1 * value + (1 if name.endswith("weight") else 0)
        parameter.data.copy_(value)
    return network


def numbered(arrays, prefix: str) -> list[torch.Tensor]:
    """prefix000, prefix001, ..."""
    names = sorted(name for name in arrays if name[:-3] == prefix and name[-3:].isdigit())
    return [arrays[name] for name in names]


def close(actual: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    scale = float(expected.abs().max())
    assert_allclose(actual.detach(), expected, rtol=tolerance, atol=max(tolerance * scale, 1e-6))


@pytest.fixture(scope="module")
def network() -> SeparatingVNet:
    """Full size, as published, dropout off."""
    return filled(SeparatingVNet(classes=2, base_filters=16, dropout=0))


@pytest.fixture
def method(network) -> SmoothnessAndSeparation:
    """In train mode, its heads as published at their first batch statistics."""
    method = SmoothnessAndSeparation(TrainingSettings(patch=(16, 16, 16), dropout=0))
    method.network.load_state_dict(network.state_dict())
    return method


def test_the_network_has_the_published_parameters(network, arrays):
    parameters = list(network.parameters())
    assert len(parameters) == arrays["network_n_tensors"]
    assert sum(parameter.numel() for parameter in parameters) == arrays["network_n_parameters"]
    heads = numbered(arrays, "head_p")
    for mine, stored in zip(parameters[-len(heads) :], heads, strict=True):
        assert_allclose(mine.detach(), stored, rtol=1e-5, atol=1e-6)


def test_output_and_features(network, arrays):
    network.eval()
    with torch.no_grad():
        logits, features = network.with_features(arrays["input"])
        close(network(arrays["input"]), arrays["network_output"])
    close(logits, arrays["network_output"])
    close(features[:, :, ::4, ::4, ::4], arrays["network_features_every4"])


def remember(method, features, arrays) -> torch.Tensor:
    """Fill the memory from the labelled patches; the most probable class of every patch."""
    predicted = arrays["logits"].argmax(dim=1)
    method.remember(features[:2], predicted[:2], arrays["label"][:2])
    return predicted


def test_the_memory_holds_lowest_ranked_foreground_alone(method, arrays):
    remember(method, arrays["features"], arrays)
    assert (method.memory.recall(0) is None) == bool(arrays["memory_background_is_none"])
    close(method.memory.recall(1), arrays["memory_foreground"])


def test_contrast_losses_and_their_gradient(method, arrays):
    features = arrays["features"].clone().requires_grad_()
    predicted = remember(method, features, arrays)
    labelled = method.contrast_loss(features[:2], arrays["label"][:2])
    unlabelled = method.contrast_loss(features[2:], predicted[2:])
    (labelled + unlabelled).backward()
    assert_allclose(labelled.item(), arrays["loss_contrast_labelled"], rtol=1e-4)
    assert_allclose(unlabelled.item(), arrays["loss_contrast_unlabelled"], rtol=1e-4)
    expected = arrays["grad_features"]
    scale = float(expected.abs().max())
    assert_allclose(features.grad, expected, rtol=1e-3, atol=1e-3 * scale)


def small_network(arrays) -> nn.Module:
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


def test_smoothness_and_its_gradients(arrays):
    network, settings = small_network(arrays), SmoothnessAndSeparation.Settings()
    loss = adversarial_dice_loss(
        network, arrays["vat_input"], arrays["vat_uniform"] - 0.5, settings.xi, settings.epsilon
    )
    loss.backward()
    assert_allclose(loss.item(), arrays["vat_loss"], rtol=1e-4)
    gradients = [parameter.grad for parameter in network.parameters()]
    for mine, stored in zip(gradients, numbered(arrays, "vat_grad"), strict=True):
        close(mine, stored, 1e-3)


def test_the_step_shifts_the_uniform_draw_and_takes_it_from_torchs_generator(
    method, arrays, monkeypatch
):
    method.network = small_network(arrays)
    monkeypatch.setattr(torch, "rand_like", lambda images: arrays["vat_uniform"])
    loss = method.smoothness_loss(arrays["vat_input"])
    assert_allclose(loss.item(), arrays["vat_loss"], rtol=1e-4)
