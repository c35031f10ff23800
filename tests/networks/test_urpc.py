import math

import pytest
import torch
from torch import nn

from sgrs_core.networks.urpc import PyramidUNet, PyramidVNet, upsample

BOTH = pytest.mark.parametrize("kind", [PyramidUNet, PyramidVNet])


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (PyramidUNet(), 5_884_504),
        (PyramidUNet(classes=3), 5_884_748),
        (PyramidVNet(), 9_449_320),
    ],
    ids=["unet", "unet with 3 classes", "vnet"],
)
def test_published_sizes(network, size):
    assert sum(parameter.numel() for parameter in network.parameters()) == size


@BOTH
def test_four_logits_at_full_resolution(kind):
    outputs = kind(base_filters=1)(torch.zeros(2, 1, 32, 16, 48))
    assert [output.shape for output in outputs] == [(2, 2, 32, 16, 48)] * 4


@BOTH
def test_scale_k_is_smooth_over_2_to_the_k_voxels(kind):
    torch.manual_seed(0)
    outputs = kind(base_filters=2).eval()(torch.randn(1, 1, 32, 32, 32))
    jumps = [(output.diff(n=2, dim=2).abs().mean() / output.std()).item() for output in outputs]
    assert jumps == sorted(jumps, reverse=True)


def test_published_dropout_rates_follow_the_runs():
    assert [layer.p for layer in PyramidUNet().dropouts] == pytest.approx([0.5, 0.3, 0.2, 0.1])
    assert all(layer.p == 0 for layer in PyramidUNet(dropout=0.0).dropouts)


def test_first_weights_are_kaimings():
    torch.manual_seed(0)
    for layer in PyramidUNet().modules():
        if isinstance(layer, nn.Conv3d) and layer.weight.numel() > 10_000:
            expected = math.sqrt(2 / layer.weight[0].numel())
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)


def test_patches_of_a_batch_do_not_meet_even_in_train_mode():
    torch.manual_seed(0)
    network = PyramidUNet(base_filters=2, dropout=0.0).double()
    images = torch.randn(2, 1, 32, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(network(images)[0][:1], network(images[:1])[0])


def test_upsampling_lies_between_voxel_centres():
    row = torch.tensor([0.0, 4.0]).view(1, 1, 2, 1, 1)
    assert upsample(row, 2)[0, 0, :, 0, 0].tolist() == [0, 1, 3, 4]


def test_the_v_nets_variant_keeps_the_v_nets_own_output():
    torch.manual_seed(0)
    network, images = PyramidVNet(base_filters=2).eval(), torch.randn(1, 1, 16, 16, 16)
    assert torch.equal(network(images)[0], network.vnet(images))
