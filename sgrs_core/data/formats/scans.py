"""Scans and masks as users have them: NIfTI, NRRD, or a folder of DICOM slices."""

from pathlib import Path

import SimpleITK

from sgrs_core.data.formats.dicom import read_series
from sgrs_core.data.formats.images import read_picture
from sgrs_core.data.formats.nifti import read_nifti_picture
from sgrs_core.files import atomic

WRITERS = {".nii": "NiftiImageIO", ".nii.gz": "NiftiImageIO", ".nrrd": "NrrdImageIO"}
READ = (*WRITERS, ".nhdr")


def suffix_of(path: Path, known: tuple[str, ...] = tuple(WRITERS)) -> str | None:
    """The known ending of a file's name, in lower case; None where it has another."""
    return next((one for one in known if path.name.lower().endswith(one)), None)


def stem_of(path: Path) -> str:
    """A scan's name: its file's or folder's without the ending."""
    suffix = None if path.is_dir() else suffix_of(path, READ)
    return path.resolve().name[: -len(suffix)] if suffix else path.resolve().name


def read_scan(path: Path) -> SimpleITK.Image:
    """Read a 3D scan of one channel; of CT from DICOM: in HU.

    Raises FileNotFoundError and ValueError, naming the file, for a missing or damaged file, one of
    another format, or one that is not 3D.
    """
    if path.is_dir():
        return read_series(path)[0]
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    suffix = suffix_of(path, READ)
    if suffix is None:
        raise ValueError(
            f"{path}: allowed are files {', '.join(READ)}, and the folder of a DICOM series"
        )
    if suffix in (".nrrd", ".nhdr"):
        return read_picture(path, "NrrdImageIO")
    return read_nifti_picture(path)


def write_mask(path: Path, mask: SimpleITK.Image) -> None:
    """Write a mask in the format that the name ends in; it appears whole or not at all."""
    suffix = suffix_of(path)
    if suffix is None:
        raise ValueError(f"{path}: allowed are names that end in {', '.join(WRITERS)}")
    with atomic(path) as temporary:
        SimpleITK.WriteImage(mask, str(temporary), useCompression=True, imageIO=WRITERS[suffix])
