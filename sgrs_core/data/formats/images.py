"""Images in memory and their place in the patient; their files are `image_files.py`'s matter.

Arrays are (X, Y, Z) everywhere; SimpleITK's own are (Z, Y, X).
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage

TOLERANCE = 1e-3  # mm and cosines: far below a voxel, above the rounding of a text header
SMALL_PART = 0.1  # of a voxel: what microscopes see is smaller than the tolerance
NUDGE = (2e-3, 1e-3, 3e-3)  # radians: which of two axes at 45 degrees counts as the nearer one
NUDGED = np.eye(3) + np.cross(np.eye(3), NUDGE)  # so small a turn as a matrix


def from_itk(image: SimpleITK.Image, modality: str = "") -> PlacedImage:
    """A SimpleITK image as an array and its geometry.

    The array lies in memory as SimpleITK's does, x first: turning it over costs more than most of
    what is done with it.
    """
    array = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    place = image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    return PlacedImage(array, *place, modality)


def to_itk(placed: PlacedImage) -> SimpleITK.Image:
    """An array with its geometry as a SimpleITK image."""
    image = SimpleITK.GetImageFromArray(placed.array.transpose(2, 1, 0))
    image.SetSpacing([float(step) for step in placed.spacing])
    image.SetOrigin([float(coordinate) for coordinate in placed.origin])
    image.SetDirection([float(cosine) for cosine in placed.direction])
    return image


def oriented_as(image: PlacedImage, like: PlacedImage) -> PlacedImage:
    """The same image with its axes in the order and sense of another's.

    Every voxel keeps its place in the patient; only where it is stored changes.
    """
    return turned_to(image, np.reshape(like.direction, (3, 3)))


def in_orientation(image: PlacedImage, code: str) -> PlacedImage:
    """The same image with its axes nearest to those of a code, as `orientation_of` gives it.

    Between two axes at 45 degrees it takes the same one however the image is stored.
    """
    cosines = SimpleITK.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(code)
    return turned_to(image, NUDGED @ np.reshape(cosines, (3, 3)))


def turned_to(image: PlacedImage, axes: NDArray[np.float64]) -> PlacedImage:
    """The same image, stored along those of its axes that are nearest to a matrix's columns.

    Each axis is taken once, also where two are equally near.
    """
    cosines = axes.T @ np.reshape(image.direction, (3, 3))
    orders = map(list, permutations(range(3)))
    order = max(orders, key=lambda order: np.abs(cosines[range(3), order]).sum())
    x, y, z = (slice(None, None, -1 if cosines[one, order[one]] < 0 else 1) for one in range(3))
    return from_itk(SimpleITK.PermuteAxes(to_itk(image), order)[x, y, z], image.modality)


def orientation_of(direction: Sequence[float]) -> str:
    """Where an image's axes run to: LPS (left, back, head) for the identity.

    direction: 3x3 cosines, row-major; oblique axes go with the nearest of the patient's.
    """
    cosines = [float(cosine) for cosine in direction]
    code: str = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(cosines)
    return code


def check_grids(
    image: PlacedImage,
    label: PlacedImage,
    scan: str,
    names: tuple[str, str] = ("the image", "the label"),
    tolerance: float = TOLERANCE,
) -> None:
    """Raise ValueError, naming the scan, unless image and label lie on one grid.

    tolerance: for the directions' cosines, and in mm for spacing and origin unless a tenth of a
    voxel is less.
    """
    length = min(tolerance, SMALL_PART * min(image.spacing))
    pairs = {
        "shape": (image.array.shape, label.array.shape, 0),
        "spacing": (image.spacing, label.spacing, length),
        # A turned grid has another origin, too.
        "direction": (image.direction, label.direction, tolerance),
        "origin": (image.origin, label.origin, length),
    }
    for name, (of_image, of_label, allowed) in pairs.items():
        if not np.allclose(of_image, of_label, rtol=0, atol=allowed):
            raise ValueError(
                f"{scan}: {name} of {names[0]} is {of_image}, of {names[1]} {of_label}; "
                "do both belong to this scan?"
            )
