"""Images with their place in the patient: NIfTI files written and read, and what they share.

Arrays are (X, Y, Z) everywhere; SimpleITK's own are (Z, Y, X).
"""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.files import atomic

CHUNK = 1 << 20  # bytes read at once while measuring a compressed file


class PlacedImage(NamedTuple):
    """An image as its file holds it; fields in the order of `write_nifti`'s arguments.

    array: (X, Y, Z), the file's number type. spacing: mm per voxel along x, y, z. origin: mm,
    position of voxel (0, 0, 0). direction: 3x3 cosines, row-major, as in SimpleITK.
    """

    array: NDArray[Any]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]


def write_nifti(
    path: Path,
    mask: NDArray[np.uint8],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: Sequence[float],
) -> None:
    """Write a mask (X, Y, Z) to a .nii or .nii.gz file, which appears whole or not at all.

    The format stores the geometry in single precision.
    """
    picture = SimpleITK.GetImageFromArray(np.asarray(mask, dtype=np.uint8).transpose(2, 1, 0))
    picture.SetSpacing([float(step) for step in spacing])
    picture.SetOrigin([float(coordinate) for coordinate in origin])
    picture.SetDirection([float(cosine) for cosine in direction])
    with atomic(path) as temporary:
        SimpleITK.WriteImage(picture, str(temporary), imageIO="NiftiImageIO")


def read_nifti(path: Path) -> PlacedImage:
    """Read a .nii or .nii.gz file.

    Raises FileNotFoundError for a missing file and ValueError, naming the file, for one that is
    not NIfTI, not 3D, or cut off.
    """
    picture = read_picture(path, "NiftiImageIO")
    check_complete(path, picture)
    return placed(picture)


def placed(picture: SimpleITK.Image) -> PlacedImage:
    """A SimpleITK image as an array and its geometry."""
    array = np.ascontiguousarray(SimpleITK.GetArrayViewFromImage(picture).transpose(2, 1, 0))
    return PlacedImage(array, picture.GetSpacing(), picture.GetOrigin(), picture.GetDirection())


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


def check_complete(path: Path, picture: SimpleITK.Image) -> None:
    """Raise ValueError, naming the file, if a NIfTI file holds fewer bytes than its header says.

    Needed because the NIfTI reader fills what is missing with arbitrary values, without a word.
    """
    header = float(picture.GetMetaData("vox_offset"))
    bits = int(picture.GetMetaData("bitpix"))  # on disk: a scaled image has another type in memory
    expected = int(header) + picture.GetNumberOfPixels() * bits // 8
    try:
        found = uncompressed_size(path)
    except (EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged or cut off ({error}); fetch it again") from error
    if found < expected:
        raise ValueError(f"{path}: {found} of {expected} bytes, so cut off; fetch it again")


def uncompressed_size(path: Path) -> int:
    """Bytes a plain or gzip-compressed file holds; reading to the end also checks gzip's digest."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with gzip.open(path, "rb") as file:
        return sum(len(chunk) for chunk in iter(lambda: file.read(CHUNK), b""))


def voxel_position(
    voxel: Sequence[int],
    spacing: Sequence[float],
    origin: Sequence[float],
    direction: Sequence[float],
) -> tuple[float, ...]:
    """Where a voxel lies in the patient, mm: the origin of a crop that starts there."""
    steps = np.multiply(voxel, spacing)
    return tuple((np.asarray(origin) + np.reshape(direction, (3, 3)) @ steps).tolist())
