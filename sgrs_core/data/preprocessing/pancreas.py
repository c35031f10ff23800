"""Pancreas-CT as TCIA distributes it: a DICOM series for each patient, labels as NIfTI files.

The two store their axes in different order and sense. As in the published preparation, prepared
arrays run as the label's file does; the CT is brought there by geometry, not by counting slices.
"""

import logging
from pathlib import Path

import numpy as np

from sgrs_core.data.formats.dicom import read_series
from sgrs_core.data.formats.image_files import read_nifti
from sgrs_core.data.formats.images import PlacedImage, check_grids, oriented_as, to_array
from sgrs_core.data.preprocessing.common import PANCREAS, prepare_pancreas
from sgrs_core.data.preprocessing.placement import check_placement
from sgrs_core.data.preprocessing.reading import (
    binary_mask,
    digest_of_all,
    provenance,
    to_volume,
    with_name,
)
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.originals import LabelOrigin, LabelPlacement, pancreas_files

ROUNDING = 0.01  # mm and cosines: of the two files' headers
HALF_A_VOXEL = 0.3  # mm: a shift by one voxel is more

logger = logging.getLogger(__name__)


def prepare(
    root: Path,
    scan: str,
    label_origin: LabelOrigin = "checked",
    label_placement: LabelPlacement = "logged",
) -> Volume:
    """Resample to 1 mm, window, crop and z-score one scan; see `prepare_pancreas`.

    root: the folder with PANCREAS_0001, ... and the labels' folder. label_origin: `ignored` puts
    the label on the CT's voxels whatever origin its file gives. label_placement: `checked` refuses
    what `check_placement` refuses, `logged` says so in the log and goes on.
    Raises FileNotFoundError and ValueError, naming the file or the scan, for missing or damaged
    files, a label of another grid, a flipped or shifted one, or an empty one.
    """
    folder, label_file = pancreas_files(root, scan)
    series, slices = read_series(folder)
    stored = read_nifti(label_file)
    image, label = to_array(oriented_as(series, stored)), to_array(stored)
    if label_origin == "checked":
        check_origin(image, label, scan)
    label = label._replace(origin=image.origin)
    check_grids(image, label, scan, (folder.name, label_file.name), ROUNDING)
    mask = binary_mask(label.array, 1, label_file, "collection")
    with with_name(scan):
        try:
            check_placement(image.array, mask, label.spacing)
        except ValueError as error:
            if label_placement == "checked":
                raise
            logger.warning("%s: %s", scan, error)
        # As published: the label's own spacing, which DICOM's rounded positions give less exactly.
        prepared = prepare_pancreas(image.array, mask, label.spacing)
    source = provenance(
        [label_file],
        "Pancreas-CT: 1 mm by B-spline, window, crop in x and y, z-score of the crop",
        window_HU=PANCREAS.window,
        label_origin=label_origin,
        label_placement=label_placement,
    )
    source[f"sha256 {folder.name}"] = digest_of_all(slices)
    return to_volume(prepared, image, source, PANCREAS.voxel)


def check_origin(image: PlacedImage, label: PlacedImage, scan: str) -> None:
    """Raise ValueError, naming the scan, where the label lies beside its CT, both in one order."""
    shift = np.subtract(label.origin, image.origin)
    if np.abs(shift).max() > HALF_A_VOXEL and image.array.shape == label.array.shape:
        raise ValueError(
            f"{scan}: by its header the label lies {np.round(shift, 1).tolist()} mm beside the CT. "
            "If its voxels are the CT's all the same, set label_origin: ignored for this data set; "
            "the label must still lie on a pancreas then"
        )
