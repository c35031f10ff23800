"""A custom data set: an image file and, where it is needed, a label file for each scan.

Scans are turned to one orientation, so that a scan is prepared alike however it is stored.
"""

import logging
from pathlib import Path

import numpy as np

from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.images import check_grids, in_orientation, oriented_as
from sgrs_core.data.preprocessing.common import prepare_custom
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.reading import provenance, to_volume, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.settings import NiftiSettings

ORIENTATION = "LPS"

logger = logging.getLogger(__name__)


def prepare(root: Path, scan: str, settings: NiftiSettings, label_is_used: bool = True) -> Volume:
    """Read, turn, resample, window, crop and z-score one scan as its data set's file says.

    label_is_used: where it is not, the label's file may be missing or mark nothing; the scan has no
    label then. Raises FileNotFoundError and ValueError, naming the file or the scan, for a missing
    or damaged file, a label on another grid, one without foreground, or a constant image.
    """
    image_file, label_file = settings.files(root, scan)
    image = in_orientation(read_scan(image_file), ORIENTATION)
    mask, files = None, [image_file]
    if label_is_used or label_file.exists():
        files.append(label_file)
        label = oriented_as(read_label(label_file), image)
        check_grids(image, label, scan, (str(image_file), str(label_file)))
        marked = np.isin(label.array, settings.foreground)
        mask = marked if marked.any() else None
        if mask is None and label_is_used:
            raise ValueError(
                f"{label_file}: none of its values {np.unique(label.array)[:8].tolist()} is among "
                f"nifti.foreground = {list(settings.foreground)}; correct that setting, or leave "
                "out the scan"
            )
    if mask is None and label_file in files and settings.margin and settings.crop != "body":
        logger.warning(
            "%s: %s marks nothing, so the scan is cropped to the body, unlike those that are "
            "cropped to their labels; nifti.crop: body crops all alike", scan, label_file,
        )  # fmt: skip
    with with_name(image_file):
        check_modality(image, "nifti", settings.window)
        prepared = prepare_custom(image.array, mask, image.spacing, settings)
    source = provenance(
        files,
        "own scans: turned to LPS, resampling, window, crop in x and y, z-score of the crop",
        voxel=settings.voxel,
        window=settings.window,
        margin=settings.margin,
        foreground=" ".join(map(str, settings.foreground)),
        least_intensity=f"{image.array.min():.9g}",
        **({"crop": settings.crop} if settings.crop else {}),
    )
    return to_volume(prepared, image, source, settings.voxel)
