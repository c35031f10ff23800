"""Images with their place in the patient, whatever their file format.

Arrays are (X, Y, Z) everywhere; SimpleITK's own are (Z, Y, X).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray

TOLERANCE = 1e-3  # mm and cosines: far below a voxel, above the rounding of a text header


class PlacedImage(NamedTuple):
    """An image as its file holds it; fields in the order of `write_nifti`'s arguments.

    array: (X, Y, Z), the file's number type. spacing: mm per voxel along x, y, z. origin: mm,
    position of voxel (0, 0, 0). direction: 3x3 cosines, row-major, as in SimpleITK.
    """

    array: NDArray[Any]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


def read_picture(path: Path, reader: str) -> SimpleITK.Image:
    """Read one 3D single-channel image by one of SimpleITK's readers ("NrrdImageIO", ...).

    Raises FileNotFoundError and ValueError, naming the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: image not found; is the folder complete?")
    try:
        picture = SimpleITK.ReadImage(str(path), imageIO=reader)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: {reader} cannot read it; it may be damaged or cut off: fetch it again "
            f"({error})"
        ) from error
    if picture.GetDimension() != 3 or picture.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"{path}: {picture.GetSize()} is not a 3D image of one channel")
    return picture


def placed(picture: SimpleITK.Image) -> PlacedImage:
    """A SimpleITK image as an array and its geometry.

    The array lies in memory as SimpleITK's does, x first: turning it over costs more than most of
    what is done with it.
    """
    array = SimpleITK.GetArrayFromImage(picture).transpose(2, 1, 0)
    return PlacedImage(array, picture.GetSpacing(), picture.GetOrigin(), picture.GetDirection())


def oriented_as(picture: SimpleITK.Image, like: SimpleITK.Image) -> SimpleITK.Image:
    """The same image with its axes in the order and sense of another's.

    Every voxel keeps its place in the patient; only where it is stored changes.
    """
    code = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(like.GetDirection())
    return SimpleITK.DICOMOrient(picture, code)


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
