"""Masks as surfaces seen from one camera: from the front, a little from the left and from above.

A small renderer of its own: matplotlib's cannot hide one surface behind another.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.measure import marching_cubes

from sgrs_core.data.masks import Mask
from sgrs_core.reporting.figures.style import GROUND_TRUTH, PREDICTION

Points = NDArray[np.float64]

PIXELS = 540  # along the longer side of a surface's image: 300 to the inch
POINTS_PER_PIXEL = 1.5  # along a triangle's side; with 1, some pixels lie between points
POINTS_AT_ONCE = 1_000_000  # a noisy prediction has millions of triangles

LIGHT = np.array([-0.48, 0.6, 0.64])  # unit vector to the lamp: over the viewer's left shoulder
AMBIENT = 0.35  # brightness of faces the lamp does not reach
VEIL = 0.5  # opacity of the ground truth's surface before a prediction's


def camera(azimuth: float, elevation: float) -> Points:
    """The directions right, up, and towards the viewer in a scan's axes, as rows (3, 3).

    Angles in degrees, from straight ahead.
    """
    turn, rise = np.radians([azimuth, elevation])
    front, head = np.array([np.sin(turn), -np.cos(turn), 0]), np.array([0, 0, 1])
    up = np.cos(rise) * head - np.sin(rise) * front
    return np.stack([np.cross(head, front), up, np.cos(rise) * front + np.sin(rise) * head])


CAMERA = camera(azimuth=25, elevation=20)


class Surface(NamedTuple):
    """The faces of a mask that a viewer sees, from the farthest to the nearest.

    triangles: (N, 3, 3), for each corner mm to the right, up and towards the viewer.
    brightness: (N,), 0 to 1.
    """

    triangles: Points
    brightness: Points


class Window(NamedTuple):
    """A grid of pixels before the camera: its left and top edge and a pixel's side, all in mm."""

    left: float
    top: float
    pixel: float
    shape: tuple[int, int]


def images_of(surfaces: Sequence[Surface], tolerance: float) -> list[Points]:
    """An image (H, W, 3), 0 to 1, of each surface; the first is the ground truth's.

    It is shown alone, then as a veil before each prediction: where it is at least `tolerance` mm
    nearer to the viewer, or has nothing behind it. Without a tolerance, surfaces that agree would
    be mottled. All share one window and scale.
    """
    window = window_of(surfaces)
    (truth, truth_light), *predictions = (view_of(surface, window) for surface in surfaces)
    blank = np.ones((*window.shape, 3))
    images = [painted(blank, truth_light, GROUND_TRUTH, np.isfinite(truth), 1)]
    for depth, light in predictions:
        below = painted(blank, light, PREDICTION, np.isfinite(depth), 1)
        images.append(painted(below, truth_light, GROUND_TRUTH, truth > depth + tolerance, VEIL))
    return images


def painted(image: Points, light: Points, colour: str, where: Mask, opacity: float) -> Points:
    """A copy of the image (H, W, 3), 0 to 1, with a colour in this light (H, W) laid over it.

    where: (H, W).
    """
    shaded = light[where][:, None] * to_rgb(colour)
    copy = image.copy()
    copy[where] = (1 - opacity) * copy[where] + opacity * shaded
    return copy


def window_of(surfaces: Sequence[Surface]) -> Window:
    """The smallest window that shows every surface whole."""
    points = np.concatenate([surface.triangles[:, :, :2].reshape(-1, 2) for surface in surfaces])
    low, high = points.min(axis=0), points.max(axis=0)
    pixel = float((high - low).max()) / PIXELS
    columns, rows = np.ceil((high - low) / pixel).astype(int) + 1
    return Window(float(low[0]), float(high[1]), pixel, (int(rows), int(columns)))


def view_of(surface: Surface, window: Window) -> tuple[Points, Points]:
    """Look at a surface: of its nearest triangle at each pixel, depth and brightness, each (H, W).

    depth: mm towards the viewer, -inf where nothing is seen. brightness: 0 to 1.
    """
    depth, brightness = np.full(window.shape, -np.inf), np.zeros(window.shape)
    shares = covering_shares(surface.triangles, window.pixel)
    step = max(POINTS_AT_ONCE // len(shares), 1)
    for start in range(0, len(surface.triangles), step):
        points = shares @ surface.triangles[start : start + step]
        columns = ((points[..., 0] - window.left) / window.pixel).astype(int)
        rows = ((window.top - points[..., 1]) / window.pixel).astype(int)
        # Triangles come from far to near, and of values for one pixel numpy keeps the last.
        depth[rows, columns] = points[..., 2]
        brightness[rows, columns] = surface.brightness[start : start + step, None]
    return depth, brightness


def covering_shares(triangles: Points, pixel: float) -> Points:
    """Shares (K, 3) of a triangle's corners that make up points of it.

    There are enough of them that the points touch every pixel of the largest triangle.
    """
    sides = np.linalg.norm(triangles - np.roll(triangles, 1, axis=1), axis=-1)
    steps = int(np.ceil(POINTS_PER_PIXEL * sides.max(initial=0) / pixel)) + 1
    first, second = np.mgrid[: steps + 1, : steps + 1].reshape(2, -1)
    third = steps - first - second
    shares: Points = np.stack([first, second, third], axis=1)[third >= 0] / steps
    return shares


def surface_of(mask: Mask, spacing: Sequence[float]) -> Surface:
    """The exact border of a mask (X, Y, Z) as the camera sees it; without faces where it is empty.

    Faces turned away are left out.
    """
    if not mask.any():
        return Surface(np.empty((0, 3, 3)), np.empty(0))
    padded = np.pad(mask, 1).astype(float)  # closes the surface at the array's edge
    corners, faces, _, _ = marching_cubes(padded, 0.5, gradient_direction="ascent")
    places = corners[faces].astype(float)
    triangles = (places * spacing) @ CAMERA.T
    sides = np.diff(triangles[:, :, :2], axis=1)
    seen = np.flatnonzero(sides[:, 0, 0] * sides[:, 1, 1] > sides[:, 0, 1] * sides[:, 1, 0])
    order = seen[np.argsort(triangles[seen, :, 2].mean(axis=1), kind="stable")]
    normals = normals_at(places[order].mean(axis=1), padded, spacing) @ CAMERA.T
    brightness = AMBIENT + (1 - AMBIENT) * np.clip(normals @ LIGHT, 0, 1)
    return Surface(triangles[order], brightness)


def normals_at(places: Points, mask: Points, spacing: Sequence[float]) -> Points:
    """Outward unit normals (N, 3) of a mask's border at places (N, 3), in voxels.

    They are those of a blurred copy, so that shading shows the shape and not the voxels.
    """
    slopes = np.gradient(gaussian_filter(mask, 1), *spacing)
    inward = np.stack([map_coordinates(slope, places.T, order=1) for slope in slopes], axis=-1)
    lengths = np.linalg.norm(inward, axis=1, keepdims=True)
    outward: Points = -inward / np.maximum(lengths, np.finfo(float).eps)
    return outward
