"""What the benchmarks of networks share: options, clock, counters, ceiling, tables.

Wall-clock times: the two ways under comparison use different numbers of threads, and a device.
"""

import argparse
import csv
import ctypes
import gc
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from sgrs_core.data.volumes import Volume, write_volume
from sgrs_core.experiment.settings import TrainingSettings, Triple
from sgrs_core.files import atomic
from sgrs_core.phantoms.la import phantom_la
from sgrs_core.training.record import processor

PRECISIONS = get_args(get_type_hints(TrainingSettings)["precision"])
LA_SHAPE = (200, 150, 88)  # voxels; a prepared left-atrium scan
MATRIX_SIDES = {"cpu": (512, 1024), "cuda": (2048, 4096, 8192)}
LONG_PRODUCT = 100  # milliseconds; of one that takes longer no larger one is tried
WIDTH = 9  # characters of a printed column whose name is shorter
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def parser_for(description: str, output: Path) -> argparse.ArgumentParser:
    """The options that every benchmark of networks has; defaults: the paper's setting on LA."""
    default = TrainingSettings()
    as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=description, formatter_class=as_written)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="ours")
    parser.add_argument("--yardstick-precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--patch", type=int, nargs=3, default=default.patch, metavar="VOXELS")
    parser.add_argument("--filters", type=int, default=default.base_filters, help="of the V-Net")
    parser.add_argument("--shape", type=int, nargs=3, default=LA_SHAPE, metavar="VOXELS")
    parser.add_argument("--repeats", type=int, default=3, help="times are medians of so many")
    parser.add_argument("--output", type=Path, default=output, help="the CSV file")
    more = {"dest": "more", "metavar": "KEY=VALUE", "action": "append", "default": []}
    parser.add_argument("--set", help="one more training setting, ours", **more)
    return parser


def settings_of(arguments: argparse.Namespace) -> TrainingSettings:
    """The training settings that the options ask for."""
    if any(side <= length for side, length in zip(arguments.shape, arguments.patch, strict=True)):
        raise SystemExit(f"--patch {arguments.patch}: must be smaller than --shape")
    more = dict(text.split("=", 1) for text in arguments.more)
    values: dict[str, Any] = {
        "patch": tuple(arguments.patch),
        "base_filters": arguments.filters,
        "precision": arguments.precision,
        "device": arguments.device,
        **{key: yaml.safe_load(value) for key, value in more.items()},
    }
    return TrainingSettings(**values)


def write_scan(path: Path, shape: Triple, seed: int) -> None:
    """A phantom of a left atrium as the prepared h5 file of a scan."""
    image, label = phantom_la(path.stem, shape, seed)
    values = image.astype(np.float32)
    values = (values - values.mean()) / values.std()
    write_volume(path, Volume(values, label.astype(np.uint8)))


def milliseconds(device: torch.device, call: Callable[[], object]) -> float:
    """How long a call takes, with all that it started on the device."""
    synchronise(device)
    started = time.perf_counter()
    call()
    synchronise(device)
    return (time.perf_counter() - started) * 1000


