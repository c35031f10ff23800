"""Phantom scans in the layout of Pancreas-CT: a DICOM series and a NIfTI label for each patient.

They keep the quirks of the real files (see `draw_series`), so that reading them by anything but
their geometry puts the label into the wrong tissue. Every number follows from seed and name.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import write_image
from sgrs_core.data.formats.images import in_orientation
from sgrs_core.data.masks import Mask
from sgrs_core.experiment.originals import PANCREAS_LABELS, number_of, patient_of
from sgrs_core.experiment.settings import Triple
from sgrs_core.phantoms.abdomen import draw_abdomen, paint
from sgrs_core.phantoms.dicom import Series, write_series
from sgrs_core.phantoms.shapes import boxes, draw_pose, seeded, texture

HALF = (0.95, 0.95, 0.57)  # of the scan's sides, in body coordinates
SINK = 0.05  # how far behind the scan's middle the body lies, as on a table set low
HU_RANGE = (-1024, 3071)  # what a scanner stores in 12 bits
RESCALES = ((1, -1024), (1, -1024), (1, 0), (2, -1024))  # slope, intercept

Spacing = tuple[float, float, float]


def write_phantom_pancreas(
    root: Path, name: str, shape: Triple, spacing: Spacing, seed: int
) -> None:
    """Write root/PANCREAS_<number>/*.dcm and the label's .nii.gz in root/TCIA_pancreas_labels...

    <number> is the name without a leading "image". The folder and the label's file appear whole or
    not at all. spacing: mm along x, y, z.
    """
    hu, label = phantom_pancreas(name, shape, spacing, seed)
    series, flipped = draw_series(name, spacing, seed)
    write_series(root / series.patient, hu, series)
    stored = PlacedImage(label.astype(np.uint8), spacing, series.origin)
    stored = in_orientation(stored, "LAI") if flipped else stored
    write_image(root / PANCREAS_LABELS / f"label{number_of(name)}.nii.gz", stored)


def phantom_pancreas(
    name: str, shape: Triple, spacing: Spacing, seed: int
) -> tuple[NDArray[np.int16], Mask]:
    """One scan: HU (X, Y, Z) int16 and pancreas (X, Y, Z) bool; voxels run to left, back, head.

    The abdomen fills the scan whatever its size. spacing: mm along x, y, z; the scanner blurs less,
    in voxels, along the axes with wider ones.
    """
    generator = seeded(seed, name)
    pose = draw_pose(generator, degrees=5, move=0.03, stretch=0.05, bend=0.015)
    abdomen = draw_abdomen(generator)
    coarse = texture(shape, (14, 14, 8), generator)
    fine = texture(shape, (40, 40, 24), generator)
    image, label = np.empty(shape, np.float32), np.empty(shape, bool)
    for box, points, scan_y in boxes(shape, HALF, pose, SINK):
        image[box], label[box] = paint(points, scan_y, coarse[box], fine[box], abdomen)
    noise = generator.standard_normal(shape, dtype=np.float32)
    noise *= generator.uniform(20, 45)  # HU; the blur leaves about a third of it
    blur = generator.uniform(0.45, 0.65) * spacing[0] / np.asarray(spacing)
    series, _ = draw_series(name, spacing, seed)
    return stored_hu(gaussian_filter(image + noise, blur), series), label


def stored_hu(image: NDArray[np.float32], series: Series) -> NDArray[np.int16]:
    """The nearest HU that the series can hold."""
    stored = np.round((np.clip(image, *HU_RANGE) - series.intercept) / series.slope)
    return (stored * series.slope + series.intercept).astype(np.int16)


def draw_series(name: str, spacing: Spacing, seed: int) -> tuple[Series, bool]:
    """How one patient's files hold the scan; the scan's own draws stay as they are.

    Also whether the label is flipped: then its array runs from back to front and from head to feet,
    as its header says.
    """
    generator = seeded(seed, f"{name} storage")
    slope, intercept = RESCALES[generator.integers(len(RESCALES))]
    against, flipped = (generator.random(2) < 0.5).tolist()
    x, y, z = generator.uniform((-220, -220, -500), (-150, -150, 0)).round(1).tolist()
    key = f"{seed} {name}"
    series = Series(patient_of(name), key, spacing, (x, y, z), slope, intercept, against)
    return series, flipped
