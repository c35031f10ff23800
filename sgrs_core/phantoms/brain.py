"""The brain of the BraTS2019 phantoms: which tissue lies where, and where a glioma may grow.

Body coordinates as in DICOM: x from the patient's right (-1) to the left, y from front (-1) to
back, z from the feet (-0.65) to the head; 120 mm a unit in a scan of full size.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgrs_core.phantoms.shapes import Field, Point, Points, level

SIDES = (-1, 1)  # right, left
VENTRICLE = ((0.07, -0.30, 0.05), (0.055, -0.05, 0.13), (0.10, 0.20, 0.10), (0.18, 0.36, 0.02))
DEEP_GREY = (  # places and radii, of the left side
    ((0.09, 0.06, 0.02), (0.075, 0.11, 0.065)),
    ((0.21, -0.06, 0.0), (0.05, 0.15, 0.085)),
    ((0.12, -0.20, 0.06), (0.035, 0.08, 0.06)),
)


class Tissue(IntEnum):
    """What a voxel holds; BACKGROUND is what skull-stripping took away."""

    BACKGROUND = 0
    FLUID = 1
    CORTEX = 2
    WHITE = 3
    DEEP_GREY = 4
    OLD_LESION = 5  # white-matter hyperintensity: as bright as oedema in FLAIR, and no tumour
    VESSEL = 6
    NECROSIS = 7
    OEDEMA = 8
    ENHANCING = 9


class Head(NamedTuple):
    """One patient, drawn by chance, so that painting draws nothing.

    ventricles: radius of the lateral ventricles. old_lesions: places and radii. tumour, core:
    places and radii; the core lies beside the middle of the whole.
    """

    ventricles: float
    old_lesions: Sequence[tuple[Point, Point]]
    tumour: tuple[Point, Point]
    core: tuple[Point, Point]


def draw_head(generator: np.random.Generator) -> Head:
    """A patient with a glioma in either hemisphere."""
    side = generator.choice(SIDES)
    middle = generator.uniform((0.18, -0.38, 0.0), (0.34, 0.34, 0.30)) * (side, 1, 1)
    aside = middle + generator.uniform(-0.06, 0.06, 3)
    lesions = zip(
        generator.uniform((-0.36, -0.45, 0.0), (0.36, 0.45, 0.36), (24, 3)),
        generator.uniform(0.03, 0.08, (24, 3)),
        strict=True,
    )
    return Head(
        generator.uniform(0.04, 0.07),
        list(lesions),
        (middle, generator.uniform(0.8, 1.25, 3)),
        (aside, generator.uniform(0.85, 1.2, 3)),
    )


def paint(points: Points, coarse: Field, fine: Field, head: Head) -> NDArray[np.uint8]:
    """The healthy tissue of one box of voxels; coarse, fine: random fields of the box."""
    x, _, z = points
    distance = cerebrum_level(points) - 0.05 * coarse
    depth = 1 - np.sqrt(np.maximum(distance, 0))  # 0 on the surface, 1 in the middle
    tissue = np.full(x.shape, Tissue.BACKGROUND, np.uint8)
    paint_hindbrain(tissue, points, fine)
    tissue[depth >= 0] = Tissue.WHITE
    fold = np.abs(fine)  # zero on winding sheets, which become the sulci
    tissue[(depth >= 0) & ((depth < 0.07) | ((fold < 0.5) & (depth < 0.24)))] = Tissue.CORTEX
    tissue[(depth >= 0) & (fold < 0.17) & (depth < 0.19)] = Tissue.FLUID
    between = (np.abs(x + 0.008 * coarse) < 0.014) & (depth >= 0) & (depth < 0.45)
    tissue[between & ((z > 0.12) | (points[1] < -0.4))] = Tissue.FLUID
    paint_middle(tissue, points, coarse, head)
    return tissue


def cerebrum_level(points: Points) -> Field:
    """Squared distance from the cerebrum's middle, flatter below, with temporal lobes."""
    y, z = points[1], points[2]
    height = np.where(z > 0.06, 0.52, 0.30)
    narrow = 1 + 0.12 * np.maximum(-y, 0)  # the forehead's side is the narrower one
    round_ = np.stack([points[0] * narrow, y, (z - 0.06) / height])
    nearest = level(round_, [(0, 0, 0)], (0.57, 0.73, 1))
    for side in SIDES:
        lobe = level(points, [(0.36 * side, -0.12, -0.20)], (0.19, 0.38, 0.20))
        np.minimum(nearest, lobe, out=nearest)
    return nearest


def paint_hindbrain(tissue: NDArray[np.uint8], points: Points, fine: Field) -> None:
    """Cerebellum with its folia, and brain stem."""
    for side in SIDES:
        half = level(points, [(0.19 * side, 0.38, -0.36)], (0.25, 0.27, 0.19))
        tissue[half <= 1] = Tissue.CORTEX
        tissue[(half <= 1) & (half > 0.3) & (np.abs(fine) < 0.15)] = Tissue.FLUID
        tissue[half <= 0.3] = Tissue.WHITE
    stem = [(0, 0.08, -0.15), (0, 0.22, -0.75)]
    tissue[level(points, stem, (0.105, 0.105)) <= 1] = Tissue.WHITE
    tissue[level(points, [(0, 0.24, -0.33)], (0.05, 0.04, 0.07)) <= 1] = Tissue.FLUID


def paint_middle(tissue: NDArray[np.uint8], points: Points, coarse: Field, head: Head) -> None:
    """Old lesions, basal ganglia, thalami and ventricles."""
    white = tissue == Tissue.WHITE
    for place, radii in head.old_lesions:
        tissue[white & (level(points, [place], radii) <= 1)] = Tissue.OLD_LESION
    for side in SIDES:
        path = [(x * side, y, z) for x, y, z in VENTRICLE]
        ventricle = level(points, path, [share * head.ventricles for share in (0.9, 0.8, 1.0, 0.7)])
        tissue[white & (ventricle <= 3) & (coarse > 0)] = Tissue.OLD_LESION
        for (x, y, z), radii in DEEP_GREY:
            tissue[level(points, [(x * side, y, z)], radii) <= 1] = Tissue.DEEP_GREY
        tissue[ventricle <= 1] = Tissue.FLUID
    tissue[level(points, [(0, 0.0, 0.0)], (0.018, 0.12, 0.06)) <= 1] = Tissue.FLUID


def tumour_levels(
    points: Points, tissue: NDArray[np.uint8], coarse: Field, fine: Field, head: Head
) -> tuple[Field, Field]:
    """How hard it is for the whole tumour and for its core to reach a voxel: 0 in the middle.

    Oedema spreads along the white matter and spares cortex; nothing crosses the midline easily.
    """
    middle, radii = head.tumour
    whole = np.sqrt(level(points, [middle], radii)) + 0.07 * coarse + 0.022 * fine
    whole[tissue == Tissue.CORTEX] += 0.05
    whole[tissue == Tissue.DEEP_GREY] += 0.08
    whole += np.maximum(0.05 - points[0] * np.sign(middle[0]), 0)
    center, extent = head.core
    core = np.sqrt(level(points, [center], extent)) + 0.04 * coarse - 0.02 * fine
    return whole, core
