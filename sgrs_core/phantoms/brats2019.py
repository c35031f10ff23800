"""Phantom scans in the layout of BraTS2019: four modalities and a segmentation for each patient.

A skull-stripped brain with a glioma: necrosis within an enhancing rim within oedema, bright in
FLAIR, its border irregular and blurred. White-matter lesions are as bright, so that a threshold
does not find the tumour; a few voxels are far brighter than all others, so that clipping matters.
Every number follows from the seed and the scan's name.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import write_image
from sgrs_core.data.masks import Mask
from sgrs_core.experiment.settings import Triple
from sgrs_core.phantoms.brain import Tissue, draw_head, paint, tumour_levels
from sgrs_core.phantoms.shapes import Field, boxes, draw_pose, seeded, texture

ORIGIN = (0.0, -239.0, 0.0)  # mm, as BraTS's own files; voxels are 1 mm
HALF = (1.0, 1.0, 0.65)  # of the scan's sides, in body coordinates
SOFT = (0.010, 0.010, 0.015)  # blur of the tumour's border, as a share of the scan's sides
BRIGHT = 0.0006  # share of the brain's voxels

# Brightness by modality, in the order of Tissue; white matter in T1 is 1.
CONTRAST = {
    "flair": (0.0, 0.30, 0.95, 0.80, 0.92, 1.45, 3.50, 0.95, 1.50, 1.40),
    "t1": (0.0, 0.35, 0.75, 1.00, 0.85, 0.85, 1.00, 0.50, 0.72, 0.75),
    "t1ce": (0.0, 0.35, 0.75, 1.00, 0.85, 0.85, 2.60, 0.50, 0.72, 1.80),
    "t2": (0.0, 2.00, 1.05, 0.80, 0.90, 1.30, 3.00, 2.00, 1.60, 1.30),
}
CLASSES = {1: Tissue.NECROSIS, 2: Tissue.OEDEMA, 4: Tissue.ENHANCING}

Modalities = dict[str, NDArray[np.int16]]


class Anatomy(NamedTuple):
    """Tissue (X, Y, Z) without and with the tumour, and how much of the tumour a voxel shows."""

    healthy: NDArray[np.uint8]
    tissue: NDArray[np.uint8]
    share: NDArray[np.float32]


def write_phantom_brats2019(
    root: Path, name: str, shape: Triple, seed: int, grade: str = "HGG"
) -> None:
    """Write root/<grade>/<name>/<name>_{flair,t1,t1ce,t2,seg}.nii.gz; grade: HGG or LGG."""
    modalities, segmentation = phantom_brats2019(name, shape, seed)
    for part, array in (modalities | {"seg": segmentation.astype(np.int16)}).items():
        image = PlacedImage(array, origin=ORIGIN)
        write_image(root / grade / name / f"{name}_{part}.nii.gz", image)


def phantom_brats2019(name: str, shape: Triple, seed: int) -> tuple[Modalities, NDArray[np.uint8]]:
    """One scan: flair, t1, t1ce, t2 (X, Y, Z) int16, and classes (X, Y, Z) uint8: 0, 1, 2, 4.

    Voxels run to the patient's left, back and head. The brain fills the scan whatever its size.
    """
    generator = seeded(seed, name)
    anatomy = draw_anatomy(shape, generator)
    modalities = {
        modality: show(anatomy, np.asarray(contrast, np.float32), generator)
        for modality, contrast in CONTRAST.items()
    }
    segmentation = np.zeros(shape, np.uint8)
    for value, tissue in CLASSES.items():
        segmentation[anatomy.tissue == tissue] = value
    return modalities, segmentation


def draw_anatomy(shape: Triple, generator: np.random.Generator) -> Anatomy:
    """A brain, and a glioma that takes some 3 to 11 % of it."""
    pose = draw_pose(generator, degrees=6, move=0.04, stretch=0.06, bend=0.015)
    head = draw_head(generator)
    coarse = texture(shape, (9, 9, 6), generator)
    fine = texture(shape, (26, 26, 17), generator)
    healthy = np.empty(shape, np.uint8)
    whole, core = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for box, points, _ in boxes(shape, HALF, pose):
        fields = coarse[box], fine[box]
        healthy[box] = paint(points, *fields, head)
        whole[box], core[box] = tumour_levels(points, healthy[box], *fields, head)
    brain = healthy != Tissue.BACKGROUND
    healthy[least(-fine, brain, BRIGHT)] = Tissue.VESSEL
    tissue = healthy.copy()
    tumour = least(whole, brain & (healthy != Tissue.FLUID), generator.uniform(0.035, 0.11))
    rim = least(core, tumour, generator.uniform(0.25, 0.5))
    tissue[tumour] = Tissue.OEDEMA
    tissue[rim] = Tissue.ENHANCING
    tissue[least(core + 0.02 * fine, rim, generator.uniform(0.3, 0.55))] = Tissue.NECROSIS
    faded = tumour * (1 - 0.5 * whole / whole[tumour].max())  # oedema thins out
    share = gaussian_filter(faded.astype(np.float32), np.multiply(SOFT, shape))
    return Anatomy(healthy, tissue, share)


def least(level: Field, mask: Mask, share: float) -> Mask:
    """The share of the mask's voxels with the lowest levels."""
    values = level[mask]
    rank = min(int(share * values.size), values.size - 1)
    lowest: Mask = mask & (level <= np.partition(values, rank)[rank])
    return lowest


def show(
    anatomy: Anatomy, contrast: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.int16]:
    """One modality: tissue, oedema that fades into it, core, coil bias, blur and noise."""
    shape = anatomy.tissue.shape
    image = contrast[anatomy.healthy]
    image += anatomy.share * (contrast[Tissue.OEDEMA] - image)
    for tissue in (Tissue.NECROSIS, Tissue.ENHANCING):
        image[anatomy.tissue == tissue] = contrast[tissue]
    image = gaussian_filter(image, generator.uniform(0.4, 0.6))
    image *= 1 + 0.07 * texture(shape, (2, 2, 2), generator)
    noise = generator.standard_normal(shape, dtype=np.float32)
    image += generator.uniform(0.03, 0.06) * noise
    image *= generator.uniform(250, 900)  # scanners' units are arbitrary
    shown = np.clip(np.round(image), 1, np.iinfo(np.int16).max).astype(np.int16)
    shown[anatomy.healthy == Tissue.BACKGROUND] = 0
    return shown
