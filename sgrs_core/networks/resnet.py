"""A segmentation network of two known halves: a 3D ResNet-34 going down, the V-Net's decoder up.

Sources: He et al., "Deep residual learning for image recognition", CVPR 2016, for the blocks; Wang
et al., "MCF", CVPR 2023, for their place beside a V-Net.
"""

from torch import Tensor, nn
from torch.nn import functional

from sgrs_core.networks.vnet import Decoder, activated

BLOCKS = (3, 4, 6, 3)  # of the four stages


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions with batch norm, added to their input.

    forward: (N, cin, X, Y, Z) -> (N, cout, X/stride, Y/stride, Z/stride). Where the shape changes,
    the input passes a strided 1x1x1 convolution and a batch norm.
    """

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *activated(
                nn.Conv3d(cin, cout, 3, stride=stride, padding=1, bias=False), nn.BatchNorm3d(cout)
            ),
            nn.Conv3d(cout, cout, 3, padding=1, bias=False),
            nn.BatchNorm3d(cout),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(
                nn.Conv3d(cin, cout, 1, stride=stride, bias=False), nn.BatchNorm3d(cout)
            )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.residual(x) + self.shortcut(x))


class ResNet34Encoder(nn.Module):
    """A 7x7x7 convolution that keeps the sides, and four stages that halve them.

    forward: (N, 1, X, Y, Z) -> five tensors (N, f 2^k, X/2^k, Y/2^k, Z/2^k), k = 0..4, as
    the V-Net's encoder gives them. No pooling, no dropout.
    """

    def __init__(self, base_filters: int) -> None:
        super().__init__()
        stem = nn.Conv3d(1, base_filters, 7, padding=3, bias=False)
        self.stem = nn.Sequential(*activated(stem, nn.BatchNorm3d(base_filters)))
        widths = [base_filters * 2**k for k in range(len(BLOCKS) + 1)]
        self.stages = nn.ModuleList(
            _stage(blocks, cin, cout)
            for blocks, cin, cout in zip(BLOCKS, widths[:-1], widths[1:], strict=True)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        encoded = [self.stem(images)]
        for stage in self.stages:
            encoded.append(stage(encoded[-1]))
        return encoded


class ResNet34VNet(nn.Module):
    """ResNet-34 encoder and V-Net decoder.

    forward: (N, 1, X, Y, Z) float, each side divisible by 16 -> logits
    (N, classes, X, Y, Z). `dropout` is the rate of the only channel dropout, before the output
    convolution.
    """

    def __init__(self, classes: int = 2, base_filters: int = 16, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = ResNet34Encoder(base_filters)
        self.decoder = Decoder(classes, base_filters, dropout)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def zero_residual_norms(network: nn.Module) -> None:
    """Set the weight of each block's last batch norm to 0, in place: a block starts as identity."""
    for module in network.modules():
        if isinstance(module, BasicBlock):
            last = module.residual[-1]
            assert isinstance(last, nn.BatchNorm3d)
            nn.init.zeros_(last.weight)


def _stage(blocks: int, cin: int, cout: int) -> nn.Sequential:
    """`blocks` basic blocks, the first of which halves the sides and widens."""
    following = [BasicBlock(cout, cout, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(BasicBlock(cin, cout, stride=2), *following)
