"""Whether intensities can be of a data set's modality: asked of its own scans and of new ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.experiment.originals import Format

SWING = 0.1  # of the brightest voxel: how far resampling may have taken an MRI below 0
AIR = -500.0  # HU: what begins below is CT
LEAST_HU = -1100.0  # a little below air: no measurement of any modality
LEAST_BACKGROUND = 0.05  # of a skull-stripped scan's voxels: far fewer than any has


def check_modality(
    image: PlacedImage,
    form: Format,
    window: tuple[float, float] | None = None,
    least: float | None = None,
) -> None:
    """Raise ValueError where a scan's intensities cannot be of a data set's modality.

    window: the intensities that are clipped to, if any. least: what the training scans' intensities
    of one's own data set begin at, where that is known.
    """
    array, modality = image.array, image.modality
    lowest, highest = float(array.min()), float(array.max())
    found = f"its intensities run from {lowest:g} to {highest:g}"
    if lowest == highest:
        raise ValueError(f"{found}: the scan is constant")
    is_mr = form in ("la", "brats2019")
    is_ct = form == "pancreas" or (window and window[0] < 0) or (least or 0) < AIR
    if modality and (is_mr or is_ct) and modality != ("MR" if is_mr else "CT"):
        raise ValueError(
            f"Modality is {modality} in its DICOM files, but training is on "
            f"{'MR' if is_mr else 'CT'}"
        )
    if is_mr and lowest < -SWING * highest:
        raise ValueError(
            f"{found}, but training is on MRI, which has none below 0; is it a CT, or "
            "standardised already?"
        )
    if form == "nifti" and window is None:
        check_padding(array, lowest, highest)
        if least is not None and lowest < least - SWING * (highest - least):
            raise ValueError(
                f"{found}, but training's begin at {least:g}; is it padding, or another modality "
                "or unit?"
            )
    if form == "brats2019" and (array == 0).mean() < LEAST_BACKGROUND:
        raise ValueError(
            f"{(array == 0).mean():.1%} of its voxels are 0, but training is on FLAIR "
            "images without a skull, 0 outside the brain; strip the skull first"
        )
    if window is None:
        return
    low, high = window
    if form == "pancreas" and not (lowest <= low and highest > 0):
        raise ValueError(
            f"{found}, but training is on CT in HU, with air or fat below {low:g} and "
            "tissue above 0; is it CT, and are slope and intercept applied?"
        )
    if form == "nifti" and low < 0 <= lowest:
        raise ValueError(
            f"{found}, but the window from {low:g} to {high:g} that training sees begins below 0; "
            "is it in HU, and are slope and intercept applied?"
        )
    if not ((array > low) & (array < high)).any():
        raise ValueError(
            f"{found}, but none lies in the window from {low:g} to {high:g} that training "
            "sees; is it the same modality and unit?"
        )


def check_padding(array: NDArray[Any], lowest: float, highest: float) -> None:
    """Raise ValueError where the lowest value lies further below all others than they lie apart."""
    second = float(array.min(where=array > lowest, initial=array.max()))
    if lowest < LEAST_HU and second - lowest > highest - second:
        raise ValueError(
            f"{np.count_nonzero(array == lowest)} of its voxels are {lowest:g}, all others "
            f"{second:g} to {highest:g}: padding, which changes how all are scaled; set it to the "
            "scan's own background, or give the data set a window"
        )
