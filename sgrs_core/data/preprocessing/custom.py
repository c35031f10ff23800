"""A custom data set: an image file and a label file for each scan, in any folders.

Scans are turned to one orientation, so that a scan is prepared alike however it is stored.
"""

from pathlib import Path

import numpy as np

from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.images import (
    check_grids,
    in_orientation,
    modality_of,
    oriented_as,
    to_array,
)
from sgrs_core.data.preprocessing.common import prepare_custom
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.reading import provenance, to_volume, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.settings import NiftiSettings

ORIENTATION = "LPS"


def prepare(root: Path, scan: str, settings: NiftiSettings) -> Volume:
    """Read, turn, resample, window, crop and z-score one scan as its data set's file says.

    Raises FileNotFoundError and ValueError, naming the file or the scan, for a missing or damaged
    file, a label on another grid, a label without foreground, or a constant image.
    """
    files = settings.files(root, scan)
    scanned = read_scan(files[0])
    stored = in_orientation(scanned, ORIENTATION)
    image, label = to_array(stored), to_array(oriented_as(read_label(files[1]), stored))
    check_grids(image, label, scan, (str(files[0]), str(files[1])))
    mask = np.isin(label.array, settings.foreground)
    if not mask.any():
        raise ValueError(
            f"{files[1]}: none of its values {np.unique(label.array)[:8].tolist()} is among "
            f"foreground = {list(settings.foreground)}; correct that setting, or leave the scan out"
        )
    with with_name(scan):
        check_modality(image.array, "nifti", settings.window, modality_of(scanned))
        prepared = prepare_custom(image.array, mask, image.spacing, settings)
    source = provenance(
        files,
        "own scans: turned to LPS, resampling, window, crop in x and y, z-score of the crop",
        voxel=settings.voxel,
        window=settings.window,
        margin=settings.margin,
        foreground=" ".join(map(str, settings.foreground)),
        least_intensity=f"{image.array.min():.9g}",
    )
    return to_volume(prepared, image, source, settings.voxel)
