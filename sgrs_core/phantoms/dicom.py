"""A CT series in DICOM files, as a hospital's archive would send it."""

import hashlib
import locale
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.images import to_itk
from sgrs_core.files import atomic

# Rows run to the patient's left, columns to the front, as in Pancreas-CT.
AXIAL = r"1\0\0\0\-1\0"
FIXED_FIELDS = {
    "0008|0005": "ISO_IR 192",  # text is UTF-8
    "0008|0016": "1.2.840.10008.5.1.4.1.1.2",  # CT image storage
    "0008|0020": "20000101",  # study date
    "0008|0030": "120000",  # study time
    "0008|0060": "CT",
    "0020|0011": "1",  # series number
    "0020|0037": AXIAL,
    "0028|1054": "HU",
}


class Series(NamedTuple):
    """What a series' headers say.

    key: what every identifier follows from. spacing, origin: mm. slope, intercept:
    HU = slope * stored + intercept. against: instances are numbered from the head down, and their
    files' names follow no order.
    """

    patient: str
    key: str
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    slope: int
    intercept: int
    against: bool


def write_series(folder: Path, hu: NDArray[np.int16], series: Series) -> None:
    """Write folder/*.dcm, one file a slice; the folder appears whole or not at all.

    hu: (X, Y, Z), each an intercept plus a multiple of the slope; voxels run to the patient's
    left, back and head.
    """
    count = hu.shape[2]
    numbers = names = np.arange(1, count + 1)
    if series.against:
        numbers, names = numbers[::-1], np.random.default_rng(count).permutation(names)
    writer = SimpleITK.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    x, y, z = series.origin
    last = (hu.shape[1] - 1) * series.spacing[1]  # mm, to the row that is stored first
    with atomic(folder) as temporary, locale_kept():
        temporary.mkdir()
        for index, (number, name) in enumerate(zip(numbers, names, strict=True)):
            origin = (x, y + last, z + index * series.spacing[2])
            slice_ = PlacedImage(hu[:, ::-1, index : index + 1], series.spacing, origin)
            image = to_itk(slice_)
            for tag, value in header(series, int(number)).items():
                image.SetMetaData(tag, value)
            writer.SetFileName(str(temporary / f"1-{name:03d}.dcm"))
            writer.Execute(image)


@contextmanager
def locale_kept() -> Iterator[None]:
    """Bring the process's locale back: GDCM's writer sets it to C.

    Text files that another library opens without naming an encoding would be read as ASCII then.
    """
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def header(series: Series, number: int) -> dict[str, str]:
    """The fields of one slice that SimpleITK does not fill in from the image itself."""
    return FIXED_FIELDS | {
        "0008|0018": identifier(f"{series.key} instance {number}"),
        "0010|0010": series.patient,
        "0010|0020": series.patient,
        "0018|0050": f"{series.spacing[2]:g}",  # thickness
        "0018|0088": f"{series.spacing[2]:g}",  # distance of slices
        "0020|000d": identifier(f"{series.key} study"),
        "0020|000e": identifier(f"{series.key} series"),
        "0020|0013": str(number),
        "0020|0052": identifier(f"{series.key} frame of reference"),
        "0028|1052": str(series.intercept),
        "0028|1053": str(series.slope),
    }


def identifier(text: str) -> str:
    """A DICOM UID that follows from the text."""
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"
