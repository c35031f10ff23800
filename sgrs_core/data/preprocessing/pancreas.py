"""Pancreas-CT as its archives distribute it: a DICOM series for each patient, and a label.

The label is TCIA's NIfTI file, or the DICOM segmentation object that the Imaging Data Commons made
of it. Series and NIfTI file store their axes in different order and sense. As in the published
preparation, prepared arrays run as the label's file does; the CT is brought there by geometry, not
by counting slices. A DICOM label is turned as the NIfTI files are.
"""

import logging
from pathlib import Path

import numpy as np

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.images import check_grids, in_orientation, oriented_as
from sgrs_core.data.formats.segmentations import read_segmentation, segmentation_file
from sgrs_core.data.preprocessing.common import prepare_pancreas
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.placement import check_placement
from sgrs_core.data.preprocessing.reading import foreground_of, provenance, to_volume, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.originals import LabelFiles, LabelOrigin, LabelPlacement, pancreas_files
from sgrs_core.experiment.settings import PANCREAS

ROUNDING = 0.01  # mm and cosines: of the two files' headers
HALF_A_VOXEL = 0.3  # mm: a shift by one voxel is more
NIFTI_ORDER = "LAI"  # how the collection's NIfTI labels run: left, front, feet

logger = logging.getLogger(__name__)


def prepare(
    root: Path,
    scan: str,
    label_files: LabelFiles = "nifti",
    label_origin: LabelOrigin = "checked",
    label_placement: LabelPlacement = "logged",
) -> Volume:
    """Resample to 1 mm, window, crop and z-score one scan; see `prepare_pancreas`.

    root: the folder with PANCREAS_0001, ... and the labels' folder. label_files: where the label
    comes from. label_origin: `ignored` puts the label on the CT's voxels whatever origin its file
    gives. label_placement: `checked` refuses what `check_placement` refuses, `logged` says so in
    the log and goes on. Raises FileNotFoundError and ValueError, naming the file or the scan, for
    missing or damaged files, a label of another grid, a flipped or shifted one, or an empty one.
    """
    folder, label_file = pancreas_files(root, scan, label_files)
    series = read_scan(folder)
    if label_files == "dicom_seg":
        label_file = segmentation_file(label_file)
        label = read_segmentation(label_file, in_orientation(series, NIFTI_ORDER))
        # The precision of NIfTI's headers, so that resampling rounds as it does by those.
        label = label._replace(spacing=tuple(np.array(label.spacing, np.float32).tolist()))
        compare_with_nifti(label, root, scan)
    else:
        label = read_label(label_file)
    image = oriented_as(series, label)
    if label_origin == "checked":
        check_origin(image, label, scan)
    label = label._replace(origin=image.origin)
    check_grids(image, label, scan, (folder.name, label_file.name), ROUNDING)
    mask = foreground_of(label.array, (1,), label_file, "the collection's")
    with with_name(scan):
        check_modality(image, "pancreas", PANCREAS.window)
        try:
            check_placement(image.array, mask, label.spacing)
        except ValueError as error:
            if label_placement == "checked":
                raise
            logger.warning("%s: %s", scan, error)
        # As published: the label's own spacing, which DICOM's rounded positions give less exactly.
        prepared = prepare_pancreas(image.array, mask, label.spacing)
    source = provenance(
        [label_file, folder],
        "Pancreas-CT: 1 mm by B-spline, window, crop in x and y, z-score of the crop",
        window_HU=PANCREAS.window,
        label_files=label_files,
        label_origin=label_origin,
        label_placement=label_placement,
    )
    return to_volume(prepared, image, source, PANCREAS.voxel)


def compare_with_nifti(label: PlacedImage, root: Path, scan: str) -> None:
    """Say in the log whether a DICOM label is that of the NIfTI file, where this is there too."""
    file = pancreas_files(root, scan)[-1]
    if not file.exists():
        return
    ours, theirs = label.array, oriented_as(read_label(file), label).array
    if ours.shape != theirs.shape:
        logger.warning("%s: the label in %s has another shape", scan, file)
        return
    different = np.count_nonzero((ours > 0) != (theirs > 0))
    level = logging.WARNING if different else logging.INFO
    logger.log(level, "%s: %d voxels differ from the label in %s", scan, different, file)


def check_origin(image: PlacedImage, label: PlacedImage, scan: str) -> None:
    """Raise ValueError, naming the scan, where the label lies beside its CT, both in one order."""
    shift = np.subtract(label.origin, image.origin)
    is_turned = not np.allclose(image.direction, label.direction, rtol=0, atol=ROUNDING)
    if is_turned or image.array.shape != label.array.shape:
        return  # which `check_grids` says
    if np.abs(shift).max() > HALF_A_VOXEL:
        raise ValueError(
            f"{scan}: by its header the label lies {np.round(shift, 1).tolist()} mm beside the CT. "
            "If its voxels are the CT's all the same, set label_origin: ignored for this data set; "
            "the label must still lie on a pancreas then"
        )
