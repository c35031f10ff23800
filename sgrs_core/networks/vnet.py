"""V-Net, the 3D encoder-decoder behind every row of the paper's tables but URPC's.

Source: Milletari et al., "V-Net", 3DV 2016, in the form the semi-supervised field settled on
(UA-MT and its descendants): plain convolution blocks without residual connections, batch
normalisation, element-wise added skip connections.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

NewUp = Callable[[int, int], nn.Module]  # from input and output channels


def activated(convolution: nn.Module, norm: nn.Module) -> list[nn.Module]:
    """Three layers: a convolution, a norm of its output channels, and ReLU."""
    return [convolution, norm, nn.ReLU(inplace=True)]


class ConvBlock(nn.Sequential):
    """`n` times 3x3x3 convolution, norm, ReLU: (N, cin, X, Y, Z) -> (N, cout, X, Y, Z)."""

    def __init__(
        self, n: int, cin: int, cout: int, norm: Callable[[int], nn.Module] = nn.BatchNorm3d
    ) -> None:
        layers: list[nn.Module] = []
        for channels in [cin, *[cout] * (n - 1)]:
            layers += activated(nn.Conv3d(channels, cout, 3, padding=1), norm(cout))
        super().__init__(*layers)


class Down(nn.Sequential):
    """Halve each side by a strided convolution: (N, cin, X, Y, Z) -> (N, cout, X/2, Y/2, Z/2)."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(*activated(nn.Conv3d(cin, cout, 2, stride=2), nn.BatchNorm3d(cout)))


class Up(nn.Sequential):
    """Double each side by a transposed convolution: (N, cin, X, Y, Z) -> (N, cout, 2X, 2Y, 2Z)."""

    def __init__(self, cin: int, cout: int) -> None:
        convolution = nn.ConvTranspose3d(cin, cout, 2, stride=2)
        super().__init__(*activated(convolution, nn.BatchNorm3d(cout)))


class Encoder(nn.Module):
    """The contracting half: an image to its features at five resolutions.

    forward: (N, 1, X, Y, Z) -> five tensors (N, f 2^k, X/2^k, Y/2^k, Z/2^k), k = 0..4.
    """

    def __init__(self, base_filters: int, dropout: float) -> None:
        super().__init__()
        f = base_filters
        self.stage1, self.down1 = ConvBlock(1, 1, f), Down(f, 2 * f)
        self.stage2, self.down2 = ConvBlock(2, 2 * f, 2 * f), Down(2 * f, 4 * f)
        self.stage3, self.down3 = ConvBlock(3, 4 * f, 4 * f), Down(4 * f, 8 * f)
        self.stage4, self.down4 = ConvBlock(3, 8 * f, 8 * f), Down(8 * f, 16 * f)
        self.stage5 = ConvBlock(3, 16 * f, 16 * f)
        self.dropout = nn.Dropout3d(dropout)

    def forward(self, images: Tensor) -> list[Tensor]:
        x1 = self.stage1(images)
        x2 = self.stage2(self.down1(x1))
        x3 = self.stage3(self.down2(x2))
        x4 = self.stage4(self.down3(x3))
        x5 = self.dropout(self.stage5(self.down4(x4)))
        return [x1, x2, x3, x4, x5]


class FeatureDecoder(nn.Module):
    """The expanding half up to what heads read, skip connections added.

    forward: the encoder's five tensors -> the last features after dropout, (N, f, X, Y, Z). `up`
    makes the four modules that double the sides, from their input and output channels.
    """

    def __init__(self, base_filters: int, dropout: float, up: NewUp = Up) -> None:
        super().__init__()
        f = base_filters
        self.up5, self.stage6 = up(16 * f, 8 * f), ConvBlock(3, 8 * f, 8 * f)
        self.up6, self.stage7 = up(8 * f, 4 * f), ConvBlock(3, 4 * f, 4 * f)
        self.up7, self.stage8 = up(4 * f, 2 * f), ConvBlock(2, 2 * f, 2 * f)
        self.up8, self.stage9 = up(2 * f, f), ConvBlock(1, f, f)
        self.dropout = nn.Dropout3d(dropout)

    def pyramid(self, encoded: Sequence[Tensor]) -> list[Tensor]:
        """The features of stages 6 to 9, (N, f 2^k, X/2^k, Y/2^k, Z/2^k), k = 3..0."""
        x1, x2, x3, x4, x5 = encoded
        x6 = self.stage6(self.up5(x5) + x4)
        x7 = self.stage7(self.up6(x6) + x3)
        x8 = self.stage8(self.up7(x7) + x2)
        return [x6, x7, x8, self.stage9(self.up8(x8) + x1)]

    def features(self, encoded: Sequence[Tensor]) -> Tensor:
        """The last features before dropout, (N, f, X, Y, Z)."""
        return self.pyramid(encoded)[-1]

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        return self.dropout(self.features(encoded))


class Decoder(FeatureDecoder):
    """The whole expanding half: the encoder's five tensors -> logits (N, classes, X, Y, Z)."""

    def __init__(self, classes: int, base_filters: int, dropout: float, up: NewUp = Up) -> None:
        super().__init__(base_filters, dropout, up)
        self.output = nn.Conv3d(base_filters, classes, 1)

    def forward(self, encoded: Sequence[Tensor]) -> Tensor:
        return self.output(super().forward(encoded))


class VNet(nn.Module):
    """Encoder and decoder.

    forward: (N, 1, X, Y, Z) float, each side divisible by 16 -> logits
    (N, classes, X, Y, Z). `dropout` is the rate of the two channel dropouts (at the bottleneck
    and before the output convolution); 0 switches both off.
    """

    def __init__(self, classes: int = 2, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = Encoder(base_filters, dropout)
        self.decoder = Decoder(classes, base_filters, dropout)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))

    def with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the features they are made of, after the dropout: (N, f, X, Y, Z)."""
        features = self.decoder.dropout(self.decoder.features(self.encoder(images)))
        return self.decoder.output(features), features

    def compile_features(self) -> None:
        """Have `with_features` compiled, as `compile` has a call of the network."""
        self.with_features = torch.compile(self.with_features, dynamic=False)  # type: ignore[method-assign]


class InstanceNorm(nn.InstanceNorm3d):
    """Each channel of each patch to mean 0 and variance 1; no parameters, train = eval.

    A lone voxel, which is its own mean, becomes 0 (PyTorch's raises ValueError).
    """

    def forward(self, features: Tensor) -> Tensor:
        if features.shape[2:].numel() == 1:
            return features - features  # not a constant, so that gradients exist and are 0
        return super().forward(features)


def instance_norm_vnet(classes: int = 2, base_filters: int = 16) -> VNet:
    """A V-Net without dropout, each batch norm replaced by an instance norm without parameters.

    That of BCP's Pancreas-CT recipe. It computes the same in train and in eval mode.
    """
    network = VNet(classes, base_filters, dropout=0)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm3d):
                setattr(parent, name, InstanceNorm(child.num_features))
    return network


def he_normal(network: nn.Module) -> None:
    """Draw every convolution's weight from N(0, 2 / fan_in), in place (He et al., ICCV 2015).

    fan_in is the weight's second dimension times its kernel's volume: the input channels of a
    convolution, but the output channels of a transposed one. Biases and norms stay as they are.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight)
