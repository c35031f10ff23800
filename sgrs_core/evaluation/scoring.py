"""Scoring a trained model on whole scans."""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgrs_core.data.masks import largest_component
from sgrs_core.data.volumes import Volume
from sgrs_core.evaluation.inference import Predict, Watch, foreground_score, segment
from sgrs_core.evaluation.metrics import score
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import Triple
from sgrs_core.files import atomic
from sgrs_core.methods.base import Method
from sgrs_core.methods.cpu_tuning import keep_freed_memory
from sgrs_core.methods.precision import autocast, choose_device, place, precision_context

SCORE_COLUMNS = ("dice", "jaccard", "hd95", "asd", "empty", "diagonal")


class Scored(NamedTuple):
    """One scan's prediction (X, Y, Z) bool, and its line in the score file.

    scores: dice and jaccard as fractions, hd95 and asd in voxels (NaN where the prediction is
    empty), `empty`, whether the prediction has no voxel, and the image's `diagonal` in voxels,
    which no distance in it exceeds.
    """

    name: str
    volume: Volume
    prediction: NDArray[np.bool_]
    scores: dict[str, float | bool]


def evaluate(
    run: Run, method: Method, names: Sequence[str], read: Callable[[str], Volume]
) -> Iterator[Scored]:
    """Predict and score scans one after the other.

    The next scan is read while one is worked on. Raises ValueError, naming the scan, where the
    reference has no voxel.
    """
    device = choose_device(run.training.device)
    place(method, device, run.training)
    with keep_freed_memory():
        for name, volume in read_ahead(names, read):
            stride = run.inference.stride
            probability = predict_score(run, method.predict, volume.image, stride, device)
            prediction = mask_of(run, probability)
            try:
                line = score_line(prediction, volume.mask)
            except ValueError as error:
                raise ValueError(f"scan {name}: {error}") from error
            yield Scored(name, volume, prediction, line)


def score_line(prediction: NDArray[np.bool_], label: NDArray[np.bool_]) -> dict[str, float | bool]:
    """SCORE_COLUMNS of two masks (X, Y, Z); raises ValueError where the label is empty."""
    empty, diagonal = not prediction.any(), float(np.linalg.norm(prediction.shape))
    return {**score(prediction, label), "empty": empty, "diagonal": diagonal}


def read_ahead(names: Sequence[str], read: Callable[[str], Volume]) -> Iterator[tuple[str, Volume]]:
    """Each scan in turn; a second thread reads the next one meanwhile.

    What `read` raises for a scan is raised when it is that scan's turn.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        asked_for = (reader.submit(read, name) for name in names)
        coming = deque(islice(asked_for, 1))
        for name in names:
            coming.extend(islice(asked_for, 1))
            yield name, coming.popleft().result()


def mask_of(run: Run, score: NDArray[np.float32]) -> NDArray[np.bool_]:
    """A scan's prediction (X, Y, Z) from its foreground probability, as the run's settings say."""
    mask = segment(score)
    return largest_component(mask) if run.inference.largest_component else mask


def predict_score(
    run: Run,
    predict: Predict,
    image: NDArray[np.float32],
    stride: Triple,
    device: torch.device,
    watch: Watch = iter,
) -> NDArray[np.float32]:
    """One image's foreground probability (X, Y, Z) in [0, 1], in the run's precision.

    predict: of a method in eval mode. watch: see `foreground_score`.
    """
    patch, batch = run.training.patch, run.inference.batch
    precision = run.training.precision
    with precision_context(precision), autocast(device, precision):
        return foreground_score(predict, image, patch, stride, batch, device, watch)


def write_scores(path: Path, lines: Mapping[str, Mapping[str, float | bool]]) -> None:
    """One line a scan: its name and SCORE_COLUMNS; undefined distances stay blank."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scan", *SCORE_COLUMNS])
        for name, scores in lines.items():
            values = (scores[column] for column in SCORE_COLUMNS)
            writer.writerow([name, *("" if value != value else value for value in values)])
