"""NIfTI files, read by nibabel, which shows headers and values as they are stored.

ITK reads NaN as 0, a spacing of 0 as 1 mm, and one of qform and sform without a word.
"""

import gzip
import io
import logging
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import Geometry, check_agreement, check_spacing, rigid_grid
from sgrs_core.data.formats.values import check_kind

Header = nibabel.Nifti1Header  # NIfTI-2's has the same fields
GZIP = b"\x1f\x8b"
HEADERS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}  # by their length in bytes
MAGIC = (b"n+1", b"n+2")  # header and voxels in one file
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # mm: unknown, metre, millimetre, micrometre
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

logger = logging.getLogger(__name__)


def read_nifti(path: Path) -> tuple[NDArray[Any], Geometry]:
    """The voxels (X, Y, Z), scaled as the header says, and their place; 4D with one volume is 3D.

    Raises ValueError, naming the file and the cause, for what is damaged, no NIfTI, no 3D image of
    one channel, or of unknown or ambiguous geometry.
    """
    content = content_of(path)
    header = header_of(content, path)
    try:
        stored, dtype = header.get_data_shape(), header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
    except HeaderDataError as error:
        raise ValueError(f"{path}: its NIfTI header is not valid ({error})") from error
    shape = stored[:3] if set(stored[3:]) == {1} else stored
    check_kind(path, shape, dtype)
    expected = int(header["vox_offset"]) + int(np.prod(shape, dtype=float)) * dtype.itemsize
    if len(content) < expected:
        raise ValueError(f"{path}: {len(content)} of {expected} bytes, so cut off; fetch it again")
    geometry = geometry_of(header, shape, path)
    array = header.raw_data_from_fileobj(io.BytesIO(content)).reshape(shape, order="F")
    kind = np.float64 if dtype.itemsize > 8 else dtype.newbyteorder("=")
    if slope is not None and (slope, intercept) != (1, 0):
        array = array * np.float64(slope) + np.float64(intercept)
        kind = np.promote_types(dtype, np.float32) if dtype.kind == "f" else np.float32
    with np.errstate(over="ignore"):  # infinite then, and refused
        return array.astype(kind, copy=False), geometry


def content_of(path: Path) -> bytes:
    """A file's bytes, uncompressed; whether they are compressed is told by the first two.

    Reading to the end also checks gzip's digest.
    """
    content = path.read_bytes()
    compressed = content[:2] == GZIP
    if content and compressed != (path.suffix.lower() == ".gz"):
        logger.warning("%s: %scompressed, unlike its name", path, "" if compressed else "not ")
    try:
        return gzip.decompress(content) if compressed else content
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: damaged or cut off ({error}); fetch it again") from error


def header_of(content: bytes, path: Path) -> Header:
    """The header as it is stored: nibabel's own checks would mend it."""
    lengths = {int.from_bytes(content[:4], order) for order in ("little", "big")}
    length = next((one for one in HEADERS if one in lengths), None)
    if length is None and len(content) >= 4:
        raise ValueError(
            f"{path}: not NIfTI, whatever its name says: it begins with {content[:12]!r}"
        )
    if length is None or len(content) < length:
        raise ValueError(f"{path}: {len(content)} bytes, so cut off or empty; fetch it again")
    header = HEADERS[length](content[:length], check=False)
    if bytes(header["magic"])[:3] not in MAGIC:
        raise ValueError(
            f"{path}: one half of a pair of .hdr and .img (or ANALYZE, which knows no orientation);"
            " convert it to one .nii file"
        )
    return header


def geometry_of(header: Header, shape: tuple[int, ...], path: Path) -> Geometry:
    """Where the voxels lie by sform and qform, which must agree, with pixdim's spacing."""
    unit = UNITS.get(int(header["xyzt_units"]) % 8)
    if unit is None:
        raise ValueError(f"{path}: xyzt_units = {header['xyzt_units']}: no unit of length")
    scale = np.diag([unit, unit, unit, 1.0])
    sides = header["pixdim"][1:4].astype(float) * unit
    check_spacing(sides, f"{path}: pixdim")
    if header["pixdim"][0] == 0:
        header["pixdim"][0] = 1  # as the standard says
    found = {}
    for name, read in (("sform", header.get_sform), ("qform", header.get_qform)):
        if header[f"{name}_code"] > 0:
            try:
                affine = TO_LPS @ scale @ read()
            except (ValueError, HeaderDataError) as error:
                raise ValueError(f"{path}: {name} is not valid ({error})") from error
            found[name] = rigid_grid(affine, shape, path, name)
    if not found:
        raise ValueError(
            f"{path}: neither qform nor sform is set (codes 0), so how the scan lies in the patient"
            " is not known; write the true one into the file"
        )
    first = next(iter(found.values()))
    geometry = first._replace(spacing=tuple(sides.tolist()))  # exact: no product of cosines
    check_agreement({**found, "pixdim": geometry}, shape, path)
    return geometry
