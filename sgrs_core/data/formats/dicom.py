"""A DICOM series read as one image: headers by pydicom, which hides nothing, voxels by GDCM."""

import re
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from pydicom import Dataset, config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.uid import (
    UID,
    CTImageStorage,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    UncompressedTransferSyntaxes,
)

from sgrs_core.data.formats.geometry import UNIT, PlacedImage, placed
from sgrs_core.data.formats.quiet import check_name, quiet, said_by_itk

PREAMBLE = 128  # bytes
ROUNDING = 0.11  # mm: of positions that a scanner writes with one decimal
EVEN, MOST = 0.05, 0.25  # of the gap: how far off its place a slice may be anyway, and at most
SAME = 1e-4  # cosines, mm of PixelSpacing, and other numbers that all slices share
# What all slices of a stack share, and of how many numbers it is.
SHARED = {"ImageOrientationPatient": 6, "PixelSpacing": 2} | dict.fromkeys(
    ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"), 1
)
LAYOUT = ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")  # of a voxel's bits
THICKNESS = ("SpacingBetweenSlices", "SliceThickness")  # which says it first
OPTIONAL = ("RescaleSlope", "RescaleIntercept")  # but for CT
PADDING = "PixelPaddingValue"
# Whose and of what a slice is: texts, which all slices share or lack.
IDENTITY = (
    "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality", "RescaleType", "EchoTime",
    "TemporalPositionIdentifier",
)  # fmt: skip
NEEDED = ("SeriesInstanceUID", "Rows", "PixelRepresentation")
HU = ("HU", "US", "")  # RescaleType: Hounsfield units, unspecified as GDCM writes it, or missing
# In ImageType: what lies across the slices, and what was made of many of them.
PROJECTION = re.compile(r"LOCALIZER|(?<![A-Z])(MIP|MINIP|MIN_IP|MAX_IP)(?![A-Z])")
BARE = re.compile(rb"[\x02\x08]\0[\0-\x20]\0")  # a first field, where there is no preamble
config.settings.reading_validation_mode = config.IGNORE  # what matters is checked here
DAMAGED = "no readable DICOM slice; it may be damaged or cut off: fetch the series again"


