"""MC-Net+'s network: the V-Net with three decoders that differ only in how they double the sides.

Source: Wu et al., "Mutual consistency learning for semi-supervised medical image segmentation",
Medical Image Analysis 2022.
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from sgrs_core.networks.vnet import Decoder, Encoder, Up, activated


class InterpolatingUp(nn.Sequential):
    """Double each side by interpolation, then 3x3x3 convolution, batch norm and ReLU as in `Up`.

    forward: (N, cin, X, Y, Z) -> (N, cout, 2X, 2Y, 2Z). `trilinear` interpolates between the corner
    voxels, which stay corners; `nearest` repeats every voxel.
    """

    def __init__(self, cin: int, cout: int, mode: Literal["trilinear", "nearest"]) -> None:
        corners = True if mode == "trilinear" else None
        super().__init__(
            nn.Upsample(scale_factor=2, mode=mode, align_corners=corners),
            *activated(nn.Conv3d(cin, cout, 3, padding=1), nn.BatchNorm3d(cout)),
        )


TRILINEAR = partial(InterpolatingUp, mode="trilinear")
NEAREST = partial(InterpolatingUp, mode="nearest")


class ThreeDecoderVNet(nn.Module):
    """One encoder, three decoders: transposed convolution, trilinear, nearest.

    forward: (N, 1, X, Y, Z) float, each side divisible by 16 -> three logits
    (N, classes, X, Y, Z). `dropout` is the rate at the bottleneck (one draw for all decoders) and
    before each decoder's output convolution.
    """

    def __init__(self, classes: int = 2, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = Encoder(base_filters, dropout)
        self.decoders = nn.ModuleList(
            Decoder(classes, base_filters, dropout, up) for up in (Up, TRILINEAR, NEAREST)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        encoded = self.encoder(images)
        return [decoder(encoded) for decoder in self.decoders]

    def first(self, images: Tensor) -> Tensor:
        """The logits of the first decoder, without computing the others: (N, classes, X, Y, Z)."""
        logits: Tensor = self.decoders[0](self.encoder(images))
        return logits
