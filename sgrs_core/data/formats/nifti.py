"""NIfTI files, written whole or not at all and never read half."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.formats.images import PlacedImage, placed, read_picture
from sgrs_core.files import atomic

CHUNK = 1 << 20  # bytes read at once while measuring a compressed file


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
    """Read a .nii or .nii.gz file; raises as `read_nifti_picture`."""
    return placed(read_nifti_picture(path))


def read_nifti_picture(path: Path) -> SimpleITK.Image:
    """Read a .nii or .nii.gz file as SimpleITK's image.

    Raises FileNotFoundError for a missing file and ValueError, naming the file, for one that is
    not NIfTI, not 3D, or cut off.
    """
    picture = read_picture(path, "NiftiImageIO")
    check_complete(path, picture)
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
