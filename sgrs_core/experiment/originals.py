"""Where a scan's original files lie below a data set's folder; nothing is read here.

The workflow asks at every start, so nothing heavy is imported.
"""

from pathlib import Path
from typing import Literal

Format = Literal["la", "pancreas", "brats2019", "nifti"]
LabelOrigin = Literal["checked", "ignored"]
LabelPlacement = Literal["checked", "logged"]

LA_IMAGE, LA_LABEL = "lgemri.nrrd", "laendo.nrrd"
PANCREAS_LABELS = (
    "TCIA_pancreas_labels-02-05-2017"  # the folder that the label archive is named for
)
PANCREAS_PATIENT = "PANCREAS_"
BRATS_GRADES = ("HGG", "LGG")


def la_files(root: Path, scan: str) -> list[Path]:
    """Image and label of the 2018 Atrial Segmentation Challenge: one folder per scan."""
    return [root / scan / LA_IMAGE, root / scan / LA_LABEL]


def pancreas_files(root: Path, scan: str) -> list[Path]:
    """The folder of a patient's DICOM series, and the label; scan image0001 is PANCREAS_0001."""
    return [root / patient_of(scan), root / PANCREAS_LABELS / f"label{number_of(scan)}.nii.gz"]


def brats2019_files(root: Path, scan: str) -> list[Path]:
    """FLAIR and segmentation, in HGG or LGG: the one that has this scan, or HGG if neither."""
    grade = next((one for one in BRATS_GRADES if (root / one / scan).is_dir()), BRATS_GRADES[0])
    folder = root / grade / scan
    return [folder / f"{scan}_flair.nii.gz", folder / f"{scan}_seg.nii.gz"]


def patient_of(scan: str) -> str:
    """The patient's name at TCIA: PANCREAS_0001 for scan image0001."""
    return f"{PANCREAS_PATIENT}{number_of(scan)}"


def number_of(scan: str) -> str:
    """What the splits' image0001 has in common with PANCREAS_0001 and label0001."""
    return scan.removeprefix("image")


ORIGINAL_FILES = {"la": la_files, "pancreas": pancreas_files, "brats2019": brats2019_files}
