import os
from pathlib import Path

import pytest
import torch
from torch import nn

from sgrs_core.networks.voxelwise import Head, Voxelwise


def layers(channels: int) -> tuple[nn.Sequential, Head]:
    """PyTorch's own layers, and ours of the same values."""
    plain, ours = (
        nn.Sequential(nn.Linear(channels, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3)),
        Head(channels, 3),
    )
    nn.init.normal_(plain[1].weight)
    nn.init.normal_(plain[1].bias)
    ours.load_state_dict(plain.state_dict())  # the names are the same
    return plain, ours


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [2, 7, 300])
def test_a_head_is_pytorchs_layers_with_their_gradients_and_running_statistics(rows, training):
    torch.manual_seed(rows)
    plain, ours = (each.train(training) for each in layers(5))
    x = torch.randn(rows, 5) + 3
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    target = torch.randn(rows, 3)
    for network, given in ((plain, one), (ours, other)):
        (network(given) * target).sum().backward()
    torch.testing.assert_close(ours(x), plain(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other.grad, one.grad, rtol=1e-3, atol=1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_the_variance_of_very_many_vectors_is_right():
    torch.manual_seed(0)
    x = torch.randn(400_000, 4) + 1
    norm = nn.BatchNorm1d(4, momentum=1.0)
    Voxelwise(norm)(x)
    expected = x.double().var(dim=0)
    assert (norm.running_var.double() / expected - 1).abs().max() < 1e-5


def resident() -> float:
    """MiB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_other_numbers_of_vectors_in_each_step_take_no_more_memory():
    head = Head(16, 32)
    grown = []
    for step in range(200):
        vectors = torch.randn(20_000 + step * 7919 % 8000, 16)
        with torch.autocast("cpu", torch.bfloat16):
            loss = head(vectors).sum()
        loss.backward()
        grown.append(resident())
    assert grown[-1] - grown[50] < 40
