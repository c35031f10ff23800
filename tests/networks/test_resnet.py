import pytest
import torch
from torch import nn

from sgrs_core.networks.resnet import (
    BasicBlock,
    ResNet34Encoder,
    ResNet34VNet,
    zero_residual_norms,
)
from sgrs_core.networks.vnet import Encoder, he_normal


def test_the_published_network_has_the_published_size():
    network = ResNet34VNet()
    sizes = [
        (sum(p.numel() for p in part.parameters()), len(list(part.parameters())))
        for part in (network.encoder, network.decoder)
    ]
    assert sizes == [(15_858_384, 111), (2_071_970, 54)]
    assert len(list(network.buffers())) == 150


def test_the_encoder_has_34_layers():
    """33 3x3x3 or 7x7x7 convolutions; the 34th, a classifier, is left out."""
    convolutions = [m for m in ResNet34Encoder(2).modules() if isinstance(m, nn.Conv3d)]
    assert sum(m.kernel_size != (1, 1, 1) for m in convolutions) == 33


def test_the_encoder_gives_what_the_vnets_decoder_takes():
    images = torch.zeros(2, 1, 32, 32, 16)
    shapes = [
        [tuple(features.shape) for features in encoder(images)]
        for encoder in (ResNet34Encoder(2), Encoder(2, 0.0))
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("shape", [(16, 16, 16), (32, 16, 48)])
def test_logits_have_two_classes_and_the_patchs_sides(shape):
    assert ResNet34VNet(base_filters=2)(torch.zeros(2, 1, *shape)).shape == (2, 2, *shape)


def test_a_block_without_residual_is_the_relu_of_its_input():
    block = BasicBlock(3, 3, stride=1).eval()
    zero_residual_norms(block)
    x = torch.randn(2, 3, 4, 4, 4)
    torch.testing.assert_close(block(x), x.relu())


def test_a_block_of_one_voxel_by_hand():
    """One channel, one voxel: only a kernel's middle counts, and fresh norms change nothing."""
    block = BasicBlock(1, 1, stride=1).eval()
    for layer, middle in ((0, 2.0), (3, -0.5)):
        block.residual[layer].weight.data[..., 1, 1, 1] = middle
    for x in (3.0, -3.0):
        expected = max(x - 0.5 * max(2 * x, 0), 0)  # 3: 3 - 3 = 0; -3: -3 - 0, below 0
        output = block(torch.full((1, 1, 1, 1, 1), x))
        assert output.item() == pytest.approx(expected, abs=1e-4)


def test_he_normal_counts_the_weights_second_dimension():
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv3d(8, 64, 3), nn.ConvTranspose3d(64, 8, 3))
    biases = [layer.bias.clone() for layer in wide]
    he_normal(wide)
    for layer, bias in zip(wide, biases, strict=True):
        assert layer.weight.std().item() == pytest.approx((2 / (8 * 27)) ** 0.5, rel=0.03)
        assert torch.equal(layer.bias, bias)
