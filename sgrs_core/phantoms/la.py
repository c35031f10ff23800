"""Phantom scans in the layout of the 2018 Atrial Segmentation Challenge.

A left atrium (an ellipsoid body, four pulmonary veins, an appendage) lies beside other blood-filled
chambers of nearly its intensity, in a torso with a smooth coil bias, late enhancement in the wall,
and noise. Pose, size, shape, contrast and noise differ from scan to scan, so that a few labelled
scans do not show everything. Every number follows from the seed and the scan's name.
"""

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import write_image
from sgrs_core.data.masks import Mask
from sgrs_core.experiment.settings import Triple
from sgrs_core.phantoms import shapes
from sgrs_core.phantoms.shapes import Points, level, smooth_noise

SPACING = (0.625, 0.625, 0.625)  # mm, as the challenge's
CHAMBERS = (
    ([(0.05, -0.82, -0.1)], (0.5, 0.42, 0.6)),  # ventricle
    ([(0.80, -0.46, 0.05)], (0.3, 0.32, 0.42)),  # right atrium
    ([(-0.38, 0.68, -1.3), (-0.33, 0.64, 1.3)], (0.14, 0.14)),  # aorta
)


def write_phantom_la(root: Path, name: str, shape: Triple, seed: int) -> None:
    """Write root/name/lgemri.nrrd (uint8) and root/name/laendo.nrrd (0 or 255)."""
    image, label = phantom_la(name, shape, seed)
    write_image(root / name / "lgemri.nrrd", PlacedImage(image, SPACING))
    cavity = label.astype(np.uint8) * 255
    write_image(root / name / "laendo.nrrd", PlacedImage(cavity, SPACING))


def phantom_la(name: str, shape: Triple, seed: int) -> tuple[NDArray[np.uint8], Mask]:
    """One scan: image (X, Y, Z) uint8, left atrium (X, Y, Z) bool."""
    generator = shapes.seeded(seed, name)
    pose = shapes.draw_pose(generator, degrees=20, move=0.12, stretch=0.2, bend=0.06)
    points = shapes.coordinates(shapes.scan_axes(shape), pose)
    atrium = left_atrium(points, generator)
    return paint(points, atrium, generator), atrium


def left_atrium(points: Points, generator: np.random.Generator) -> Mask:
    """Body, four pulmonary veins of random direction and calibre, and an appendage."""
    atrium = level(points, [(0.0, 0.0, 0.0)], (0.48, 0.36, 0.46)) <= 1
    for side, height in product((-1, 1), repeat=2):
        start = (0.34 * side, 0.05, 0.22 * height)
        end = np.add((0.80 * side, 0.25, 0.38 * height), generator.uniform(-0.12, 0.12, 3))
        calibre = generator.uniform(0.08, 0.13)
        atrium |= level(points, [start, end], (calibre, calibre)) <= 1
    tip = np.add((-0.52, -0.44, 0.14), generator.uniform(-0.08, 0.08, 3))
    calibre = generator.uniform(0.10, 0.16)
    return atrium | (level(points, [(-0.30, -0.18, 0.1), tip], (calibre, calibre)) <= 1)


def paint(points: Points, atrium: Mask, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Intensities: torso, blood pools, enhanced wall, coil bias, blur and noise."""
    blood = generator.uniform(95, 150)
    image = generator.uniform(30, 60) + 12 * smooth_noise(atrium.shape, 6.0, generator)
    for chamber in CHAMBERS:
        image[level(points, *chamber) <= 1] = blood * generator.uniform(0.75, 1.05)
    image[atrium] = blood
    wall = (gaussian_filter(atrium.astype(float), 1.0) > 0.2) & ~atrium
    scar = wall & (smooth_noise(atrium.shape, 3.0, generator) > 0.4)
    image[wall] = 0.5 * image[wall]
    image[scar] = blood * generator.uniform(1.2, 1.5)
    bias = 1 + 0.12 * smooth_noise(atrium.shape, 20.0, generator)
    image = gaussian_filter(image * bias, generator.uniform(0.5, 0.9))
    image += generator.normal(0, generator.uniform(6, 15), image.shape)
    return np.clip(image.round(), 0, 255).astype(np.uint8)
