"""Co-BioNet's critic: how much a voxel's probability looks like a label's.

Source: Peiris et al., "Uncertainty-guided dual-views for semi-supervised volumetric medical image
segmentation", Nature Machine Intelligence 2023, in the form of its public code.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sgrs_core.networks.voxelwise import Linear, Voxelwise

WIDTHS = (1, 16, 32, 64, 1)


class Critic(Voxelwise):
    """Four times linear layer without bias, batch norm and leaky ReLU, the last one too.

    The same layers for every voxel: the public code's 1x1x1 convolutions, as the matrix products
    that they are. forward: probabilities (B, X, Y, Z) in [0, 1] -> logits (B, X, Y, Z). Other
    voxels matter through the batch statistics alone.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for cin, cout in pairwise(WIDTHS):
            layers += [
                Linear(cin, cout, bias=False),
                nn.BatchNorm1d(cout),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        super().__init__(*layers)

    def forward(self, probability: Tensor) -> Tensor:
        logits: Tensor = super().forward(probability.reshape(-1, 1))
        return logits.view(probability.shape)


def critic_probability(critic: nn.Module, probability: Tensor) -> Tensor:
    """sigmoid(critic(p)), voxel by voxel: (B, X, Y, Z) in [0, 1] -> the same, float32."""
    return torch.sigmoid(critic(probability).float())


def frozen_critic_probability(critic: nn.Module, probability: Tensor) -> Tensor:
    """The same, with a gradient for the probability and none for the critic's parameters."""
    constants = {name: value.detach() for name, value in critic.named_parameters()}
    logits: Tensor = functional_call(critic, constants, (probability,))
    return torch.sigmoid(logits.float())
