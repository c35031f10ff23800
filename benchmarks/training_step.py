"""How fast a training step of each method is, beside the same step done the published way.

    python benchmarks/training_step.py [--device cuda --precision bfloat16] [--methods sgrs dtc]

Both ways in one process, in turn, with synthetic scans of a left atrium's size; yardstick.py says
what the published way is. `--apart METHOD` measures one way after the other, for methods of which
both together need more memory than there is. The first line is the preparation of a batch alone.
Columns:

    flop                   of a step's convolutions and matrix products, counted in the eager step
    ours_ms                drawing the patches and updating, median
    share_of_ceiling       of the TFLOP/s that large matrix products reach in the same precision;
                           above 1 where convolutions may round more than such products do
    peak_gib               ours: allocated by torch (CUDA), or the whole process (CPU)
    yardstick_ms           loading the patches one after the other and updating, median
    ratio                  yardstick_ms / ours_ms
    ratio_without_loading  the same, had the published way hidden all of its loading

Prints a table and writes it to training_step.csv beside this file. The files' content is in the
operating system's memory when the yardstick reads it, which favours the yardstick.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
import yardstick
from measuring import (
    NetworkTable,
    count_flop,
    give_memory_back,
    in_turn,
    parser_for,
    peak_gib,
    reset_peak,
    settings_of,
    write_scan,
)
from torch.optim import Optimizer

from sgrs_core.data.sampling import Sample
from sgrs_core.data.volumes import Volume, read_volume
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.methods import METHODS, new_method, seed_everything
from sgrs_core.methods.base import Method
from sgrs_core.methods.cpu_tuning import keep_freed_memory
from sgrs_core.methods.precision import choose_device, precision_context
from sgrs_core.training.loop import first_method, new_sampler, take_step

COLUMNS = (
    "method", "precision", "flop", "ours_ms", "patches_per_s", "tflop_per_s", "ceiling_tflop_per_s",
    "share_of_ceiling", "peak_gib", "yardstick_ms", "yardstick_loading_ms", "ratio",
    "ratio_without_loading", "patch", "filters", "settings", "hardware",
)  # fmt: skip
PREPARATION = "(batch)"  # the line that is no method's
SCANS = 4  # labelled ones, and as many unlabelled


class Way(NamedTuple):
    """A method, and all that a step of it takes."""

    method: Method
    optimizers: list[Optimizer]
    settings: TrainingSettings
    draw: Callable[[int], Sample]
    surroundings: Callable[[], AbstractContextManager[object]]

    def step(self, iteration: int) -> None:
        """One iteration, as the training loop does it, but for log and checkpoints."""
        with precision_context(self.settings.precision), self.surroundings():
            seed_everything(0, iteration)
            take_step(self.method, self.optimizers, self.draw(iteration), iteration, self.settings)


def ours(run: Run, read: Callable[[str], Volume], device: torch.device) -> Way:
    """As `sgrs_core.training.loop.train` begins."""
    method = first_method(run, device)
    sampler = new_sampler(run, method, read, device)
    return Way(method, method.optimizers(), run.training, sampler.draw, keep_freed_memory)


def published(run: Run, files: dict[str, Path], precision: str, device: torch.device) -> Way:
    """The yardstick: the run's patches and networks, all else at its plainest."""
    settings = yardstick.plain(run.training, precision)
    method = new_method(replace(run, training=settings)).to(device)
    optimizers = method.optimizers()
    yardstick.one_by_one(optimizers)
    unlabelled = run.unlabelled if method.uses_unlabelled else ()
    scans = [[files[name] for name in names] for names in (run.labelled, unlabelled)]
    loader = yardstick.Loader(*scans, settings)
    return Way(
        method, optimizers, settings, lambda iteration: loader.draw(device), yardstick.backends
    )


