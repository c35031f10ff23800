"""How the networks' arithmetic is done: on which device, how precisely, in which memory layout.

What is computed stands in the methods; nothing here changes it but for rounding.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain

import torch
from torch import nn

from sgrs_core.experiment.settings import Precision, TrainingSettings
from sgrs_core.methods.cpu_tuning import guard_bfloat16_convolutions

logger = logging.getLogger(__name__)


def choose_device(name: str, warn: Callable[[str], object] = logger.warning) -> torch.device:
    """The device asked for; `auto` is CUDA where there is one, else the CPU.

    warn: is told of an NVIDIA card in this machine that torch does not see.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu":
            tell = warn if shutil.which("nvidia-smi") else logger.info
            tell("torch sees no CUDA device: on the CPU")
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
    if torch.are_deterministic_algorithms_enabled() != strict:  # the call itself takes a second
        torch.use_deterministic_algorithms(strict)


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """For forward passes: bfloat16 where that is the precision; losses see to their own float32."""
    low = precision == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=low)


def place(method: nn.Module, device: torch.device, settings: TrainingSettings) -> None:
    """Bring a method to the device and into the memory layout of its run, in place."""
    method.to(device)
    for network in method.children():
        if settings.channels_last and not _has_instance_norm(network):
            _to_channels_last(network)
    if settings.precision == "bfloat16" and device.type == "cpu":
        guard_bfloat16_convolutions(method)


def _to_channels_last(network: nn.Module) -> None:
    """The 3D convolutions' weights; others, of 2D ones perhaps, have no such layout."""
    for value in chain(network.parameters(), network.buffers()):
        if value.dim() == 5:
            value.data = value.data.to(memory_format=torch.channels_last_3d)


def _has_instance_norm(network: nn.Module) -> bool:
    """Such networks stay contiguous: PyTorch's instance norm brings all it gets into that layout.

    Each convolution would bring it back (docs/performance.md).
    """
    return any(isinstance(module, nn.InstanceNorm3d) for module in network.modules())


def uncompiled() -> AbstractContextManager[None]:
    """Inside, compiled networks run as they are written: whole scans need no other compilation."""
    return torch.compiler.set_stance("force_eager")
