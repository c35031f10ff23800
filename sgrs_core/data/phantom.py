"""Phantom scans in the layout of the 2018 Atrial Segmentation Challenge.

A left atrium (an ellipsoid body, four pulmonary veins, an appendage) lies beside other blood-filled
chambers of nearly its intensity, in a torso with a smooth coil bias, late enhancement in the wall,
and noise. Pose, size, shape, contrast and noise differ from scan to scan, so that a few labelled
scans do not show everything. Every number follows from the seed and the scan's name.
"""

import hashlib
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from sgrs_core.files import atomic
from sgrs_core.settings import Triple

SPACING = (0.625, 0.625, 0.625)  # mm, as the challenge's
Points = NDArray[np.float64]
Mask = NDArray[np.bool_]


def write_phantom_la(folder: Path, name: str, shape: Triple, seed: int) -> None:
    """Write folder/lgemri.nrrd (uint8) and folder/laendo.nrrd (0 or 255)."""
    image, label = phantom_la(name, shape, seed)
    arrays = {"lgemri.nrrd": image, "laendo.nrrd": label.astype(np.uint8) * 255}
    for file_name, array in arrays.items():
        picture = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
        picture.SetSpacing(SPACING)
        with atomic(folder / file_name) as temporary:
            SimpleITK.WriteImage(picture, str(temporary), useCompression=True)


def phantom_la(name: str, shape: Triple, seed: int) -> tuple[NDArray[np.uint8], Mask]:
    """One scan: image (X, Y, Z) uint8, left atrium (X, Y, Z) bool."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    generator = np.random.default_rng(np.frombuffer(digest, np.uint64))
    points = heart_coordinates(shape, generator)
    atrium = left_atrium(points, generator)
    return paint(points, atrium, generator), atrium


def heart_coordinates(shape: Triple, generator: np.random.Generator) -> Points:
    """Each voxel's place in the heart's own frame, (X, Y, Z, 3), about -1 to 1 over the scan.

    The heart is turned by up to some 20 degrees, moved, stretched, and bent.
    """
    axes = [np.linspace(-1, 1, side) for side in shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    turn = Rotation.from_euler("zyx", generator.uniform(-20, 20, 3), degrees=True)
    points = turn.apply((points - generator.uniform(-0.12, 0.12, 3)).reshape(-1, 3))
    points = points.reshape(*shape, 3) / generator.uniform(0.8, 1.2, 3)
    phase = generator.uniform(0, 2 * np.pi, 3)
    return points + 0.06 * np.sin(np.pi * np.roll(points, 1, axis=-1) + phase)


def left_atrium(points: Points, generator: np.random.Generator) -> Mask:
    """Body, four pulmonary veins of random direction and calibre, and an appendage."""
    body = ellipsoid(points, (0.0, 0.0, 0.0), (0.48, 0.36, 0.46))
    for side in (-1, 1):
        for level in (-1, 1):
            wobble = generator.uniform(-0.12, 0.12, 3)
            start = np.array([0.34 * side, 0.05, 0.22 * level])
            end = np.array([0.80 * side, 0.25, 0.38 * level]) + wobble
            body |= tube(points, start, end, generator.uniform(0.08, 0.13))
    tip = np.array([-0.52, -0.44, 0.14]) + generator.uniform(-0.08, 0.08, 3)
    return body | tube(points, np.array([-0.30, -0.18, 0.1]), tip, generator.uniform(0.10, 0.16))


def paint(points: Points, atrium: Mask, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Intensities: torso, blood pools, enhanced wall, coil bias, blur and noise."""
    blood = generator.uniform(95, 150)
    image = generator.uniform(30, 60) + 12 * smooth_noise(atrium.shape, 6.0, generator)
    ventricle = ellipsoid(points, (0.05, -0.82, -0.1), (0.5, 0.42, 0.6))
    right_atrium = ellipsoid(points, (0.80, -0.46, 0.05), (0.3, 0.32, 0.42))
    aorta = tube(points, np.array([-0.38, 0.68, -1.3]), np.array([-0.33, 0.64, 1.3]), 0.14)
    for chamber in (ventricle, right_atrium, aorta):
        image[chamber] = blood * generator.uniform(0.75, 1.05)
    image[atrium] = blood
    wall = (gaussian_filter(atrium.astype(float), 1.0) > 0.2) & ~atrium
    scar = wall & (smooth_noise(atrium.shape, 3.0, generator) > 0.4)
    image[wall] = 0.5 * image[wall]
    image[scar] = blood * generator.uniform(1.2, 1.5)
    bias = 1 + 0.12 * smooth_noise(atrium.shape, 20.0, generator)
    image = gaussian_filter(image * bias, generator.uniform(0.5, 0.9))
    image += generator.normal(0, generator.uniform(6, 15), image.shape)
    return np.clip(image.round(), 0, 255).astype(np.uint8)


def ellipsoid(
    points: Points, center: tuple[float, float, float], radii: tuple[float, float, float]
) -> Mask:
    """Voxels inside an axis-aligned ellipsoid."""
    inside: Mask = np.sum(((points - center) / radii) ** 2, axis=-1) <= 1
    return inside


def tube(points: Points, start: Points, end: Points, radius: float) -> Mask:
    """Voxels closer than `radius` to the segment from start to end."""
    direction = end - start
    along = np.clip((points - start) @ direction / (direction @ direction), 0, 1)
    nearest = start + along[..., None] * direction
    near: Mask = np.sum((points - nearest) ** 2, axis=-1) <= radius**2
    return near


def smooth_noise(
    shape: tuple[int, ...], scale: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian random field of mean 0 and variance 1, correlated over `scale` voxels."""
    noise = gaussian_filter(generator.normal(size=shape), scale, mode="wrap")
    field: NDArray[np.float64] = (noise - noise.mean()) / noise.std()
    return field
