"""What only a CPU needs: memory that is kept, and convolutions that oneDNN gets right."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

# Of glibc's mallopt: number, value that keeps memory, glibc's own. M_MMAP_MAX: blocks of pages of
# their own; M_TRIM_THRESHOLD: free bytes from which on memory is given back; M_TOP_PAD: bytes that
# are asked for at once, beyond what is needed.
GLIBC = ((-4, 0, 65_536), (-1, 2**31 - 1, 2**17), (-2, 2**29, 2**17))


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, the process keeps the memory that it frees, and fills it again; glibc alone.

    Otherwise each large tensor on the CPU is made of new pages, which the system has to clear: a
    sixth of a step's time, against a fifth more memory (docs/performance.md). No number changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    for parameter, kept, _ in GLIBC:
        mallopt(parameter, kept)
    try:
        yield
    finally:
        for parameter, _, usual in GLIBC:
            mallopt(parameter, usual)


def guard_bfloat16_convolutions(network: nn.Module) -> None:
    """Compute in float32 what oneDNN gets wrong in bfloat16, in place."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            module.forward = partial(_convolve, module.forward, module.kernel_size)  # type: ignore[method-assign]


def _convolve(convolution: Callable[[Tensor], Tensor], kernel: Sequence[int], x: Tensor) -> Tensor:
    """A convolution under autocast on a CPU; in float32 where its input is smaller than its kernel.

    Such inputs oneDNN (as of PyTorch 2.13) gets wrong in bfloat16: weight gradients that hold what
    was in memory before, NaN among it, some wrong outputs, and with 4x4x4 kernels the process ends.
    """
    if all(side >= length for side, length in zip(x.shape[2:], kernel, strict=True)):
        return convolution(x)
    with torch.autocast("cpu", enabled=False):
        return convolution(x.float())