def read_series(folder: Path) -> PlacedImage:
    """The one series below `folder`, slope and intercept applied: a CT is in HU.

    Raises FileNotFoundError where there is none, and ValueError, naming the folder or file, for
    several series, a file that is no slice or damaged, and slices that are no stack.
    """
    files = dicom_files(folder)
    if not files:
        raise FileNotFoundError(
            f"{folder}: no DICOM file (*.dcm) there or below; is the folder complete?"
        )
    slices = [header for header in map(read_header, files) if header]
    series = {one.get("SeriesInstanceUID"): one.filename for one in slices}
    if len(series) != 1:
        found = ", ".join(f"{identity} as in {file}" for identity, file in series.items())
        raise ValueError(
            f"{folder}: expected one DICOM series, found {len(series)} ({found or 'none'}); "
            "keep the wanted one only (of Pancreas-CT: the portal-venous CT)"
        )
    check_shared(folder, slices)
    row, column = np.reshape(slices[0].ImageOrientationPatient, (2, 3)).astype(float)
    normal = np.cross(row, column)
    slices.sort(key=lambda one: float(normal @ np.asarray(one.ImagePositionPatient, float)))
    down, right = map(float, slices[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([row * right, column * down, step_of(folder, slices, normal)], 1)
    affine[:3, 3] = slices[0].ImagePositionPatient
    image = read_voxels(folder, slices)
    check_padding(folder, slices[0], image)
    source = f"ImagePositionPatient of {len(slices)} slices"
    modality = str(slices[0].get("Modality") or "")
    return placed(image, affine, folder, source)._replace(modality=modality)


def dicom_files(folder: Path) -> list[Path]:
    """All files in or below a folder that are named *.dcm or begin as DICOM does.

    Left out is what other systems leave beside them: DICOMDIR, and macOS' ._ files. A link to
    nowhere counts, so that reading it says what is missing.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if (path.is_file() or (path.is_symlink() and not path.exists()))
        and path.stem.upper() != "DICOMDIR"
        and not path.name.startswith("._")
        and (path.suffix.lower() == ".dcm" or (path.exists() and begins_as_dicom(path)))
    )


def begins_as_dicom(path: Path) -> bool:
    """Whether a file has DICOM's four letters after its preamble, or begins with a field.

    Exports may lack the suffix, and old ones the preamble.
    """
    with path.open("rb") as file:
        begin = file.read(PREAMBLE + 4)
    return begin[PREAMBLE:] == b"DICM" or bool(BARE.match(begin))


def read_header(file: Path) -> Dataset | None:
    """All that a file says of its slice; None for the index of a disc.

    Raises ValueError, naming the file and the cause, unless it holds one slice of grey values.
    """
    check_name(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that are not asked for
        try:
            header = dcmread(file, stop_before_pixels=True, force=True)
            cause = fault_of(header) or fault_of_length(file, header)
            for name in IDENTITY:  # pydicom reads a value when it is asked for
                header.get(name)
        except Exception as error:  # whatever its parser stumbles over
            raise ValueError(f"{file}: {DAMAGED} ({error})") from error
    if cause:
        raise ValueError(f"{file}: {cause}")
    return None if kind_of(header) == MediaStorageDirectoryStorage else header


def kind_of(header: Dataset) -> UID:
    """What a file holds, by its SOP class."""
    return UID(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID", ""))


def fault_of(header: Dataset) -> str | None:
    """Why a file is not one slice of grey values with its place; None where it is, or an index."""
    kind, colours = kind_of(header), header.get("PhotometricInterpretation")
    frames = int(header.get("NumberOfFrames") or 1)
    if kind == MediaStorageDirectoryStorage:
        return None
    if kind.name.endswith("Storage") and "Image" not in kind.name:
        return f"holds no image but {kind.name}; keep the files of the series alone"
    if missing := [name for name in NEEDED if header.get(name) is None]:
        return f"{DAMAGED} ({' and '.join(missing)} missing)"
    if frames > 1 or "SharedFunctionalGroupsSequence" in header:
        return (
            f"multi-frame DICOM ({kind.name}, {frames} slices in one file) is not read; convert it "
            "to NIfTI, with dcm2niix, say"
        )
    if made := PROJECTION.search(str(header.get("ImageType"))):
        return (
            f"a {made[0].lower()} by its ImageType, which is no slice of a stack; keep the files "
            "of the scan alone"
        )
    samples = int(header.get("SamplesPerPixel") or 1)
    if colours != "MONOCHROME2" or samples > 1:
        return (
            f"its PhotometricInterpretation is {colours}, of {samples} samples, allowed is "
            "MONOCHROME2 of one; convert it"
        )
    if "ModalityLUTSequence" in header:
        return "its values need a table (Modality LUT), which is not applied; convert it"
    if kind == CTImageStorage or header.get("Modality") == "CT":
        for name in OPTIONAL:
            if header.get(name) is None:
                return f"{name} is missing, so its values are not known in HU; repair it"
        if (unit := header.get("RescaleType") or "") not in HU:
            return f"RescaleType is {unit}, so its values are not in HU; give the series that is"
    if header.get("RescaleSlope") == 0:
        return "RescaleSlope is 0, so all its values are one"
    there = dict.fromkeys(filter(header.get, (*OPTIONAL, *THICKNESS, PADDING)), 1)
    for name, count in {"ImagePositionPatient": 3, **SHARED, **there}.items():
        values = np.ravel(header.get(name))
        if len(values) != count or not np.isfinite(np.array(values, float)).all():
            return f"{name} is {header.get(name)}, needed are {count} numbers; repair it"
    allocated, stored, high, sign = layout = [header.get(name) for name in LAYOUT]
    lowest = allocated in (8, 16, 32) and stored in range(1, allocated + 1) and high == stored - 1
    if not lowest or sign not in (0, 1):  # what GDCM does not read rightly
        told = ", ".join(f"{name} {value}" for name, value in zip(LAYOUT, layout, strict=True))
        return f"{told}: allowed are 8, 16 or 32 bits, of which the lowest are stored; repair it"
    lengths = np.linalg.norm(np.reshape(header.ImageOrientationPatient, (2, 3)), axis=1)
    if np.abs(lengths - 1).max() > UNIT:
        return f"ImageOrientationPatient is {header.ImageOrientationPatient}, no unit vectors"
    return None


def fault_of_length(file: Path, header: Dataset) -> str | None:
    """Why a file's voxels are not its rows and columns; GDCM reads on in memory where they end."""
    coding = header.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian
    if (
        coding not in UncompressedTransferSyntaxes
        or kind_of(header) == MediaStorageDirectoryStorage
    ):
        return None
    voxels = dcmread(file, force=True, specific_tags=["PixelData"], defer_size=1024)
    found = voxels.get_item("PixelData", keep_deferred=True) if "PixelData" in voxels else None
    if not isinstance(found, RawDataElement):
        return f"{DAMAGED} (PixelData missing)"
    there = found.length
    needed = header.Rows * header.Columns * header.BitsAllocated // 8
    if there in (needed, needed + needed % 2):  # an even number of bytes
        return None
    return (
        f"its voxels are {there} bytes, {header.Rows} x {header.Columns} of them need {needed}: "
        "damaged, fetch the series again"
    )


def check_shared(folder: Path, slices: list[Dataset]) -> None:
    """Raise ValueError, naming two files, where slices differ in what a stack's have in common."""
    first = slices[0]
    for other, name in product(slices, (*SHARED, *OPTIONAL, *IDENTITY)):
        one, two = first.get(name), other.get(name)
        exact = name in IDENTITY or None in (one, two)
        if one != two and (exact or not np.allclose(one, two, rtol=0, atol=SAME)):
            raise ValueError(
                f"{folder}: the slices differ in {name}: {one} in {first.filename}, {two} in "
                f"{other.filename}; keep those of one stack"
            )


def step_of(
    folder: Path, slices: list[Dataset], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The one step from each slice to the next, mm; slices in the order of their places.

    Raises ValueError, naming the files, where it is not one. A sideways part that rounding explains
    is left out; more is a tilt, which the gate refuses.
    """
    if len(slices) == 1:
        (first,) = slices
        said = [name for name in THICKNESS if first.get(name)]
        if not said:
            raise ValueError(f"{first.filename}: one slice alone, and no SliceThickness; repair it")
        return float(first[said[0]].value) * normal
    places = np.array([one.ImagePositionPatient for one in slices], float)
    steps = np.diff(places, axis=0)
    gaps = steps @ normal
    usual = float(np.median(gaps))
    unlike = steps - np.median(steps, axis=0)
    aside = np.linalg.norm(unlike - np.outer(unlike @ normal, normal), axis=1)
    worst = int(np.linalg.norm(unlike, axis=1).argmax())
    between = f"between {slices[worst].filename} and {slices[worst + 1].filename}"
    if gaps.min() <= EVEN * usual:
        raise ValueError(
            f"{folder}: several slices lie at one place ({between}): a file stored twice, or "
            "several times, phases or echoes in one series; keep one of each"
        )
    step = (places[-1] - places[0]) / len(gaps)
    off = np.linalg.norm(places - places[0] - np.outer(range(len(places)), step), axis=1)
    allowed = min(max(EVEN * usual, ROUNDING), MOST * usual)
    if off.max() > allowed:
        raise ValueError(
            f"{folder}: the slices are not evenly spaced: {usual:.2f} mm apart, but once "
            f"{gaps[worst]:.2f} mm and {aside[worst]:.2f} mm aside ({between}); one may be "
            "missing, or of another series"
        )
    sideways = step - (step @ normal) * normal
    return step - sideways if np.linalg.norm(sideways) * len(gaps) <= allowed else step


def read_voxels(folder: Path, slices: list[Dataset]) -> NDArray[np.generic]:
    """The slices' voxels (X, Y, Z), slope and intercept applied; GDCM knows every compression."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(one.filename) for one in slices])
    try:
        with quiet():
            return SimpleITK.GetArrayFromImage(reader.Execute()).transpose(2, 1, 0)
    except RuntimeError as error:
        broken = next((one.filename for one in slices if not is_readable(one.filename)), folder)
        coding = UID(slices[0].file_meta.get("TransferSyntaxUID", "")).name
        raise ValueError(
            f"{broken}: its voxels cannot be read ({said_by_itk(error)}); unless GDCM does not "
            f"know their coding ({coding}), damaged or cut off: fetch the series again"
        ) from error


def check_padding(folder: Path, first: Dataset, image: NDArray[np.generic]) -> None:
    """Raise ValueError where what pads the slices is brighter than all else; below, it is air.

    Such is padding meant to be negative whose field, or whose voxels, say that they have no sign.
    """
    stored = first.get(PADDING)
    if not isinstance(stored, int):
        return
    slope, intercept = (float(first.get(name, 1 - i)) for i, name in enumerate(OPTIONAL))
    value = stored * slope + intercept
    if value == image.max():
        raise ValueError(
            f"{folder}: {np.count_nonzero(image == value)} voxels are padding ({PADDING}) "
            f"of {value:g}, brighter than all others; set them to the scan's background"
        )


def is_readable(file: str) -> bool:
    """Whether GDCM finds voxels in a file."""
    try:
        with quiet():
            SimpleITK.ReadImage(file, imageIO="GDCMImageIO")
    except RuntimeError:
        return False
    return True
