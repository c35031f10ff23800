"""URPC's networks: one decoder that predicts at four scales.

Both give four logits at full resolution, o_1 (finest scale) to o_4 (coarsest), each up-sampled
before its softmax. Sources: Luo et al., MICCAI 2021 and Medical Image Analysis 2022, and the
authors' public 3D U-Net (HiLab-git/SSL4MIS).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from sgrs_core.networks.vnet import ConvBlock, InstanceNorm, VNet, he_normal

SCALES = 4
# Of the deepest decoder level's dropout rate, deepest first: 0.5, 0.3, 0.2, 0.1 as published.
DROPOUT_SHARES = (1.0, 0.6, 0.4, 0.2)


class PyramidUNet(nn.Module):
    """3D U-Net: max-pooling, trilinear up-sampling, concatenated skips, a head on each level.

    forward: (N, 1, X, Y, Z) float, each side divisible by 16 -> [o_1, o_2, o_3, o_4],
    each (N, classes, X, Y, Z). `dropout`: channel dropout after the deepest decoder level; the
    finer ones drop 0.6, 0.4 and 0.2 of that. With sides of 16 only one voxel is left at the bottom,
    which the norm sets to 0: patches should be larger.
    """

    def __init__(self, classes: int = 2, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        f = [base_filters * 2**level for level in range(SCALES + 1)]
        deepest_first = range(SCALES - 1, -1, -1)
        block = partial(ConvBlock, 2, norm=InstanceNorm)
        self.encoder = nn.ModuleList(block(f[k - 1] if k else 1, f[k]) for k in range(SCALES))
        self.centre = block(f[SCALES - 1], f[SCALES])
        self.decoder = nn.ModuleList(block(f[k] + f[k + 1], f[k]) for k in deepest_first)
        self.heads = nn.ModuleList(nn.Conv3d(f[k], classes, 1) for k in deepest_first)
        self.dropouts = nn.ModuleList(nn.Dropout3d(share * dropout) for share in DROPOUT_SHARES)
        he_normal(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, skips = images, []
        for block in self.encoder:
            skips.append(block(x))
            x = functional.max_pool3d(skips[-1], 2)
        x = self.centre(x)
        logits = []
        levels = zip(self.decoder, self.dropouts, self.heads, reversed(skips), strict=True)
        for block, dropout, head, skip in levels:
            x = dropout(block(torch.cat([skip, upsample(x, 2)], dim=1)))
            logits.append(head(x))
        return at_full_resolution(logits[::-1])


class PyramidVNet(nn.Module):
    """Our variant, without published code: heads on the V-Net's decoder stages 8, 7 and 6.

    forward as `PyramidUNet`; o_1 is the V-Net's own output. 9,449,320 parameters with 16 filters.
    """

    def __init__(self, classes: int = 2, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.vnet = VNet(classes, base_filters, dropout)
        filters = [base_filters * 2**level for level in range(1, SCALES)]
        self.heads = nn.ModuleList(nn.Conv3d(f, classes, 1) for f in filters)

    def forward(self, images: Tensor) -> list[Tensor]:
        decoder = self.vnet.decoder
        *coarser, finest = decoder.pyramid(self.vnet.encoder(images))
        logits = [decoder.output(decoder.dropout(finest))]
        pairs = zip(self.heads, reversed(coarser), strict=True)
        logits += [head(features) for head, features in pairs]
        return at_full_resolution(logits)


def at_full_resolution(logits: Sequence[Tensor]) -> list[Tensor]:
    """Scale k's logits, (N, C, X/2^k, Y/2^k, Z/2^k), to (N, C, X, Y, Z), for k = 0, 1, ..."""
    return [upsample(scale, 2**k) for k, scale in enumerate(logits)]


def upsample(features: Tensor, factor: int) -> Tensor:
    """Trilinear, each side times `factor`, between voxel centres (corners are not aligned)."""
    if factor == 1:
        return features
    return functional.interpolate(features, scale_factor=factor, mode="trilinear")
