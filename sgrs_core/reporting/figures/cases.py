"""Scans with what methods predicted on them, for the figures that show them.

Which scan, and which of its slices: by a rule, or as the experiment says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.formats.image_files import read_label
from sgrs_core.data.formats.images import in_orientation
from sgrs_core.data.masks import Mask, extent
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation.metrics import dice
from sgrs_core.experiment.settings import MEDIAN, Slices
from sgrs_core.reporting.scores import dice_by_title


@dataclass(frozen=True)
class Case:
    """One scan: image (X, Y, Z) float32, label (X, Y, Z) bool, spacing in mm per voxel.

    Axes are the patient's: x to the left, y to the back, z to the head. name: what stands beside
    its rows, in one line or several. predictions: (X, Y, Z) bool, maybe empty, by their methods'
    titles.
    """

    name: str
    image: NDArray[np.float32]
    label: Mask
    predictions: Mapping[str, Mask]
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def line(self) -> str:
        """Its name in one line."""
        return ", ".join(self.name.splitlines())

    @property
    def masks(self) -> list[Mask]:
        """The ground truth, then each prediction."""
        return [self.label, *self.predictions.values()]

    @property
    def height_over_width(self) -> float:
        """The physical proportions of its slices along the last axis."""
        height, width, _ = np.multiply(self.label.shape, self.spacing)
        return float(height / width)

    def chosen(self, slices: Slices) -> list[int]:
        """The indices of those of its slices; raises ValueError, naming it, without such a one."""
        if slices.at is None:
            return slices_by_rule(self.label, slices.direction, slices.count)
        last = self.label.shape[slices.direction] - 1
        if beyond := [index for index in slices.at if index > last]:
            raise ValueError(
                f"{self.line}: slices.at = {beyond[0]}: allowed are 0 to {last}, the scan's slices "
                f"along {slices.axis}"
            )
        return list(slices.at)

    def seen_along(self, direction: int) -> "Case":
        """The case with axes as its slices show them: downwards, to the right, slice by slice.

        Slices along z are seen from the feet, the patient's left at the right; along y from the
        front, and along x with the front at the left, both with the head on top.
        """
        down, right = (axis for axis in (2, 1, 0) if axis != direction)
        axes = (down, right, direction)
        step = -1 if down == 2 else 1  # z runs to the head
        spacing = tuple(self.spacing[axis] for axis in axes)
        return self.with_arrays(lambda array: array.transpose(axes)[::step], spacing=spacing)

    def cropped(self, margin: int) -> "Case":
        """The case around all its masks along its first two axes, with so many voxels more."""
        shown = np.logical_or.reduce(self.masks)
        window = tuple(extent(shown, axis, margin) for axis in (0, 1))
        return self.with_arrays(lambda array: array[window])

    def with_arrays(self, change: Callable[[NDArray[Any]], NDArray[Any]], **more: Any) -> "Case":
        """The case with image, label and predictions changed alike, and `more` fields."""
        predictions = {title: change(mask) for title, mask in self.predictions.items()}
        image, label = change(self.image), change(self.label)
        return replace(self, image=image, label=label, predictions=predictions, **more)


def read_cases(
    rows: Sequence[Mapping[str, Any]],
    volumes: Sequence[Path],
    case: str = MEDIAN,
    median_of: str | None = None,
) -> list[Case]:
    """A scan for each number of labelled scans, with the predictions of all methods shown.

    rows: as `Layout.lines_of_figure` gives them. volumes: the prepared test scans. case: a scan's
    name, or MEDIAN: the scan with the median of the mean Dice of the methods shown, or of the Dice
    of the row `median_of`.
    """
    files = {file.stem: file for file in volumes}
    cases = []
    for labelled in dict.fromkeys(row["labelled"] for row in rows):
        shown = [row for row in rows if row["labelled"] == labelled]
        scan = median_scan(shown, median_of) if case == MEDIAN else case
        cases.append(_read_case(f"{labelled} labelled\n{scan}", scan, shown, files[scan]))
    return cases


def _read_case(name: str, scan: str, rows: Sequence[Mapping[str, Any]], file: Path) -> Case:
    volume = read_volume(file)
    files = [Path(row["predictions"]) / f"{scan}.nii.gz" for row in rows]
    masks = [volume.mask.view(np.uint8), *(read_label(file).array for file in files)]
    image, label, *others = (
        in_orientation(volume.placed(array), "LPS") for array in (volume.image, *masks)
    )
    predictions = {row["title"]: one.array == 1 for row, one in zip(rows, others, strict=True)}
    return Case(name, image.array, label.array == 1, predictions, image.spacing)


def slices_by_rule(label: Mask, direction: int, count: int = 1) -> list[int]:
    """One slice: where the label's area is largest, the first of several such.

    Several: those in the middle of `count` parts of equal volume; none twice, so maybe fewer.
    """
    others = tuple(axis for axis in range(3) if axis != direction)
    areas = np.count_nonzero(label, axis=others)
    if count == 1:
        return [int(np.argmax(areas))]
    shares = (np.arange(count) + 0.5) / count * areas.sum()
    return np.unique(np.searchsorted(np.cumsum(areas), shares)).tolist()


def median_scan(rows: Sequence[Mapping[str, Any]], median_of: str | None = None) -> str:
    """The scan with the median Dice: of the row of that name, else of the mean of all.

    The lower of two in the middle; ties are broken by name.
    """
    judges = [row for row in rows if median_of in (None, row["variant"])]
    dice_by_scan = dice_by_title(judges).mean(axis=1).to_dict()
    ordered = sorted(dice_by_scan, key=lambda scan: (dice_by_scan[scan], scan))
    return str(ordered[(len(ordered) - 1) // 2])


def check_cases(cases: Sequence[Case]) -> None:
    """Raise ValueError unless the cases fit in one figure and their masks fit each other."""
    if not cases:
        raise ValueError("no case to draw")
    for case in cases:
        titles, first = (list(one.predictions) for one in (case, cases[0]))
        if titles != first:
            raise ValueError(
                f"{case.line}: methods {titles} differ from those of {cases[0].line}, {first}; "
                "give all cases the same panels"
            )
        if not case.label.any():
            raise ValueError(f"{case.line}: the label is empty; show another scan, or repair it")
        shapes = {case.image.shape, *(mask.shape for mask in case.masks)}
        if len(shapes) > 1:
            raise ValueError(f"{case.line}: image, label and predictions differ in shape: {shapes}")


def verdict(prediction: Mask, label: Mask) -> str:
    """What stands over a prediction: its Dice on the whole scan, in per cent."""
    if not prediction.any():
        return "empty prediction"
    return f"Dice {100 * dice(prediction, label):.1f}%"


def shortened(name: str, letters: int) -> str:
    """The name with the middle of each line left out where the line is longer than `letters`."""
    half = max((letters - 1) // 2, 1)
    lines = name.splitlines()
    return "\n".join(
        line if len(line) <= letters else f"{line[:half]}…{line[-half:]}" for line in lines
    )
