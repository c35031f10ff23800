"""Phantom scans in the layout of Pancreas-CT: a DICOM series and a NIfTI label for each patient.

They keep the quirks of the real files (see `Storage`), so that reading them by anything but their
geometry puts the label into the wrong tissue. Every number follows from the seed and the name.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sgrs_core.data.masks import Mask
from sgrs_core.experiment.originals import PANCREAS_LABELS, number_of, patient_of
from sgrs_core.experiment.settings import Triple
from sgrs_core.files import atomic
from sgrs_core.phantoms.abdomen import draw_abdomen, paint
from sgrs_core.phantoms.dicom import Series, write_series
from sgrs_core.phantoms.shapes import (
    blocks,
    coordinates,
    draw_pose,
    scan_axes,
    seeded,
    texture,
)

HALF = (0.95, 0.95, 0.57)  # of the scan's sides, in body coordinates
SINK = 0.05  # how far behind the scan's middle the body lies, as on a table set low
HU_RANGE = (-1024, 3071)  # what a scanner stores in 12 bits
RESCALES = ((1, -1024), (1, -1024), (1, 0), (2, -1024))  # slope, intercept

Spacing = tuple[float, float, float]


class Storage(NamedTuple):
    """How one patient's files hold the scan.

    slope, intercept: HU = slope * stored + intercept. against: slices are numbered from the head
    down, and their files' names follow no order. flipped: the label's array runs from back to
    front and from head to feet, as its header says. origin: mm, of the scan's first voxel.
    """

    slope: int
    intercept: int
    against: bool
    flipped: bool
    origin: Spacing


def write_phantom_pancreas(
    root: Path, name: str, shape: Triple, spacing: Spacing, seed: int
) -> None:
    """Write root/PANCREAS_<number>/*.dcm and the label's .nii.gz in root/TCIA_pancreas_labels...

    <number> is the name without a leading "image". The folder and the label's file appear whole or
    not at all. spacing: mm along x, y, z.
    """
    hu, label = phantom_pancreas(name, shape, spacing, seed)
    storage = draw_storage(name, seed)
    series = Series(
        patient=patient_of(name),
        key=f"{seed} {name}",
        spacing=spacing,
        origin=storage.origin,
        slope=storage.slope,
        intercept=storage.intercept,
        against=storage.against,
    )
    write_series(root / series.patient, hu, series)
    with atomic(root / PANCREAS_LABELS / f"label{number_of(name)}.nii.gz") as temporary:
        picture = label_picture(label, spacing, storage)
        SimpleITK.WriteImage(picture, str(temporary), imageIO="NiftiImageIO")


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
    axes = [axis.astype(np.float32) for axis in scan_axes(shape, HALF)]
    axes[1] -= SINK
    image = np.empty(shape, np.float32)
    label = np.empty(shape, bool)
    for block in blocks(shape):
        sides = [axis[side] for axis, side in zip(axes, block, strict=True)]
        points = coordinates(sides, pose)
        scan_y = np.broadcast_to(sides[1][:, None], points.shape[1:])
        image[block], label[block] = paint(points, scan_y, coarse[block], fine[block], abdomen)
    noise = generator.standard_normal(shape, dtype=np.float32)
    noise *= generator.uniform(20, 45)  # HU; the blur leaves about a third of it
    blur = generator.uniform(0.45, 0.65) * spacing[0] / np.asarray(spacing)
    return stored_hu(gaussian_filter(image + noise, blur), draw_storage(name, seed)), label


def stored_hu(image: NDArray[np.float32], storage: Storage) -> NDArray[np.int16]:
    """The nearest HU that the series can hold."""
    lowest, highest = HU_RANGE
    stored = np.round((np.clip(image, lowest, highest) - storage.intercept) / storage.slope)
    return (stored * storage.slope + storage.intercept).astype(np.int16)


def draw_storage(name: str, seed: int) -> Storage:
    """How the files of one patient are stored; the scan's own draws stay as they are."""
    generator = seeded(seed, f"{name} storage")
    slope, intercept = RESCALES[generator.integers(len(RESCALES))]
    against, flipped = (generator.random(2) < 0.5).tolist()
    x, y, z = generator.uniform((-220, -220, -500), (-150, -150, 0)).round(1).tolist()
    return Storage(slope, intercept, against, flipped, (x, y, z))


def label_picture(label: Mask, spacing: Spacing, storage: Storage) -> SimpleITK.Image:
    """The label with its geometry, stored flipped along y and z or not."""
    origin = np.asarray(storage.origin)
    direction = np.ones(3)
    if storage.flipped:
        last = np.asarray(spacing) * (np.asarray(label.shape) - 1)
        origin = origin + last * (0, 1, 1)
        direction[1:] = -1
        label = label[:, ::-1, ::-1]
    picture = SimpleITK.GetImageFromArray(label.astype(np.uint8).transpose(2, 1, 0))
    picture.SetSpacing(spacing)
    picture.SetOrigin(origin.tolist())
    picture.SetDirection(np.diag(direction).ravel().tolist())
    return picture
