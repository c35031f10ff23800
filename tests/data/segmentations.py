"""A DICOM segmentation object of a phantom's label, as the Imaging Data Commons has them."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.sr.codedict import codes


def write_segmentation(file: Path, series: Path, masks: NDArray[np.bool_]) -> None:
    """Write the masks of a CT's voxels; slices without one are left out, as is usual.

    series: the CT's folder. masks: (segments, Z, Y, X), slices from the feet up and rows as the
    CT's files store them.
    """
    slices = [pydicom.dcmread(one) for one in series.glob("*.dcm")]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    for one in slices:
        one.PatientName = f"{one.PatientName}^"  # highdicom asks for a name's second part
    described = [
        SegmentDescription(
            segment_number=number,
            segment_label="Pancreas",
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Pancreas,
            algorithm_type="MANUAL",
        )
        for number in range(1, len(masks) + 1)
    ]
    written = Segmentation(
        source_images=slices,
        pixel_array=np.moveaxis(masks, 0, -1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=300,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="phantom",
        manufacturer_model_name="phantom",
        software_versions="1",
        device_serial_number="1",
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    written.save_as(file)
