"""Small networks that see each voxel by itself: its channels, as a vector."""

import torch
from torch import Tensor, nn


class Linear(nn.Linear):
    """`nn.Linear` across channels that come before voxels: (1, C, n) -> (1, C', n)."""

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.weight @ x
        return mixed if self.bias is None else mixed + self.bias[:, None]


class Voxelwise(nn.Sequential):
    """Layers of `Linear`, batch norm and activation: (n, C) -> (n, C'). In train mode n is over 1.

    Computed with channels before voxels, because on a CPU PyTorch's batch norm adds up the rows of
    (n, C) in plain float32: of the two million voxels of a step on LA, a variance comes out wrong
    by 0.13%. In float32 whatever the precision: SS-Net's scores would be rounded to ties, and
    on a CPU oneDNN keeps memory, 17 MiB in its step, for each n that it multiplied in bfloat16.
    """

    def forward(self, vectors: Tensor) -> Tensor:
        with torch.autocast(vectors.device.type, enabled=False):
            outputs: Tensor = super().forward(vectors.to(next(self.parameters()).dtype).t()[None])
        return outputs[0].t()

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> Tensor:
        """The same without gradient, in eval mode: by the running statistics, which stay."""
        mode = self.training
        outputs: Tensor = self.eval()(vectors)
        self.train(mode)
        return outputs


class Head(Voxelwise):
    """Linear, batch norm, ReLU, linear."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(Linear(cin, cout), nn.BatchNorm1d(cout), nn.ReLU(), Linear(cout, cout))