class Bench:
    """Scans, options and table of one call."""

    def __init__(self, arguments, folder: Path) -> None:
        self.arguments = arguments
        self.settings = settings_of(arguments)
        self.device = choose_device(self.settings.device)
        names = [f"scan-{number}" for number in range(2 * SCANS)]
        self.files = {name: folder / f"{name}.h5" for name in names}
        for file in self.files.values():
            write_scan(file, tuple(arguments.shape), seed=0)
        self.labelled, self.unlabelled = tuple(names[:SCANS]), tuple(names[SCANS:])
        # Ramps are over, second stages have begun.
        self.iterations = itertools.count(self.settings.iterations // 2)
        self.table = NetworkTable(arguments, self.settings, self.device, COLUMNS)

    def read(self, name: str) -> Volume:
        return read_volume(self.files[name])

    def ways(self, name: str) -> Iterator[Way]:
        """A method in ours, and, when asked for the next one, in the published way."""
        run = Run(
            name, {}, self.settings, InferenceSettings(), 0, self.labelled, self.unlabelled,
            {"last": ()},
        )  # fmt: skip
        yield ours(run, self.read, self.device)
        yield published(run, self.files, self.arguments.yardstick_precision, self.device)

    def times(self, calls: Sequence[Callable[[int], object]], repeats: int) -> list[float]:
        """Each call's median time, ms; it is told the iteration."""
        numbered = [lambda call=call: call(next(self.iterations)) for call in calls]
        return in_turn(self.device, repeats, numbered)

    def measure_preparation(self) -> None:
        """The line of the batch alone."""
        draws = [way.draw for way in self.ways("sgrs")]
        self.times(draws, 1)  # warms up
        ours_ms, yardstick_ms = self.times(draws, max(self.arguments.repeats, 5))
        patches = self.settings.labelled_patches + self.settings.unlabelled_patches
        self.add(PREPARATION, ours_ms, yardstick_ms, yardstick_ms, patches=patches)

    def measure(self, name: str) -> None:
        """The line of one method."""
        ways = self.ways(name)
        reset_peak(self.device)
        way = next(ways)
        for _ in range(self.arguments.warm_up):
            way.step(next(self.iterations))
        peak = peak_gib(self.device)  # before the yardstick's networks are there
        batch = way.draw(next(self.iterations)).batch
        patches = len(batch.images_l) + len(batch.images_u)

        ours, earlier = [way.step], []
        if name in self.arguments.apart:
            earlier = self.times(ours, self.arguments.repeats)
            ours.clear()
            del way
            give_memory_back()
        other = next(ways)
        flop = count_flop(lambda: other.step(next(self.iterations)))  # and its warm-up
        calls = [*ours, other.step, other.draw]
        ours_ms, yardstick_ms, loading_ms = earlier + self.times(calls, self.arguments.repeats)
        self.add(name, ours_ms, yardstick_ms, loading_ms, patches=patches, flop=flop, peak=peak)

    def add(
        self,
        name: str,
        ours_ms: float,
        yardstick_ms: float,
        loading_ms: float,
        patches: int,
        flop: int = 0,
        peak: float = 0.0,
    ) -> None:
        """Work out and write a line; the batch has no operations, and no ratio without loading."""
        line = {
            "method": name,
            "ours_ms": round(ours_ms, 3),
            "patches_per_s": round(patches / ours_ms * 1000, 2),
            "yardstick_ms": round(yardstick_ms, 3),
            "yardstick_loading_ms": round(loading_ms, 3),
            "ratio": round(yardstick_ms / ours_ms, 2),
        }
        if flop:
            line |= self.table.speed(flop, ours_ms / 1000)
            line |= {
                "peak_gib": round(peak, 2),
                "ratio_without_loading": round((yardstick_ms - loading_ms) / ours_ms, 2),
            }
        self.table.add(**line)


def main() -> None:
    parser = parser_for(__doc__, Path(__file__).with_suffix(".csv"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    apart = "methods measured one way after the other"
    parser.add_argument("--apart", nargs="+", choices=METHODS, default=[], help=apart)
    parser.add_argument("--warm-up", type=int, default=2, help="steps of ours that do not count")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        bench.measure_preparation()
        for name in arguments.methods:
            bench.measure(name)


if __name__ == "__main__":
    main()