def in_turn(
    device: torch.device, repeats: int, calls: Sequence[Callable[[], object]]
) -> list[float]:
    """Each call's median time, ms; called in turn, so that a busy moment meets all of them."""
    rounds = [[milliseconds(device, call) for call in calls] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_flop(call: Callable[[], object]) -> int:
    """The floating-point operations of a call's convolutions and matrix products, both passes."""
    with FlopCounter() as counter:
        call()
    return counter.flop


class FlopCounter(TorchDispatchMode):
    """Adds up torch's own formulas.

    Not torch's FlopCounterMode: it also keeps track of modules, by hooks that fail for a module
    called without gradients on an input that has one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = kwargs or {}
        result = func(*args, **given)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flop += formula(*args, **given, out_val=result)
        return result


def reset_peak(device: torch.device) -> None:
    """Start to measure `peak_gib` anew, where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR.exists():
        CLEAR.write_text("5")


def peak_gib(device: torch.device) -> float:
    """GiB: of a CUDA device, what torch allocated; of a CPU, the whole process's memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def give_memory_back() -> None:
    """Let the system have what the process has freed but kept; glibc alone."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def print_ceilings(device: torch.device, precision: str) -> float:
    """TFLOP/s of large matrix products: print the hardware's, return that of a run's precision."""
    found = ceilings(device)
    texts = (f"{name} {value:.3f}" for name, value in found.items())
    print("TFLOP/s of matrix products:", ", ".join(texts))
    return found.get(precision, found["float32"])


def ceilings(device: torch.device) -> dict[str, float]:
    """TFLOP/s of large matrix products in each precision that there are such products of."""
    found = {"float32": ceiling(device, torch.float32), "bfloat16": ceiling(device, torch.bfloat16)}
    if device.type == "cuda":
        with tensorfloat32():
            found["tensorfloat32"] = ceiling(device, torch.float32)
    return found


def ceiling(device: torch.device, kind: torch.dtype) -> float:
    """TFLOP/s of the best of products of square matrices.

    Large ones, unless small ones already take long: a processor without instructions for bfloat16
    is a hundred times slower in it than in float32.
    """
    best = 0.0
    for side in MATRIX_SIDES[device.type]:
        a, b = torch.randn(2, side, side, device=device).to(kind)
        fastest = min(milliseconds(device, partial(torch.matmul, a, b)) for _ in range(10))
        best = max(best, 2 * side**3 / fastest / 1e9)
        if fastest > LONG_PRODUCT:
            break
    return best


@contextmanager
def tensorfloat32() -> Iterator[None]:
    """Inside the block, matrix products of float32 numbers are TensorFloat32 ones."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def hardware(device: torch.device) -> str:
    """What the numbers belong to; a load above 0 before the start says that they are too high."""
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        name = f"{torch.cuda.get_device_name(device)} ({memory:.0f} GiB)"
    else:
        name = f"{processor()}, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}; load {os.getloadavg()[0]:.1f}"


class Table:
    """Lines of named values: printed as they come, and at once in the CSV file too.

    unprinted: columns that only the CSV file has.
    """

    def __init__(self, path: Path, columns: Sequence[str], unprinted: Sequence[str] = ()) -> None:
        self.path, self.columns = path, columns
        self.printed = [column for column in columns if column not in unprinted]
        self.lines: list[dict[str, object]] = []
        self.print_line({column: column for column in columns})

    def add(self, **line: object) -> None:
        """One more line; a column may be left out."""
        self.lines.append(line)
        self.print_line(line)
        with atomic(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.lines)

    def print_line(self, line: dict[str, object]) -> None:
        texts = [f"{line.get(column, '')!s:>{max(len(column), WIDTH)}}" for column in self.printed]
        print("  ".join(texts), flush=True)


class NetworkTable(Table):
    """A benchmark of networks: hardware and ceilings above it, and what was asked in each line.

    settings, device: of ours.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: TrainingSettings,
        device: torch.device,
        columns: Sequence[str],
    ) -> None:
        self.every_line = {
            "precision": settings.precision,
            "patch": "x".join(map(str, settings.patch)),
            "filters": settings.base_filters,
            "settings": " ".join(arguments.more),
            "hardware": hardware(device),
        }
        print(self.every_line["hardware"])
        self.ceiling = print_ceilings(device, settings.precision)
        unprinted = ("flop", "ceiling_tflop_per_s", "patch", "filters", "settings", "hardware")
        super().__init__(arguments.output, columns, unprinted)

    def add(self, **line: object) -> None:
        super().add(**self.every_line, **line)

    def speed(self, flop: int, seconds: float) -> dict[str, object]:
        """The columns about so many operations done in so many seconds."""
        reached = flop / seconds / 1e12
        return {
            "flop": flop,
            "tflop_per_s": round(reached, 4),
            "ceiling_tflop_per_s": round(self.ceiling, 4),
            "share_of_ceiling": round(reached / self.ceiling, 3),
        }
