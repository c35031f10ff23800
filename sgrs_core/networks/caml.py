"""CAML's networks: a plain V-Net and an auxiliary one, and the heads that describe their voxels.

Source: Gao et al., "Correlation-aware mutual learning for semi-supervised medical image
segmentation", MICCAI 2023, in the form that its public code computes, its cross-sample mutual
attention included.
"""

from typing import NamedTuple

from torch import Tensor, nn

from sgrs_core.networks.mcnet_plus import TRILINEAR
from sgrs_core.networks.vnet import Decoder, VNet
from sgrs_core.networks.voxelwise import Head

HEADS = 4  # of the attention


class View(NamedTuple):
    """What one network makes of the patches.

    logits: (B, classes, X, Y, Z). features: (B, base_filters, X, Y, Z), what the output convolution
    sees, dropout included.
    """

    logits: Tensor
    features: Tensor


class CrossSampleAttention(nn.Module):
    """Each voxel attends to the voxels of its patch, then to its place in the other patches.

    forward: (N, channels, X, Y, Z) -> the same shape. Two transformer encoder layers (4 heads,
    feed-forward of 4 times the channels, layer norm last, no positional encoding). In eval mode it
    gives back its input, so a patch's output never depends on what else is in the batch.
    Raises AssertionError where `channels` is no multiple of 4.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.within, self.between = (
            nn.TransformerEncoderLayer(channels, HEADS, 4 * channels, dropout) for _ in range(2)
        )

    def forward(self, features: Tensor) -> Tensor:
        if not self.training:
            return features
        sequence = features.flatten(2).movedim(2, 0)  # (voxels, N, channels)
        sequence = self.within(sequence)
        sequence = self.between(sequence.transpose(0, 1)).transpose(0, 1)
        return sequence.movedim(0, 2).reshape(features.shape)


class AuxiliaryVNet(VNet):
    """The V-Net with attention after stage 4 and a decoder that doubles the sides by interpolation.

    forward: as VNet's. The attended features of stage 4 are also the decoder's skip connection. In
    eval mode there is no attention: this network is a partner in training, not a predictor.
    """

    def __init__(
        self,
        classes: int = 2,
        base_filters: int = 16,
        dropout: float = 0.5,
        attention_dropout: float = 0.5,
    ) -> None:
        super().__init__(classes, base_filters, dropout)
        self.encoder.stage4.append(CrossSampleAttention(8 * base_filters, attention_dropout))
        self.decoder = Decoder(classes, base_filters, dropout, TRILINEAR)


def view(network: VNet, images: Tensor) -> View:
    """Logits and voxel features of a V-Net in one pass, in float32."""
    logits, features = network.with_features(images)
    return View(logits.float(), features.float())


class Heads(nn.Module):
    """Projection, and prediction after it: voxel features (n, cin) -> vectors (n, width)."""

    def __init__(self, cin: int, width: int) -> None:
        super().__init__()
        self.projection, self.prediction = Head(cin, width), Head(width, width)

    def forward(self, features: Tensor) -> Tensor:
        return self.prediction(self.projection(features))
