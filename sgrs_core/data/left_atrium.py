"""The 2018 Atrial Segmentation Challenge, from its raw layout to a prepared scan.

One folder per scan: `lgemri.nrrd` (late gadolinium-enhanced MRI, uint8) and `laendo.nrrd` (the
left atrium's cavity: 255, the rest: 0), both on one grid.
"""

from pathlib import Path

import numpy as np

from sgrs_core.data.nifti import PlacedImage, placed, read_picture, voxel_position
from sgrs_core.data.preprocessing import Margins, la_margins, prepare_la
from sgrs_core.data.volumes import Volume
from sgrs_core.files import sha256_of

IMAGE_FILE = "lgemri.nrrd"
LABEL_FILE = "laendo.nrrd"
FOREGROUND = 255
TOLERANCE = 1e-3  # mm and cosines: far below a voxel, above the rounding of a text header


def prepare_raw_la(folder: Path, case: str) -> Volume:
    """Read, crop and z-score one scan; the margins follow from the case's name.

    Raises FileNotFoundError and ValueError as `read_raw_la`, and ValueError, naming the folder,
    for an empty label or a constant image.
    """
    raw = read_raw_la(folder)
    margins = la_margins(case)
    try:
        image, label, start = prepare_la(raw.image, raw.label, margins)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error
    return Volume(
        image=image,
        label=label,
        spacing=raw.spacing,
        origin=voxel_position(start, raw.spacing, raw.origin, raw.direction),
        direction=raw.direction,
        provenance=provenance(folder, margins),
    )


def read_raw_la(folder: Path) -> Volume:
    """One scan as the challenge distributes it: image 0 to 255 (not z-scored), label 0 or 1.

    Raises FileNotFoundError, naming scan and file, if one is missing; ValueError, naming the
    file, for an unreadable one or label values other than 0 and 255; ValueError, naming the
    scan, if image and label do not lie on one grid.
    """
    image, label = read_part(folder, IMAGE_FILE), read_part(folder, LABEL_FILE)
    check_grids(image, label, folder)
    values = np.unique(label.array)
    if not np.isin(values, (0, FOREGROUND)).all():
        raise ValueError(
            f"{folder / LABEL_FILE}: label values {values[:6].tolist()}, allowed are 0 and "
            f"{FOREGROUND}; is it the challenge's file?"
        )
    return Volume(
        image=image.array.astype(np.float32),
        label=(label.array == FOREGROUND).astype(np.uint8),
        spacing=image.spacing,
        origin=image.origin,
        direction=image.direction,
    )


def read_part(folder: Path, name: str) -> PlacedImage:
    """One of a scan's two files."""
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(
            f"scan {folder.name}: {path} not found; each scan's folder must hold {IMAGE_FILE} and "
            f"{LABEL_FILE}"
        )
    return placed(read_picture(path, "NrrdImageIO"))


def check_grids(image: PlacedImage, label: PlacedImage, folder: Path) -> None:
    """Raise ValueError, naming the scan, unless image and label lie on one grid."""
    pairs = {
        "shape": (image.array.shape, label.array.shape),
        "spacing": (image.spacing, label.spacing),
        "origin": (image.origin, label.origin),
        "direction": (image.direction, label.direction),
    }
    for name, (of_image, of_label) in pairs.items():
        if not np.allclose(of_image, of_label, rtol=0, atol=TOLERANCE):
            raise ValueError(
                f"{folder}: {name} of {IMAGE_FILE} is {of_image}, of {LABEL_FILE} {of_label}; "
                "do both belong to this scan?"
            )


def provenance(folder: Path, margins: Margins) -> dict[str, str]:
    """Where a prepared scan comes from: digests of its sources and what was done to them."""
    digests = {f"sha256 {name}": sha256_of(folder / name) for name in (IMAGE_FILE, LABEL_FILE)}
    return {
        **digests,
        "preprocessing": "left atrium: z-score of the whole scan, crop in x and y",
        "margins": " ".join(map(str, margins)),
    }
