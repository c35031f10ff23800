"""Images in memory and their place in the patient; their files are `image_files.py`'s matter.

Arrays are (X, Y, Z) everywhere; SimpleITK's own are (Z, Y, X).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.volumes import IDENTITY_DIRECTION

TOLERANCE = 1e-3  # mm and cosines: far below a voxel, above the rounding of a text header


class PlacedImage(NamedTuple):
    """An image as its file holds it; fields in the order of `to_image`'s arguments.

    array: (X, Y, Z), the file's number type. spacing: mm per voxel along x, y, z. origin: mm,
    position of voxel (0, 0, 0). direction: 3x3 cosines, row-major, as in SimpleITK.
    """

    array: NDArray[Any]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


def to_array(image: SimpleITK.Image) -> PlacedImage:
    """A SimpleITK image as an array and its geometry.

    The array lies in memory as SimpleITK's does, x first: turning it over costs more than most of
    what is done with it.
    """
    array = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    return PlacedImage(array, image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def to_image(
    array: NDArray[Any],
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    direction: Sequence[float] = IDENTITY_DIRECTION,
) -> SimpleITK.Image:
    """An array (X, Y, Z) with its geometry as a SimpleITK image; the arguments of PlacedImage."""
    image = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing([float(step) for step in spacing])
    image.SetOrigin([float(coordinate) for coordinate in origin])
    image.SetDirection([float(cosine) for cosine in direction])
    return image


def oriented_as(image: SimpleITK.Image, like: SimpleITK.Image) -> SimpleITK.Image:
    """The same image with its axes in the order and sense of another's.

    Every voxel keeps its place in the patient; only where it is stored changes.
    """
    return SimpleITK.DICOMOrient(image, orientation_of(like.GetDirection()))


def orientation_of(direction: Sequence[float]) -> str:
    """Where an image's axes run to: LPS (left, back, head) for the identity.

    direction: 3x3 cosines, row-major; oblique axes go with the nearest of the patient's.
    """
    cosines = [float(cosine) for cosine in direction]
    code: str = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(cosines)
    return code


def in_patient_axes(
    array: NDArray[Any], spacing: Sequence[float], direction: Sequence[float]
) -> tuple[NDArray[Any], tuple[float, ...]]:
    """A view of an image with x to the patient's left, y to the back, z to the head; its spacing.

    array: (X, Y, Z). spacing: mm. direction: 3x3 cosines, row-major; oblique axes go with the
    nearest of the patient's.
    """
    cosines = np.reshape(direction, (3, 3))  # a column for each of the image's axes
    order = np.abs(cosines).argmax(axis=1)  # of the image's axes, the patient's x, y, z in turn
    turned = tuple(axis for axis in range(3) if cosines[axis, order[axis]] < 0)
    return np.flip(array.transpose(order), turned), tuple(spacing[axis] for axis in order)


def check_grids(
    image: PlacedImage,
    label: PlacedImage,
    scan: str,
    names: tuple[str, str] = ("the image", "the label"),
    tolerance: float = TOLERANCE,
) -> None:
    """Raise ValueError, naming the scan, unless image and label lie on one grid.

    tolerance: in mm for spacing and origin, and for the directions' cosines.
    """
    pairs = {
        "shape": (image.array.shape, label.array.shape),
        "spacing": (image.spacing, label.spacing),
        "origin": (image.origin, label.origin),
        "direction": (image.direction, label.direction),
    }
    for name, (of_image, of_label) in pairs.items():
        if not np.allclose(of_image, of_label, rtol=0, atol=tolerance):
            raise ValueError(
                f"{scan}: {name} of {names[0]} is {of_image}, of {names[1]} {of_label}; "
                "do both belong to this scan?"
            )


def voxel_position(
    voxel: Sequence[float],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: Sequence[float],
) -> tuple[float, ...]:
    """Where a voxel lies in the patient, mm: the origin of a crop that starts there."""
    steps = np.multiply(voxel, spacing)
    return tuple((np.asarray(origin) + np.reshape(direction, (3, 3)) @ steps).tolist())
