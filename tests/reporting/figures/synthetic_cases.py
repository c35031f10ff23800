"""Masks and cases for the tests of figures."""

import numpy as np

from sgrs_core.data.masks import Mask
from sgrs_core.reporting.figures.cases import Case

SHAPE = (20, 24, 16)


def ball(radius: float, shape: tuple[int, ...] = SHAPE) -> Mask:
    """Voxels within `radius` of the middle."""
    places = np.indices(shape).T - (np.array(shape) - 1) / 2
    distances = np.linalg.norm(places, axis=-1).T
    inside: Mask = distances <= radius
    return inside


def box(*sides: slice) -> Mask:
    mask = np.zeros(SHAPE, bool)
    mask[sides] = True
    return mask


def case_with(*predictions: Mask, label: Mask | None = None) -> Case:
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    named = {f"method {number}": mask for number, mask in enumerate(predictions)}
    return Case("scan", image, ball(6) if label is None else label, named, (1.0, 1.5, 2.0))
