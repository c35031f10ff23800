"""DTC's network: a V-Net with a mask head and a distance head in place of its output convolution.

Source: Luo et al., "Semi-supervised medical image segmentation through dual-task consistency",
AAAI 2021, as its authors' public code (HiLab-git/DTC) builds it on the V-Net of `networks.vnet`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sgrs_core.networks.vnet import Encoder, FeatureDecoder


class DualOutput(NamedTuple):
    """What both heads say of each voxel, (N, X, Y, Z) float32 each.

    distance: normalised signed distance to the object's boundary, in (-1, 1), negative inside.
    logit: of the foreground probability.
    """

    distance: Tensor
    logit: Tensor


class DualTaskVNet(nn.Module):
    """Encoder, decoder and two heads of one channel each, on the same dropped-out features.

    forward: (N, 1, X, Y, Z) float, each side divisible by 16 -> `DualOutput`. `dropout`
    is the rate of both channel dropouts, as in `VNet`.
    """

    def __init__(self, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = Encoder(base_filters, dropout)
        self.decoder = FeatureDecoder(base_filters, dropout)
        self.distance = nn.Conv3d(base_filters, 1, 1)
        self.mask = nn.Conv3d(base_filters, 1, 1)

    def forward(self, images: Tensor) -> DualOutput:
        features = self.decoder(self.encoder(images))
        distance = torch.tanh(self.distance(features).float())
        return DualOutput(distance.squeeze(1), self.mask(features).float().squeeze(1))
