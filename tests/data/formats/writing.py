"""Small scans in every format, by writers that are not the project's own."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = np.eye(3)
Change = Callable[[int, FileDataset], object]


def affine_of(spacing, origin, direction) -> np.ndarray:
    """4x4, from voxels to LPS in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(direction, (3, 3)) * np.asarray(spacing)
    matrix[:3, 3] = origin
    return matrix


def write_dicom(
    folder: Path, array: np.ndarray, affine: np.ndarray, change: Change = lambda index, slice_: None
) -> list[Path]:
    """A CT series of one file a slice, array (X, Y, Z) int16; `change` edits each before it goes.

    Slices are moved by the affine's third column, tilted or not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axes = (affine[:3, :2] / spacing[:2]).T.ravel()
    study, series, frame, files = generate_uid(), generate_uid(), generate_uid(), []
    for index in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one = FileDataset(str(folder), {}, file_meta=meta, preamble=bytes(128))
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid()
        one.Modality, one.SeriesInstanceUID, one.FrameOfReferenceUID = "CT", series, frame
        one.PatientName, one.PatientID, one.InstanceNumber = "Name", "1", index + 1
        one.StudyInstanceUID = study
        one.ImagePositionPatient = [f"{x:.9f}" for x in affine[:3] @ [0, 0, index, 1]]
        one.ImageOrientationPatient = [f"{x:.9f}" for x in axes]
        one.PixelSpacing = [f"{spacing[1]:.9f}", f"{spacing[0]:.9f}"]
        one.SliceThickness = f"{spacing[2]:.9f}"
        one.Columns, one.Rows = array.shape[:2]
        one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept = "1", "0"
        one.PixelData = np.ascontiguousarray(array[:, :, index].T.astype("<i2")).tobytes()
        change(index, one)
        meta.MediaStorageSOPClassUID = one.SOPClassUID
        meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        files.append(folder / f"{index:03d}.dcm")
        pydicom.dcmwrite(files[-1], one, enforce_file_format=True)
    return files


def write_nifti(
    file: Path, array: np.ndarray, affine: np.ndarray, qform: int = 1, sform: int = 1
) -> Path:
    """A NIfTI file by nibabel; affine: LPS in mm; qform, sform: their codes."""
    image = nibabel.Nifti1Image(array, None, dtype=array.dtype)
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    image.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    if qform:
        image.set_qform(to_ras, code=qform)
    image.set_sform(to_ras if sform else None, code=sform)
    image.header.set_xyzt_units("mm")
    image.to_filename(file)
    return file


def edit_nifti(file: Path, change: Callable[[nibabel.Nifti1Header], object]) -> Path:
    """Change fields of an uncompressed file's header; its voxels stay as they are."""
    content = file.read_bytes()
    header = nibabel.Nifti1Header(content[:348], check=False)
    change(header)
    file.write_bytes(header.binaryblock + content[348:])
    return file


def write_itk(file: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Any format that SimpleITK writes by the file's suffix."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    file.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(file))
    return file
