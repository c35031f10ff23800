"""SS-Net's network: the V-Net, and small heads that embed, rank and weigh its last features.

Source: Wu et al., MICCAI 2022, and its public code (ycwu1997/SS-Net).
"""

import torch
from torch import Tensor, nn

from sgrs_core.networks.vnet import VNet
from sgrs_core.networks.voxelwise import Head, Linear, Voxelwise

EMBEDDING = 32  # length of the vectors in the memory


def selector() -> Voxelwise:
    """(N, 32) -> (N, 1), a score whose sigmoid says how much a vector counts."""
    return Voxelwise(
        Linear(EMBEDDING, EMBEDDING),
        nn.BatchNorm1d(EMBEDDING),
        nn.LeakyReLU(0.2),
        Linear(EMBEDDING, 1),
    )


class SeparatingVNet(VNet):
    """V-Net with a projection head, a prediction head, and two selectors for each class.

    forward: as the V-Net's. `selectors[c]` score features of class c, `memory_selectors[c]` the
    memory's vectors of class c.
    """

    def __init__(self, classes: int, base_filters: int, dropout: float) -> None:
        super().__init__(classes=classes, base_filters=base_filters, dropout=dropout)
        self.projection = Head(base_filters, EMBEDDING)
        self.prediction = Head(EMBEDDING, EMBEDDING)
        self.selectors = nn.ModuleList(selector() for _ in range(classes))
        self.memory_selectors = nn.ModuleList(selector() for _ in range(classes))

    def embed(self, vectors: Tensor) -> Tensor:
        """Projection, then prediction: (N, f) -> (N, 32)."""
        return self.prediction(self.projection(vectors))


def score(selector: nn.Module, vectors: Tensor) -> Tensor:
    """sigmoid(selector(vectors)) in float32: (N, 32) -> (N,) in [0, 1]."""
    return torch.sigmoid(selector(vectors).float()[:, 0])
