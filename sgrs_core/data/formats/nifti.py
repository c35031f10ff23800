"""NIfTI files, read by nibabel, which shows headers and values as they are stored.

ITK reads NaN as 0, a spacing of 0 as 1 mm, and one of qform and sform without a word.
"""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import TOLERATED, PlacedImage, check_spacing, farthest, placed
from sgrs_core.data.formats.values import check_kind

GZIP = b"\x1f\x8b"
QUATERNION = 1e-3  # radians: what single precision makes of a qform near half a turn
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # mm: not said, metre, millimetre, micrometre


@np.errstate(over="ignore", invalid="ignore")  # what is infinite then is refused
def read_nifti(path: Path) -> PlacedImage:
    """The voxels, scaled as the header says, and their place; 4D with one volume is 3D.

    Raises ValueError, naming the file and the cause, for what is damaged, no NIfTI, no 3D image of
    one channel, or of unknown or ambiguous geometry.
    """
    content = content_of(path)
    try:
        header = header_of(content, path)
        shape, dtype = header.get_data_shape(), header.get_data_dtype()
        shape = shape[:3] if set(shape[3:]) == {1} else shape
        check_kind(path, shape, dtype)
        offset = float(header["vox_offset"])
        if not offset >= header.sizeof_hdr or offset % 1:
            raise HeaderDataError(f"vox_offset is {offset:g}")
        if np.isinf(header.get("scl_slope", 1)):  # nibabel's slope is 1 then, and other's infinite
            raise HeaderDataError("scl_slope is infinite")
        expected = offset + np.prod(shape, dtype=float) * dtype.itemsize
        if len(content) != expected:
            cause = (
                "so cut off; fetch it again" if len(content) < expected else "correct the header"
            )
            raise ValueError(f"{path}: {len(content)} of {expected:.0f} bytes; {cause}")
        raw = header.raw_data_from_fileobj(io.BytesIO(content)).reshape(shape, order="F")
        array = apply_read_scaling(raw, *header.get_slope_inter())
        kind = dtype if array.dtype == dtype else np.promote_types(dtype, np.float32)
        kind = np.dtype(np.float64) if kind.itemsize > 8 else kind.newbyteorder("=")
        return on_its_grid(array.astype(kind, copy=False), header, path)
    except (HeaderDataError, KeyError) as error:
        raise ValueError(f"{path}: its NIfTI header is not valid ({error})") from error


def content_of(path: Path) -> bytes:
    """A file's bytes, uncompressed if they are gzip's, whatever its name; checks gzip's digest."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content.startswith(GZIP) else content
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: damaged or cut off ({error}); fetch it again") from error


def is_nifti(content: bytes) -> bool:
    """Whether a file's uncompressed bytes are NIfTI's, whatever it is called."""
    kinds = (Nifti1Header, Nifti2Header)
    return any(kind.may_contain_header(content[: kind.sizeof_hdr]) for kind in kinds)


def header_of(content: bytes, path: Path) -> Nifti1Header:
    """The header as it is stored: nibabel's own checks would mend it. Raises ValueError."""
    for kind in (Nifti1Header, Nifti2Header):
        if kind.may_contain_header(content[: kind.sizeof_hdr]):
            header = kind(content[: kind.sizeof_hdr], check=False)
            if header["magic"].item()[:2] == b"ni":
                raise ValueError(f"{path}: half of a pair of .hdr and .img; convert it to one .nii")
            return header
    begin = content[:12]
    raise ValueError(
        f"{path}: no NIfTI, whatever its name says: it begins with {begin!r}"
        if len(content) > Nifti2Header.sizeof_hdr
        else f"{path}: {len(content)} bytes that begin with {begin!r}: no NIfTI, or cut off"
    )


def on_its_grid(array: NDArray[Any], header: Nifti1Header, path: Path) -> PlacedImage:
    """Where the voxels lie by sform and qform, which must agree, with pixdim's spacing."""
    unit = UNITS[int(header["xyzt_units"]) % 8]
    to_lps = np.diag([-unit, -unit, unit, 1.0])
    sides = (header["pixdim"][1:4].astype(float) * unit).tolist()
    check_spacing(sides, f"{path}: pixdim")
    if header["pixdim"][0] == 0:
        header["pixdim"][0] = 1  # as the standard says
    found = {}
    for name, read in (("sform", header.get_sform), ("qform", header.get_qform)):
        if header[f"{name}_code"] > 0:
            try:
                affine = to_lps @ read()
            except ValueError as error:
                raise ValueError(f"{path}: {name} is not valid ({error})") from error
            found[name] = placed(array, affine, path, name)
    if not found:
        raise ValueError(
            f"{path}: neither qform nor sform is set (codes 0), so how the scan lies in the patient"
            " is not known; write the true one into the file"
        )
    # Exact, and not the length of rounded cosines: the size of a resampled scan depends on it.
    first, *_ = found
    image = found[first]._replace(spacing=tuple(sides))
    for name, other in found.items():
        moved = farthest(image.affine(), other.affine(), array.shape)
        beside = np.linalg.norm(np.subtract(image.origin, other.origin))
        allowed = TOLERATED * min(sides)
        if beside > allowed or moved > allowed + QUATERNION * np.dot(array.shape, sides):
            raise ValueError(
                f"{path}: ambiguous: {first} with pixdim's spacing and {name} put voxels up to "
                f"{moved:.2f} mm apart, and programs differ in which they take; make them agree"
            )
    return image
