"""SS-Net's separation of classes: weighted cosine distances between features and a memory.

Source: Wu et al., "Exploring Smoothness and Class-Separation for Semi-supervised Medical Image
Segmentation", MICCAI 2022, the part on inter-class separation.
"""

import torch
from torch import Tensor
from torch.nn import functional


def cosine_distances(features: Tensor, memory: Tensor) -> Tensor:
    """1 - cos(f_i, m_j) in [0, 2]: (N, D) and (M, D) -> (N, M), in float32 whatever the precision.

    Autocast would otherwise round the matrix product.
    """
    with torch.autocast(features.device.type, enabled=False):
        f = functional.normalize(features.float(), dim=1)
        m = functional.normalize(memory.float(), dim=1)
        return 1 - f @ m.T


def rescaled(scores: Tensor) -> Tensor:
    """Weights of mean 1 in proportion to the scores: (N,) positive -> (N,)."""
    return len(scores) / scores.sum() * scores


def weighted_mean_distance(distances: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """mean_ij a_i b_j d_ij: distances (N, M), row weights a (N,), column weights b (M,)."""
    return ((rows.unsqueeze(1) * distances).mean(dim=0) * columns).mean()
