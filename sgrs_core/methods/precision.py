"""How the networks' arithmetic is done: on which device, how precisely, in which memory layout.

What is computed stands in the methods; nothing here changes it but for rounding.
"""

import ctypes
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from sgrs_core.experiment.settings import Precision, TrainingSettings

logger = logging.getLogger(__name__)

# Of glibc's mallopt: number, value that keeps memory, glibc's own. M_MMAP_MAX: blocks of pages of
# their own; M_TRIM_THRESHOLD: free bytes from which on memory is given back; M_TOP_PAD: bytes that
# are asked for at once, beyond what is needed.
GLIBC = ((-4, 0, 65_536), (-1, 2**31 - 1, 2**17), (-2, 2**29, 2**17))


def choose_device(name: str) -> torch.device:
    """The device asked for; `auto` is CUDA where there is one, else, with a warning, the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu":
            logger.warning("torch sees no CUDA device, and device: auto takes the CPU then")
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("device cuda: torch sees no CUDA device; ask for cpu or auto")
    logger.info("computing on %s with %d threads", name, torch.get_num_threads())
    return torch.device(name)


@contextmanager
def precision_context(precision: Precision) -> Iterator[None]:
    """Everything torch keeps globally about a precision, forward and backward; restored at the end.

    strict: deterministic algorithms alone; torch raises RuntimeError, naming the operation, where
    it has none. Else cuDNN measures which algorithm is fastest, and on a GPU two runs may round
    differently. tensorfloat32: convolutions multiply float32 numbers with 10 bits of mantissa;
    matrix products, which stand in losses, never do.
    """
    strict = precision == "strict"
    if strict:  # read by cuBLAS when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (
        matmul.allow_tf32,
        cudnn.allow_tf32,
        cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )
    try:
        _set_globally(False, precision == "tensorfloat32", not strict, strict)
        yield
    finally:
        _set_globally(*before)


def _set_globally(matmul_tf32: bool, cudnn_tf32: bool, benchmark: bool, strict: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = matmul_tf32
    torch.backends.cudnn.allow_tf32 = cudnn_tf32
    torch.backends.cudnn.benchmark = benchmark
    torch.use_deterministic_algorithms(strict)


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


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """For forward passes: bfloat16 where that is the precision; losses see to their own float32."""
    low = precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)


def place(method: nn.Module, device: torch.device, settings: TrainingSettings) -> None:
    """Bring a method to the device and into the memory layout of its run, in place."""
    method.to(device)
    for network in method.children():
        if settings.channels_last and not _has_instance_norm(network):
            network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if settings.precision == "bfloat16" and device.type == "cpu":
        for module in method.modules():
            if isinstance(module, nn.Conv3d):
                module.forward = partial(_convolve, module.forward, module.kernel_size)  # type: ignore[method-assign]


def _has_instance_norm(network: nn.Module) -> bool:
    """Such networks stay contiguous: PyTorch's instance norm brings all it gets into that layout.

    Each convolution would bring it back (docs/performance.md).
    """
    return any(isinstance(module, nn.InstanceNorm3d) for module in network.modules())


def _convolve(convolution: Callable[[Tensor], Tensor], kernel: Sequence[int], x: Tensor) -> Tensor:
    """A convolution under autocast on a CPU; in float32 where its input is smaller than its kernel.

    Such inputs oneDNN (as of PyTorch 2.13) gets wrong in bfloat16: weight gradients that hold what
    was in memory before, NaN among it, some wrong outputs, and with 4x4x4 kernels the process ends.
    """
    if all(side >= length for side, length in zip(x.shape[2:], kernel, strict=True)):
        return convolution(x)
    with torch.autocast("cpu", enabled=False):
        return convolution(x.float())


def uncompiled() -> AbstractContextManager[None]:
    """Inside, compiled networks run as they are written: whole scans need no other compilation."""
    return torch.compiler.set_stance("force_eager")
