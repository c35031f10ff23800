"""Exponential moving averages of one network's values in another (the mean teacher)."""

from itertools import chain

import torch
from torch import Tensor, nn


@torch.no_grad()
def average_into(target: nn.Module, source: nn.Module, decay: float, buffers: bool) -> None:
    """target = decay target + (1 - decay) source, in place, value by value.

    Over the parameters and, with `buffers`, the floating-point buffers (batch-norm statistics;
    their counters are whole numbers and stay as they are).
    """
    mine, theirs = _values(target, buffers), _values(source, buffers)
    torch._foreach_mul_(mine, decay)  # one call for all tensors, not one each
    torch._foreach_add_(mine, theirs, alpha=1 - decay)


@torch.no_grad()
def shrink(network: nn.Module, factor: float) -> None:
    """Multiply all parameters and floating-point buffers by `factor`, in place."""
    torch._foreach_mul_(_values(network, buffers=True), factor)


def _values(network: nn.Module, buffers: bool) -> list[Tensor]:
    values = chain(network.parameters(), network.buffers() if buffers else ())
    return [value for value in values if value.is_floating_point()]
