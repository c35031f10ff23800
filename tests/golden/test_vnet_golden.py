"""The V-Net computes what the published network computes, parameter by parameter."""

import pytest
import torch
from torch.nn import functional

from sgrs_core.networks.vnet import VNet
from tests.golden.closeness import close, gradient_close
from tests.golden.stored import copy_into, numbered


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("vnet")


@pytest.fixture
def network(arrays) -> VNet:
    parameters = numbered(arrays, "p")
    base_filters = len(parameters[0])
    vnet = VNet(len(parameters[-1]), base_filters, dropout=0)
    copy_into(vnet.parameters(), parameters)
    copy_into(vnet.buffers(), numbered(arrays, "b"))
    return vnet


def test_output_and_bottleneck_in_eval_mode(network, arrays):
    network.eval()
    close(network(arrays["input"]), arrays["output_eval"])
    close(network.encoder(arrays["input"])[-1], arrays["bottleneck_eval"])


def test_output_loss_gradients_and_batch_statistics_in_train_mode(network, arrays):
    network.train()
    logits = network(arrays["input"])
    loss = functional.cross_entropy(logits, arrays["label"])
    loss.backward()
    close(logits, arrays["output_train"])
    close(loss, arrays["ce_train"])
    norms = torch.stack([parameter.grad.norm() for parameter in network.parameters()])
    gradient_close(norms, arrays["grad_norms"])
    for mine, stored in zip(network.buffers(), numbered(arrays, "b_after_train"), strict=True):
        close(mine, stored)
