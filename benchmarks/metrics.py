"""How much faster `sgrs_core.evaluation.metrics.score` is than medpy's four calls, on whole scans.

    python benchmarks/metrics.py [--scan FILE.h5 ...] [--repeats 3]

Without --scan: synthetic masks of the size and shape of a left atrium. With it: the `label` of each
prepared scan. Either is scored against predictions of growing error. Prints a table and writes it
to metrics.csv beside this file. Needs medpy: pip install -e ".[test]".
"""

import argparse
import csv
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from medpy.metric import binary as medpy
from numpy.typing import NDArray
from scipy import ndimage

from sgrs_core.evaluation.metrics import score
from sgrs_core.files import atomic

Mask = NDArray[np.bool_]

SHAPE = (200, 145, 88)  # voxels; a prepared left-atrium scan
BOUNDARY_ERRORS = {"good": 1.5, "fair": 3.0, "poor": 6.0}  # voxels, standard deviation
WIDTHS = (34, 12, 6, 6, 8, 8, 6, 14)  # characters of the printed columns


class Measured(NamedTuple):
    """One line of the table.

    dice: a fraction. hd95: voxels. Times: milliseconds of one processor, medians over the repeats.
    max_difference: the largest of the four metrics' absolute differences.
    """

    scan: str
    prediction: str
    dice: float
    hd95: float
    medpy_ms: float
    score_ms: float
    ratio: float
    max_difference: float


def score_by_medpy(prediction: Mask, label: Mask) -> dict[str, float]:
    return {
        "dice": medpy.dc(prediction, label),
        "jaccard": medpy.jc(prediction, label),
        "hd95": medpy.hd95(prediction, label),
        "asd": medpy.asd(prediction, label),
    }


def synthetic_atrium(seed: int) -> Mask:
    """An ellipsoid with four tubes, as an atrium with its veins; about 6.5 % of the volume."""
    random = np.random.default_rng(seed)
    x, y, z = (np.indices(SHAPE).T - random.normal((100, 72, 44), 4)).T
    mask: Mask = (x / 46) ** 2 + (y / 32) ** 2 + (z / 24) ** 2 < 1
    for side_x, side_y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        across = (x * 0.6 - side_x * side_y * y * 0.8) ** 2 + (z - random.normal(0, 6)) ** 2
        mask |= (across < 8**2) & (side_x * x > 0) & (side_y * y > 0) & (x**2 + y**2 < 60**2)
    return mask


def perturbed(label: Mask, error: float, seed: int) -> Mask:
    """`label`, its boundary moved by smooth noise with a standard deviation of `error` voxels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=label.shape), 4)
    depth = ndimage.distance_transform_edt(label) - ndimage.distance_transform_edt(~label)
    return np.asarray(depth + error * noise / noise.std() > 0)


def predictions(label: Mask, seed: int) -> Iterator[tuple[str, Mask]]:
    """Predictions of growing error; the last two as of a network that has learned nothing yet."""
    for name, error in BOUNDARY_ERRORS.items():
        yield name, perturbed(label, error, seed)
    yield "noise", np.random.default_rng(seed).random(label.shape) < 0.03
    yield "whole volume", np.ones_like(label)


def timed(call: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    """Milliseconds of processor time that `call` took, and what it returned."""
    # Both ways use one thread: unlike the clock's time, this does not count waiting for others.
    start = time.process_time()
    values = call()
    return (time.process_time() - start) * 1000, values


def measure(scan: str, kind: str, prediction: Mask, label: Mask, repeats: int) -> Measured:
    """Time both ways in turn, so that a busy moment of the machine meets both."""
    medpy_times, score_times = [], []
    for _ in range(repeats):
        milliseconds, expected = timed(lambda: score_by_medpy(prediction, label))
        medpy_times.append(milliseconds)
        milliseconds, found = timed(lambda: score(prediction, label))
        score_times.append(milliseconds)
    medpy_ms, score_ms = statistics.median(medpy_times), statistics.median(score_times)
    return Measured(
        scan=scan,
        prediction=kind,
        dice=round(found["dice"], 4),
        hd95=round(found["hd95"], 2),
        medpy_ms=round(medpy_ms, 1),
        score_ms=round(score_ms, 1),
        ratio=round(medpy_ms / score_ms, 1),
        max_difference=max(abs(found[name] - float(expected[name])) for name in expected),
    )


def labels(scans: list[Path]) -> Iterator[tuple[str, Mask]]:
    """Names and masks of the given scans, or of three synthetic ones."""
    if not scans:
        for seed in range(3):
            yield f"synthetic {seed}", synthetic_atrium(seed)
    for path in scans:
        with h5py.File(path, "r") as file:
            yield f"{path.parent.name}/{path.name}", np.asarray(file["label"]) == 1


def write_table(path: Path, lines: list[Measured]) -> None:
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Measured._fields)
        writer.writerows(lines)


def print_line(values: Iterable[object]) -> None:
    print(*(f"{value!s:>{width}}" for value, width in zip(values, WIDTHS, strict=True)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time score against medpy's four calls.")
    parser.add_argument("--scan", type=Path, nargs="+", default=[], help="prepared h5 files")
    parser.add_argument("--repeats", type=int, default=3, help="times are medians of so many")
    arguments = parser.parse_args()
    lines = []
    print_line(Measured._fields)
    for seed, (scan, label) in enumerate(labels(arguments.scan)):
        for kind, prediction in predictions(label, seed):
            lines.append(measure(scan, kind, prediction, label, arguments.repeats))
            print_line(lines[-1])
    write_table(Path(__file__).with_suffix(".csv"), lines)


if __name__ == "__main__":
    main()
