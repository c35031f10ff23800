import torch
from torch import nn

from sgrs_core.networks.ema import average_into, shrink


def pair() -> tuple[nn.Module, nn.Module]:
    """Two convolutions with batch norm whose statistics differ."""
    torch.manual_seed(0)
    networks = [nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2)) for _ in range(2)]
    for network in networks:
        network(torch.randn(4, 1, 2, 2, 2))
    return networks[0], networks[1]


def test_each_parameter_becomes_the_weighted_mean():
    target, source = pair()
    expected = [
        0.9 * mine + 0.1 * theirs
        for mine, theirs in zip(target.parameters(), source.parameters(), strict=True)
    ]
    average_into(target, source, decay=0.9, buffers=False)
    for mine, mean in zip(target.parameters(), expected, strict=True):
        torch.testing.assert_close(mine, mean)


def test_batch_statistics_follow_only_when_asked():
    target, source = pair()
    before = target[1].running_mean.clone()
    average_into(target, source, decay=0.5, buffers=False)
    assert torch.equal(target[1].running_mean, before)
    average_into(target, source, decay=0.5, buffers=True)
    torch.testing.assert_close(target[1].running_mean, (before + source[1].running_mean) / 2)


def test_counters_are_left_alone():
    target, source = pair()
    source[1].num_batches_tracked += 5
    average_into(target, source, decay=0.0, buffers=True)
    shrink(target, 0.5)
    assert target[1].num_batches_tracked == 1


def test_shrinking_multiplies_parameters_and_batch_statistics():
    network, _ = pair()
    weight, variance = network[0].weight.clone(), network[1].running_var.clone()
    shrink(network, 0.5)
    torch.testing.assert_close(network[0].weight, weight / 2)
    torch.testing.assert_close(network[1].running_var, variance / 2)
