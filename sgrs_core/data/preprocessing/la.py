"""The 2018 Atrial Segmentation Challenge as its organisers distribute it.

One folder per scan: `lgemri.nrrd` (late gadolinium-enhanced MRI, uint8) and `laendo.nrrd` (the
left atrium's cavity: 255, the rest: 0), both on one grid.
"""

from pathlib import Path

import numpy as np

from sgrs_core.data.formats.images import (
    PlacedImage,
    check_grids,
    placed,
    read_picture,
    voxel_position,
)
from sgrs_core.data.preprocessing.common import la_margins, prepare_la
from sgrs_core.data.preprocessing.provenance import provenance, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.originals import la_files

FOREGROUND = 255


def prepare(root: Path, scan: str) -> Volume:
    """Crop and z-score one scan; the margins follow from its name; see `prepare_la`.

    root: the folder of the scans' folders. Raises FileNotFoundError and ValueError, naming the
    file or the scan, for a missing or damaged file, two grids, label values other than 0 and 255,
    an empty label, or a constant image.
    """
    files = la_files(root, scan)
    image, label = (read_part(file, scan) for file in files)
    check_grids(image, label, str(root / scan), (files[0].name, files[1].name))
    values = np.unique(label.array)
    if not np.isin(values, (0, FOREGROUND)).all():
        raise ValueError(
            f"{files[1]}: label values {values[:6].tolist()}, allowed are 0 and {FOREGROUND}; "
            "is it the challenge's file?"
        )
    margins = la_margins(scan)
    with with_name(root / scan):
        prepared = prepare_la(image.array, label.array == FOREGROUND, margins)
    return Volume(
        image=prepared.image,
        label=prepared.label,
        spacing=image.spacing,
        origin=voxel_position(prepared.start, *image[1:]),
        direction=image.direction,
        provenance=provenance(
            files,
            "LA: z-score of the whole scan, crop in x and y",
            margins=" ".join(map(str, margins)),
        ),
    )


def read_part(file: Path, scan: str) -> PlacedImage:
    """One of a scan's two files."""
    if not file.is_file():
        raise FileNotFoundError(
            f"scan {scan}: {file} not found; each scan's folder must hold the challenge's two files"
        )
    return placed(read_picture(file, "NrrdImageIO"))
