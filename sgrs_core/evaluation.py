"""Scoring a trained model on whole scans."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgrs_core.data.volumes import Volume
from sgrs_core.files import atomic
from sgrs_core.inference import foreground_score, segment
from sgrs_core.methods.method import Method
from sgrs_core.metrics import score
from sgrs_core.run import Run, autocast, choose_device
from sgrs_core.settings import Triple

SCORE_COLUMNS = ("dice", "jaccard", "hd95", "asd", "empty")


class Scored(NamedTuple):
    """One scan's prediction (X, Y, Z) bool, and its line in the score file.

    scores: dice and jaccard as fractions, hd95 and asd in voxels (NaN where the prediction is
    empty), and `empty`, whether the prediction has no voxel.
    """

    name: str
    volume: Volume
    prediction: NDArray[np.bool_]
    scores: dict[str, float | bool]


def evaluate(
    run: Run, method: Method, names: Sequence[str], read: Callable[[str], Volume]
) -> Iterator[Scored]:
    """Predict and score scans one after the other.

    Raises ValueError, naming the scan, where the reference has no voxel.
    """
    device = choose_device(run.training.device)
    method.to(device)
    for name in names:
        volume = read(name)
        prediction = predict_mask(run, method, volume, run.inference.stride, device)
        try:
            scores = score(prediction, volume.label == 1)
        except ValueError as error:
            raise ValueError(f"scan {name}: {error}") from error
        yield Scored(name, volume, prediction, {**scores, "empty": not prediction.any()})


def predict_mask(
    run: Run, method: Method, volume: Volume, stride: Triple, device: torch.device
) -> NDArray[np.bool_]:
    """One scan's prediction (X, Y, Z) by a method in eval mode, in the run's precision."""
    patch, batch = run.training.patch, run.inference.batch
    with autocast(device, run.training):
        probability = foreground_score(method.predict, volume.image, patch, stride, batch, device)
    return method.postprocess(segment(probability))


def write_scores(path: Path, lines: Mapping[str, Mapping[str, float | bool]]) -> None:
    """One line a scan: scan, dice, jaccard, hd95, asd, empty; undefined distances stay blank."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scan", *SCORE_COLUMNS])
        for name, scores in lines.items():
            values = (scores[column] for column in SCORE_COLUMNS)
            writer.writerow([name, *("" if value != value else value for value in values)])
