"""Files that hold one image (NIfTI, NRRD, a folder of DICOM slices), read as SimpleITK's images.

Not the prepared h5 files that training reads: those are `data/volumes.py`. What is done with an
image once it is read: `images.py`.
"""

import gzip
from pathlib import Path

import SimpleITK

from sgrs_core.data.formats.dicom import read_series
from sgrs_core.files import atomic

WRITERS = {".nii": "NiftiImageIO", ".nii.gz": "NiftiImageIO", ".nrrd": "NrrdImageIO"}
READERS = {**WRITERS, ".nhdr": "NrrdImageIO"}
CHUNK = 1 << 20  # bytes read at once while measuring a compressed file


def suffix_of(path: Path, known: tuple[str, ...] = tuple(WRITERS)) -> str | None:
    """The known ending of a file's name, in lower case; None where it has another."""
    return next((one for one in known if path.name.lower().endswith(one)), None)


def stem_of(path: Path) -> str:
    """A scan's name: its file's or folder's without the ending."""
    suffix = None if path.is_dir() else suffix_of(path, tuple(READERS))
    return path.resolve().name[: -len(suffix)] if suffix else path.resolve().name


def read_scan(path: Path) -> SimpleITK.Image:
    """Read a 3D scan of one channel from a file of a known name, or from DICOM (a CT: in HU).

    Raises FileNotFoundError and ValueError, naming the file, for a missing or damaged file, one of
    another format, or one that is not 3D.
    """
    if path.is_dir():
        return read_series(path)[0]
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    suffix = suffix_of(path, tuple(READERS))
    if suffix is None:
        raise ValueError(
            f"{path}: allowed are files {', '.join(READERS)}, and the folder of a DICOM series"
        )
    return read_image(path, READERS[suffix])


def read_nifti(path: Path) -> SimpleITK.Image:
    """Read a NIfTI file, whatever its name; raises as `read_image`."""
    return read_image(path, "NiftiImageIO")


def read_image(path: Path, reader: str) -> SimpleITK.Image:
    """Read one 3D single-channel image by one of SimpleITK's readers ("NrrdImageIO", ...).

    Raises FileNotFoundError for a missing file and ValueError, naming the file, for one of another
    format, one that is not 3D, or one that is cut off.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: image not found; is the folder complete?")
    try:
        image = SimpleITK.ReadImage(str(path), imageIO=reader)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: {reader} cannot read it; it may be damaged or cut off: fetch it again "
            f"({error})"
        ) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"{path}: {image.GetSize()} is not a 3D image of one channel")
    if reader == "NiftiImageIO":
        check_complete(path, image)
    return image


def write_image(path: Path, image: SimpleITK.Image) -> None:
    """Write an image in the format that the name ends in; it appears whole or not at all.

    NIfTI stores the geometry in single precision.
    """
    suffix = suffix_of(path)
    if suffix is None:
        raise ValueError(f"{path}: allowed are names that end in {', '.join(WRITERS)}")
    with atomic(path) as temporary:
        SimpleITK.WriteImage(image, str(temporary), useCompression=True, imageIO=WRITERS[suffix])


def check_complete(path: Path, image: SimpleITK.Image) -> None:
    """Raise ValueError, naming the file, if a NIfTI file holds fewer bytes than its header says.

    Needed because the NIfTI reader fills what is missing with arbitrary values, without a word.
    """
    header = float(image.GetMetaData("vox_offset"))
    bits = int(image.GetMetaData("bitpix"))  # on disk: a scaled image has another type in memory
    expected = int(header) + image.GetNumberOfPixels() * bits // 8
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
