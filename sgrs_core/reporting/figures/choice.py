"""Which scan a figure shows, and which of its slices: by a rule, or as the experiment says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sgrs_core.data.masks import Mask
from sgrs_core.experiment.slices import Slices
from sgrs_core.reporting.scores import dice_by_title


def indices_of(slices: Slices, label: Mask) -> list[int]:
    """The slices' indices in a scan with this label (X, Y, Z), which is not empty.

    Raises ValueError where the scan has no such slice.
    """
    if slices.at is None:
        return slices_by_rule(label, slices.direction, slices.count)
    last = label.shape[slices.direction] - 1
    for index in slices.at:
        if index > last:
            raise ValueError(
                f"slices.at = {index}: allowed are 0 to {last}, the scan's slices along "
                f"{slices.axis}"
            )
    return list(slices.at)


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
    """The scan with the median Dice: of the row of that name, else of the mean of all."""
    judges = [row for row in rows if median_of in (None, row["variant"])]
    return median_case(dice_by_title(judges).mean(axis=1).to_dict())


def median_case(dice_by_scan: Mapping[Any, float]) -> str:
    """The scan with the median Dice: the lower of two in the middle, ties broken by name.

    Raises ValueError where there is no scan.
    """
    if not dice_by_scan:
        raise ValueError("no scan has a Dice, so none is the median")
    ordered = sorted(dice_by_scan, key=lambda scan: (dice_by_scan[scan], scan))
    return str(ordered[(len(ordered) - 1) // 2])
