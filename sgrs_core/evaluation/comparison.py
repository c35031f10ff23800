"""Masks against labels: their scores, file by file, and in a table."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.formats.image_files import read_label
from sgrs_core.data.formats.images import check_grids, oriented_as
from sgrs_core.data.volumes import Axes, read_volume
from sgrs_core.evaluation.folders import is_prepared, prepared_of
from sgrs_core.evaluation.scoring import score_line
from sgrs_core.evaluation.units import FACTORS, HEADINGS, counted

logger = logging.getLogger(__name__)

Line = Mapping[str, float | bool]  # of a score file


def check_foreground(foreground: Sequence[int]) -> None:
    """Raise ValueError where the background is among the values of the foreground."""
    if 0 in foreground:
        raise ValueError(
            f"foreground = {list(foreground)}: allowed are label values other than 0, which is "
            "background"
        )


def score_files(
    mask_file: Path, label_file: Path, foreground: Sequence[int] = (), axes: Axes = "xyz"
) -> tuple[dict[str, float | bool], tuple[float, ...]]:
    """A mask's line of a score file, against a label or a prepared scan's, and the voxel in mm.

    foreground: the label values that count; none given: all but 0. The mask's are all but 0.
    axes: the order in which a prepared scan that others wrote stores them.
    Raises FileNotFoundError and ValueError, naming the file, for files that cannot be compared.
    """
    mask = read_label(mask_file)
    if is_prepared(label_file):  # one that others wrote does not say where it lies
        volume = read_volume(label_file, mask.spacing, axes)
        if volume.label is None:
            raise ValueError(f"{label_file}: was prepared without a label")
        label = volume.placed(volume.label)
    else:
        label = read_label(label_file)
    predicted = oriented_as(mask, label)
    try:
        check_grids(predicted, label, str(mask_file), ("the mask", "the label"))
    except ValueError as error:
        if prepared := prepared_of(mask_file):
            raise ValueError(
                f"{error} A run's masks lie on its prepared scans: give {prepared} as the label; "
                f"their scores are in {mask_file.parent.with_name('scores.csv')}"
            ) from None
        raise
    values = label.array
    truth = np.isin(values, foreground) if foreground else values != 0
    # All values of a file are one structure; where some of a label are named, all of the mask are.
    kinds = {mask_file: kinds_of(predicted.array), label_file: kinds_of(values)}
    if not foreground:
        for file in (one for one, found in kinds.items() if len(found) > 1):
            told = "%s: its values %s count as one structure; --foreground says which of a label do"
            logger.warning(told, file, listed(kinds[file]))
    elif len(kinds[mask_file]) > 1 and not set(kinds[mask_file]) <= set(foreground):
        raise ValueError(
            f"{mask_file}: its values {listed(kinds[mask_file])} would all count, but --foreground "
            f"names {listed(foreground)}, of the label; give a mask of one structure"
        )
    if not truth.any():
        raise ValueError(
            f"{label_file}: no voxel is foreground, so no metric is defined; its values are "
            f"{np.unique(values)[:8].tolist()}"
        )
    return score_line(predicted.array != 0, truth), label.spacing


def kinds_of(values: NDArray[np.generic]) -> list[float]:
    """The values of a mask or label but 0."""
    return np.unique(values[values != 0]).tolist()


def listed(kinds: Sequence[float]) -> str:
    """The first of them, in words."""
    return ", ".join(f"{kind:g}" for kind in kinds[:8])


def table(lines: Mapping[str, Line]) -> list[str]:
    """A line for each scan, and mean ± standard deviation over scans, distances in voxels.

    Where masks are empty, the means of both scorings: the distances of an empty mask are 0 as
    published, and the image's diagonal under `strict`.
    """
    rows = [["", *HEADINGS.values()]]
    for name, line in lines.items():
        rows.append([name, *(f"{FACTORS[metric] * line[metric]:.2f}" for metric in HEADINGS)])
    scorings = ("published", "strict") if any(line["empty"] for line in lines.values()) else ("",)
    for scoring in scorings:
        values = np.array([counted(line, scoring) for line in lines.values()])
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(len(HEADINGS), np.nan)
        cells = [f"{mean:.2f} ± {sd:.2f}" for mean, sd in zip(values.mean(0), spread, strict=True)]
        rows.append([f"mean ± sd{scoring and ', '}{scoring}", *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
