"""Whether intensities can be of a data set's modality: asked of its own scans and of new ones."""

from typing import Any

from numpy.typing import NDArray

from sgrs_core.experiment.originals import Format

SWING = 0.1  # of the brightest voxel: how far resampling may have taken an MRI below 0
LEAST_BACKGROUND = 0.05  # of a skull-stripped scan's voxels: far fewer than any has


def check_modality(
    array: NDArray[Any], form: Format, window: tuple[float, float] | None = None
) -> None:
    """Raise ValueError where intensities (X, Y, Z) cannot be of a data set's modality.

    window: the intensities that are clipped to, if any.
    """
    lowest, highest = array.min(), array.max()
    found = f"its intensities run from {lowest:g} to {highest:g}"
    if lowest == highest:
        raise ValueError(f"{found}: the scan is constant")
    if form in ("la", "brats2019") and lowest < -SWING * highest:
        raise ValueError(
            f"{found}, but training is on MRI, which has none below 0; is it a CT, or "
            "standardised already?"
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
    if not ((array > low) & (array < high)).any():
        raise ValueError(
            f"{found}, but none lies in the window from {low:g} to {high:g} that training "
            "sees; is it the same modality and unit?"
        )
