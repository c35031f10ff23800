"""Attention between a batch's feature voxels, in training only.

Source: Gao et al., "Correlation-aware mutual learning for semi-supervised medical image
segmentation", MICCAI 2023, as the public code computes its cross-sample mutual attention.
"""

from torch import Tensor, nn

HEADS = 4


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
