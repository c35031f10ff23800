"""How fast a scan is predicted, beside one window at a time, added up on the CPU.

    python benchmarks/inference.py [--device cuda --precision bfloat16 --scans 20] [--windows 24]

Both ways in one process, in turn, with a synthetic scan of a left atrium's size and a network that
has learnt nothing. Columns:

    windows           of the scan
    measured_windows  of the corner that was predicted; times of the whole scan are these times
                      windows / measured_windows, where --windows left something out
    ours_s            a whole scan
    yardstick_s       the same scan, window by window
    max_difference    of the two ways' probabilities, in the corner
    scans, scans_s    so many scans read, predicted and scored one after the other (--scans)

Ends with an error if the ways differ by more than 0.0001 where both compute in float32.
Prints a table and writes it to inference.csv beside this file.
"""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch as replaced

import numpy as np
import yardstick
from measuring import (
    NetworkTable,
    count_flop,
    in_turn,
    milliseconds,
    parser_for,
    peak_gib,
    reset_peak,
    settings_of,
    write_scan,
)
from numpy.typing import NDArray

from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation import scoring
from sgrs_core.evaluation.inference import window_starts
from sgrs_core.evaluation.scoring import evaluate, predict_score
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import InferenceSettings, Triple
from sgrs_core.methods import METHODS, new_method
from sgrs_core.methods.base import Method
from sgrs_core.methods.cpu_tuning import keep_freed_memory
from sgrs_core.methods.precision import (
    autocast,
    choose_device,
    place,
    precision_context,
)

COLUMNS = (
    "method", "precision", "batch", "windows", "measured_windows", "ours_s", "tflop_per_s",
    "share_of_ceiling", "peak_gib", "yardstick_s", "ratio", "max_difference", "scans", "scans_s",
    "flop", "ceiling_tflop_per_s", "patch", "filters", "settings", "hardware",
)  # fmt: skip
TOLERANCE = 1e-4
EXACT = {"float32", "strict"}  # precisions that are held to it
SHIFT = 2  # voxels


def corner(shape: Triple, patch: Triple, stride: Triple, windows: int) -> Triple:
    """The smallest corner of a scan with at least so many windows, and all of its slices."""
    rows, columns, layers = (
        len(window_starts(*axis)) for axis in zip(shape, patch, stride, strict=True)
    )
    along_x = min(rows, math.ceil(windows / layers))
    along_y = min(columns, math.ceil(windows / layers / along_x))
    sides = [
        min(patch[axis] + stride[axis] * (count - 1), shape[axis])
        for axis, count in enumerate((along_x, along_y))
    ]
    return sides[0], sides[1], shape[2]


class Bench:
    """Scan, options and table of one call."""

    def __init__(self, arguments, folder: Path) -> None:
        self.arguments = arguments
        self.settings = settings_of(arguments)
        self.inference = InferenceSettings(tuple(arguments.stride), batch=arguments.batch)
        self.device = choose_device(self.settings.device)
        self.file = folder / "scan.h5"
        write_scan(self.file, tuple(arguments.shape), seed=0)
        self.volume = read_volume(self.file)
        self.table = NetworkTable(arguments, self.settings, self.device, COLUMNS)

    def measure(self, name: str) -> None:
        """The line of one method."""
        run = Run(name, {}, self.settings, self.inference, 0, ("scan",), (), {"last": ()})
        windows = self.count(self.volume.image)
        image = self.corner(self.arguments.windows or windows)
        reset_peak(self.device)
        ours = new_method(run).eval()
        place(ours, self.device, self.settings)
        self.predict(run, ours, self.corner(self.inference.batch))  # warms up
        peak = peak_gib(self.device)
        plain = replace(
            run, training=yardstick.plain(self.settings, self.arguments.yardstick_precision)
        )
        theirs = new_method(plain).eval().to(self.device)
        flop = count_flop(lambda: self.predict_by_yardstick(plain, theirs, self.corner(1)))
        flop = flop * windows // self.count(self.corner(1))
        found = {}

        def predict() -> None:
            found["ours"] = self.predict(run, ours, image)

        def predict_by_yardstick() -> None:
            found["theirs"] = self.predict_by_yardstick(plain, theirs, image)

        calls = [predict, predict_by_yardstick]
        share = windows / self.count(image) / 1000
        times = in_turn(self.device, self.arguments.repeats, calls)
        ours_s, yardstick_s = (time * share for time in times)
        difference = float(np.abs(found["ours"] - found["theirs"]).max())
        scans = self.arguments.scans
        self.table.add(
            method=name,
            batch=self.inference.batch,
            windows=windows,
            measured_windows=self.count(image),
            ours_s=round(ours_s, 3),
            peak_gib=round(peak, 2),
            yardstick_s=round(yardstick_s, 3),
            ratio=round(yardstick_s / ours_s, 2),
            max_difference=f"{difference:.1e}",
            scans=scans,
            scans_s=round(self.test_scans(run, ours, scans), 2) if scans else "",
            **self.table.speed(flop, ours_s),
        )
        exact = {self.settings.precision, self.arguments.yardstick_precision} <= EXACT
        if exact and difference > TOLERANCE:
            raise SystemExit(f"{name}: the ways differ by {difference}, more than {TOLERANCE}")

    def count(self, image: NDArray[np.float32]) -> int:
        """How many windows cover an image."""
        sides = map(max, image.shape, self.settings.patch)
        along = map(window_starts, sides, self.settings.patch, self.inference.stride)
        return math.prod(map(len, along))

    def corner(self, windows: int) -> NDArray[np.float32]:
        """The part of the scan that has at least so many windows."""
        patch, stride = self.settings.patch, self.inference.stride
        x, y, z = corner(self.volume.image.shape, patch, stride, windows)
        return np.ascontiguousarray(self.volume.image[:x, :y, :z])

    def predict(self, run: Run, method: Method, image: NDArray[np.float32]) -> NDArray[np.float32]:
        with keep_freed_memory():
            return predict_score(run, method.predict, image, self.inference.stride, self.device)

    def predict_by_yardstick(
        self, run: Run, method: Method, image: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        patch, stride = self.settings.patch, self.inference.stride
        precision = run.training.precision
        with precision_context(precision), autocast(self.device, precision), yardstick.backends():
            return yardstick.foreground_score(method, image, patch, stride, self.device)

    def test_scans(self, run: Run, method: Method, scans: int) -> float:
        """Seconds to read, predict and score the scan so many times, as testing does.

        Scored is the reference, moved a little: what a network that has learnt nothing predicts
        is noise, and takes the metrics longer than any mask that a trained one would give.
        """
        mask = np.roll(self.volume.label == 1, SHIFT, axis=0)
        names = [f"scan {number}" for number in range(scans)]
        tested = evaluate(run, method, names, lambda name: read_volume(self.file))
        with replaced.object(scoring, "segment", lambda noise: mask):
            return milliseconds(self.device, lambda: list(tested)) / 1000


def main() -> None:
    parser = parser_for(__doc__, Path(__file__).with_suffix(".csv"))
    default = InferenceSettings()
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["sgrs"])
    parser.add_argument("--stride", type=int, nargs=3, default=default.stride, metavar="VOXELS")
    parser.add_argument("--batch", type=int, default=default.batch, help="windows a call, ours")
    parser.add_argument("--windows", type=int, default=0, help="predict a corner of so many")
    parser.add_argument("--scans", type=int, default=0, help="time so many scans as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        for name in arguments.methods:
            bench.measure(name)


if __name__ == "__main__":
    main()
