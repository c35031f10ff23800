"""Files that hold one image: NIfTI, NRRD, MetaImage, or a folder of DICOM slices.

Each passes two gates on the way: `geometry.py`, where its voxels lie, and `values.py`, what they
hold. Not the prepared h5 files that training reads: those are `data/volumes.py`. What is done with
an image once it is read: `images.py`.
"""

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK

from sgrs_core.data.formats.geometry import PlacedImage, on_grid
from sgrs_core.data.formats.images import from_itk, to_itk
from sgrs_core.data.formats.nifti import read_nifti
from sgrs_core.data.formats.quiet import check_name, quiet, said_by_itk
from sgrs_core.data.formats.text_headers import check_size, for_itk, read_header
from sgrs_core.data.formats.values import as_classes, check_image, check_kind
from sgrs_core.files import atomic

WRITERS = {".nii": "NiftiImageIO", ".nii.gz": "NiftiImageIO", ".nrrd": "NrrdImageIO"}
READERS = {
    **WRITERS, ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"
}  # fmt: skip
# The formats whose text headers are read here, and the field that says how their axes run.
TEXT = {
    "NrrdImageIO": ("NRRD", "space directions"), "MetaImageIO": ("MetaImage", "TransformMatrix")
}  # fmt: skip

NOTE = "ITK_FileNotes"  # NIfTI's `descrip`, of 79 characters, and a field of NRRD

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # errors are raised, and said in one line


def suffix_of(path: Path, known: tuple[str, ...] = tuple(WRITERS)) -> str | None:
    """The known ending of a file's name, in lower case; None where it has another."""
    return next((one for one in known if path.name.lower().endswith(one)), None)


def read_scan(path: Path) -> PlacedImage:
    """Read a 3D scan of one channel from a file of a known name, or from DICOM (a CT: in HU).

    Raises FileNotFoundError and ValueError, naming the file and the cause, for a missing or damaged
    file, one of another format, one that is not 3D, and geometry or values that no scan has.
    """
    image = read_image(path)
    check_image(image.array, path, warn=True)
    return image


def read_label(path: Path) -> PlacedImage:
    """Read a mask or a label as whole numbers; raises as `read_scan`, and see `as_classes`."""
    image = read_image(path)
    return image._replace(array=as_classes(image.array, path))


def read_image(path: Path) -> PlacedImage:
    """The voxels, of any real values, and their place, as the gate for geometry states it.

    Raises as `read_scan` does, but for values.
    """
    check_name(path)
    if path.is_dir():
        from sgrs_core.data.formats.dicom import read_series  # slow, seldom needed

        return read_series(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder")
    suffix = suffix_of(path, tuple(READERS))
    if suffix is None:
        raise ValueError(
            f"{path}: allowed are files {', '.join(READERS)}, and the folder of a DICOM series"
        )
    reader = READERS[suffix]
    return read_nifti(path) if reader == "NiftiImageIO" else read_by_itk(path, reader)


def read_by_itk(path: Path, reader: str) -> PlacedImage:
    """The voxels and the place of an NRRD or MetaImage file; raises as `read_image`."""
    kind, field = TEXT[reader]
    header = read_header(path, kind)
    try:
        with TemporaryDirectory() as folder, quiet():
            image = SimpleITK.ReadImage(str(for_itk(header, Path(folder))), imageIO=reader)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: {reader} cannot read it ({said_by_itk(error)}); unless its header is wrong, "
            "it is damaged or cut off: fetch it again"
        ) from error
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        axes = np.reshape(image.GetDirection(), (4, 4))
        if axes[3, :3].any() or axes[:3, 3].any():
            raise ValueError(f"{path}: its fourth axis runs through space ({field}); write three")
        image = image[:, :, :, 0]
    voxels = SimpleITK.GetArrayViewFromImage(image)
    check_kind(path, image.GetSize(), voxels.dtype, image.GetNumberOfComponentsPerPixel())
    check_size(header, voxels.nbytes, voxels.itemsize)
    return on_grid(from_itk(image), path, f"its header ({field})")


def write_image(path: Path, image: PlacedImage, note: str = "") -> None:
    """Write an image in the format that the name ends in; it appears whole or not at all.

    note: of where it comes from, for its header; see `note_of`. NIfTI stores the geometry in single
    precision. ITK says nothing of a disk that is full, so what was written is read again. Raises
    OSError, naming the file, where that is not the image.
    """
    suffix = suffix_of(path)
    if suffix is None:
        raise ValueError(f"{path}: allowed are names that end in {', '.join(WRITERS)}")
    with atomic(path) as temporary, TemporaryDirectory(dir=path.parent) as folder:
        written = Path(folder) / f"image{suffix}"  # ITK knows suffixes in lower case only
        if not _is_written(written, image, note, WRITERS[suffix]):
            reason = "what was written cannot be read again; is the disk full?"
            raise OSError(errno.EIO, reason, str(path))
        written.replace(temporary)


def _is_written(file: Path, placed: PlacedImage, note: str, writer: str) -> bool:
    """Write an image, and say whether it is there."""
    image = to_itk(placed)
    if note:
        image.SetMetaData(NOTE, note)
    try:
        SimpleITK.WriteImage(image, str(file), useCompression=True, imageIO=writer)
        found = SimpleITK.ReadImage(str(file))
    except RuntimeError:
        return False
    mine, theirs = map(SimpleITK.GetArrayViewFromImage, (image, found))
    return np.array_equal(mine, theirs)


def note_of(file: Path) -> str:
    """What an image's header notes of where it comes from; nothing for one that cannot be read."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
        return str(reader.GetMetaData(NOTE)) if reader.HasMetaDataKey(NOTE) else ""
    except RuntimeError:
        return ""
