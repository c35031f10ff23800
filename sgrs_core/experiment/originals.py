"""Where a scan's original files lie below a data set's folder; nothing is read here.

The workflow asks at every start, so nothing heavy is imported.
"""

from pathlib import Path
from typing import Literal

Format = Literal["la", "pancreas", "brats2019", "nifti"]
LabelOrigin = Literal["checked", "ignored"]
LabelPlacement = Literal["checked", "logged"]
LabelFiles = Literal["nifti", "dicom_seg"]

LA_IMAGE, LA_LABEL = "lgemri.nrrd", "laendo.nrrd"
PANCREAS_LABELS = (
    "TCIA_pancreas_labels-02-05-2017"  # the folder that the label archive is named for
)
PANCREAS_SEGMENTATIONS = "Pancreas-CT-SEG"  # the collection of the same labels as DICOM objects
PANCREAS_PATIENT = "PANCREAS_"
BRATS_GRADES = ("HGG", "LGG")
# The folder in the organisers' archive. Copies have it twice, one in the other.
BRATS_ARCHIVE = "MICCAI_BraTS_2019_Data_Training"


def la_files(root: Path, scan: str) -> list[Path]:
    """Image and label of the 2018 Atrial Segmentation Challenge: one folder per scan."""
    return [root / scan / LA_IMAGE, root / scan / LA_LABEL]


def pancreas_files(root: Path, scan: str, label_files: LabelFiles = "nifti") -> list[Path]:
    """The folder of a patient's DICOM series, and the label; scan image0001 is PANCREAS_0001.

    label_files: the label is a NIfTI file, or a folder with one DICOM segmentation object.
    """
    labels = {
        "nifti": root / PANCREAS_LABELS / f"label{number_of(scan)}.nii.gz",
        "dicom_seg": root / PANCREAS_SEGMENTATIONS / patient_of(scan),
    }
    return [root / patient_of(scan), labels[label_files]]


def brats2019_files(root: Path, scan: str) -> list[Path]:
    """FLAIR and segmentation, .nii.gz or .nii, in HGG or LGG.

    Those lie in `root`, or in one or two folders of the archive's name below. Where none has the
    scan: where the archive unpacked in place has it.
    """
    roots = (root, root / BRATS_ARCHIVE, root / BRATS_ARCHIVE / BRATS_ARCHIVE)
    places = [one / grade / scan for one in roots for grade in BRATS_GRADES]
    folder = next((one for one in places if one.is_dir()), places[0])
    return [_nifti(folder / f"{scan}_{part}") for part in ("flair", "seg")]


def _nifti(stem: Path) -> Path:
    """The file that is there; .nii of both, where ITK's reader looks first whatever it is told."""
    plain = stem.with_name(f"{stem.name}.nii")
    return plain if plain.is_file() else stem.with_name(f"{stem.name}.nii.gz")


def patient_of(scan: str) -> str:
    """The patient's name at TCIA: PANCREAS_0001 for scan image0001."""
    return f"{PANCREAS_PATIENT}{number_of(scan)}"


def number_of(scan: str) -> str:
    """What the splits' image0001 has in common with PANCREAS_0001 and label0001."""
    return scan.removeprefix("image")


ORIGINAL_FILES = {"la": la_files, "pancreas": pancreas_files, "brats2019": brats2019_files}
