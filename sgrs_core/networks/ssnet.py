"""SS-Net's network: the V-Net, and small heads that embed, rank and weigh its last features.

Source: Wu et al., MICCAI 2022, and its public code (ycwu1997/SS-Net).
"""

import torch
from torch import Tensor, nn

from sgrs_core.networks.vector_norm import VectorNorm
from sgrs_core.networks.vnet import VNet

EMBEDDING = 32  # length of the vectors in the memory


def embedding_head(inputs: int) -> nn.Sequential:
    """(N, inputs) -> (N, 32)."""
    return nn.Sequential(
        nn.Linear(inputs, EMBEDDING),
        VectorNorm(EMBEDDING),
        nn.ReLU(),
        nn.Linear(EMBEDDING, EMBEDDING),
    )


def selector() -> nn.Sequential:
    """(N, 32) -> (N, 1), a score whose sigmoid says how much a vector counts."""
    return nn.Sequential(
        nn.Linear(EMBEDDING, EMBEDDING),
        VectorNorm(EMBEDDING),
        nn.LeakyReLU(0.2),
        nn.Linear(EMBEDDING, 1),
    )


class SeparatingVNet(VNet):
    """V-Net with a projection head, a prediction head, and two selectors for each class.

    forward: as the V-Net's. `selectors[c]` score features of class c, `memory_selectors[c]` the
    memory's vectors of class c.
    """

    def __init__(self, classes: int, base_filters: int, dropout: float) -> None:
        super().__init__(classes=classes, base_filters=base_filters, dropout=dropout)
        self.projection = embedding_head(base_filters)
        self.prediction = embedding_head(EMBEDDING)
        self.selectors = nn.ModuleList(selector() for _ in range(classes))
        self.memory_selectors = nn.ModuleList(selector() for _ in range(classes))

    def with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes, X, Y, Z), and the features they are made of, (N, f, X, Y, Z).

        The features are the last ones, after the dropout.
        """
        features = self.decoder.dropout(self.decoder.features(self.encoder(images)))
        return self.decoder.output(features), features

    def embed(self, vectors: Tensor) -> Tensor:
        """Projection, then prediction: (N, f) -> (N, 32)."""
        return self.prediction(self.projection(vectors))

    @torch.no_grad()
    def project_for_memory(self, vectors: Tensor) -> Tensor:
        """Projection alone, with running statistics and without gradient: (N, f) -> (N, 32)."""
        mode = self.projection.training
        projected = self.projection.eval()(vectors)
        self.projection.train(mode)
        return projected


def score(selector: nn.Module, vectors: Tensor) -> Tensor:
    """sigmoid(selector(vectors)) in float32: (N, 32) -> (N,) in [0, 1]."""
    return torch.sigmoid(selector(vectors).float()[:, 0])
