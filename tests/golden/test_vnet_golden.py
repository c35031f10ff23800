"""The V-Net computes what the published network computes, parameter by parameter."""

from collections.abc import Iterator

import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from sgrs_core.networks.vnet import VNet


def numbered(arrays, prefix: str) -> Iterator[torch.Tensor]:
    """prefix000, prefix001, ... as tensors."""
    names = sorted(name for name in arrays if name[: len(prefix)] == prefix)
    names = [name for name in names if name[len(prefix) :].isdigit()]
    return (torch.from_numpy(arrays[name]) for name in names)


@pytest.fixture
def arrays(golden):
    return golden("vnet")


@pytest.fixture
def network(arrays) -> VNet:
    parameters, buffers = list(numbered(arrays, "p")), list(numbered(arrays, "b"))
    base_filters, in_channels = parameters[0].shape[:2]
    vnet = VNet(in_channels, len(parameters[-1]), base_filters, dropout=0)
    for mine, stored in zip(vnet.parameters(), parameters, strict=True):
        mine.data.copy_(stored)
    for mine, stored in zip(vnet.buffers(), buffers, strict=True):
        mine.copy_(stored)
    return vnet


def close(actual: torch.Tensor, expected) -> None:
    scale = abs(expected).max()
    assert_allclose(actual.detach().numpy(), expected, rtol=1e-4, atol=1e-4 * scale)


def test_output_and_bottleneck_in_eval_mode(network, arrays):
    network.eval()
    images = torch.from_numpy(arrays["input"])
    close(network(images), arrays["output_eval"])
    close(network.encoder(images)[-1], arrays["bottleneck_eval"])


def test_output_loss_gradients_and_batch_statistics_in_train_mode(network, arrays):
    network.train()
    logits = network(torch.from_numpy(arrays["input"]))
    loss = functional.cross_entropy(logits, torch.from_numpy(arrays["label"]))
    loss.backward()
    close(logits, arrays["output_train"])
    assert_allclose(loss.item(), arrays["ce_train"], rtol=1e-4)
    norms = torch.stack([parameter.grad.norm() for parameter in network.parameters()])
    # A bias before a batch norm has no gradient but rounding, so the scale is the largest norm.
    assert_allclose(
        norms.numpy(), arrays["grad_norms"], rtol=1e-4, atol=1e-6 * arrays["grad_norms"].max()
    )
    for mine, stored in zip(network.buffers(), numbered(arrays, "b_after_train"), strict=True):
        close(mine, stored.numpy())
