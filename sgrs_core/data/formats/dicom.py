"""A DICOM series read as one image, its slices ordered by their place in the patient."""

from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

POSITION = "0020|0032"  # ImagePositionPatient
PREAMBLE = 128  # bytes
EVEN = 0.05  # how much of the usual gap between slices another gap may differ: rounded positions


def read_series(folder: Path) -> tuple[SimpleITK.Image, list[Path]]:
    """The one series below `folder` in HU (slope and intercept applied), and its files.

    Raises FileNotFoundError where there is none, and ValueError, naming the folder or file, for
    several series, a file that is not part of the series or damaged, or uneven slices.
    """
    files = dicom_files(folder)
    if not files:
        raise FileNotFoundError(
            f"{folder}: no DICOM file (*.dcm) there or below; is the folder complete?"
        )
    folders = sorted({file.parent for file in files})
    identities = [
        (str(one), series)
        for one in folders
        for series in SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(one))
    ]
    if len(identities) != 1:
        found = ", ".join(series for _, series in identities) or "none"
        raise ValueError(
            f"{folder}: expected one DICOM series, found {len(identities)} ({found}); "
            "keep the wanted one only (of Pancreas-CT: the portal-venous CT)"
        )
    ordered = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(*identities[0])
    strange = sorted(set(files) - set(map(Path, ordered)))
    if strange:
        raise ValueError(
            f"{strange[0]}: not a readable slice of its series (one of {len(strange)} such files); "
            "it may be damaged or cut off: fetch the series again"
        )
    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames(ordered)
    reader.MetaDataDictionaryArrayUpdateOn()
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise ValueError(
            f"{folder}: the DICOM series cannot be read; a file may be damaged or cut off: fetch "
            f"it again ({error})"
        ) from error
    normal = np.reshape(image.GetDirection(), (3, 3))[:, 2]
    places = [
        normal @ np.array(reader.GetMetaData(index, POSITION).split("\\"), float)
        for index in range(len(ordered))
    ]
    check_even(folder, np.array(places))
    return image, files


def dicom_files(folder: Path) -> list[Path]:
    """All files *.dcm in or below a folder; where there are none, all that begin as DICOM does."""
    files = sorted(folder.rglob("*.dcm"))
    return files or sorted(filter(begins_as_dicom, folder.rglob("*")))


def begins_as_dicom(path: Path) -> bool:
    """Whether a file has DICOM's four letters after its preamble; exports may lack the suffix."""
    if not path.is_file() or path.name == "DICOMDIR":
        return False
    with path.open("rb") as file:
        file.seek(PREAMBLE)
        return file.read(4) == b"DICM"


def check_even(folder: Path, places: NDArray[np.float64]) -> None:
    """Raise ValueError, naming the folder, where slices (mm along their normal) are uneven."""
    gaps = np.diff(places)
    usual = float(np.median(gaps)) if gaps.size else 1.0
    if gaps.size and np.abs(gaps - usual).max() > EVEN * usual:
        worst = int(np.abs(gaps - usual).argmax())
        raise ValueError(
            f"{folder}: the slices are not evenly spaced: {usual:.2f} mm apart, but "
            f"{gaps[worst]:.2f} mm at {places[worst]:.1f} mm; a slice may be missing: fetch the "
            "series again"
        )
