"""Dice, Jaccard, 95 % Hausdorff distance and average surface distance of two masks.

The values are those of medpy's dc, jc, hd95 and asd at unit spacing, found many times faster: both
masks are cropped to their joint bounding box, and the distance from each surface voxel to the other
surface is looked for close by first, once for both distance metrics. All distances are exact.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sgrs_core.data.masks import Mask, bounding_box

NEAR_RADIUS = 2  # voxels; most surface voxels of a good prediction find their partner in reach
# The rest is asked of a tree: for partners within 16 voxels, then for any. The second number of a
# stage is the price of one query, in voxels that a distance transform visits in the same time.
TREE_STAGES = ((16.0, 16), (np.inf, 256))


def score(prediction: NDArray[Any], label: NDArray[Any]) -> dict[str, float]:
    """Dice and jaccard as fractions, hd95 and asd in voxels, of two (X, Y, Z) masks of 0 and 1.

    An empty prediction has Dice and Jaccard 0 and no distances: hd95 and asd are NaN.
    Raises ValueError for an empty label and for arrays that are not two 3D masks of one shape.
    """
    prediction, label = checked(prediction, label)
    dice_fraction, jaccard = overlap(prediction, label)
    hd95, asd = surface_distances(prediction, label) if prediction.any() else (np.nan, np.nan)
    return {"dice": dice_fraction, "jaccard": jaccard, "hd95": hd95, "asd": asd}


def dice(prediction: NDArray[Any], label: NDArray[Any]) -> float:
    """The Dice fraction alone, spared the cost of distances; arguments and errors as in `score`."""
    return overlap(*checked(prediction, label))[0]


def checked(prediction: NDArray[Any], label: NDArray[Any]) -> tuple[Mask, Mask]:
    """Both arrays as boolean masks; raises ValueError where they cannot be scored."""
    if prediction.ndim != 3 or prediction.shape != label.shape:
        raise ValueError(
            f"prediction {prediction.shape} and label {label.shape} must be 3D and of one shape; "
            "remove batch and channel axes, and any padding, before scoring"
        )
    masks = as_mask(prediction, "prediction"), as_mask(label, "label")
    if not masks[1].any():
        raise ValueError("the label is empty, so no metric is defined; repair or exclude the scan")
    return masks


def as_mask(values: NDArray[Any], name: str) -> Mask:
    """`values` as booleans; raises ValueError unless they are booleans or the integers 0 and 1."""
    if values.dtype == np.bool_:
        return values
    if not np.issubdtype(values.dtype, np.integer) or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"the {name} ({values.dtype}) must hold booleans or the integers 0 and 1; "
            "threshold scores, and map classes to foreground, before scoring"
        )
    return values.astype(np.bool_)


def overlap(prediction: Mask, label: Mask) -> tuple[float, float]:
    """Dice and Jaccard as fractions of two masks that are not both empty."""
    common = np.count_nonzero(prediction & label)
    either = np.count_nonzero(prediction | label)
    return 2 * common / (common + either), common / either


def surface_distances(prediction: Mask, label: Mask) -> tuple[float, float]:
    """hd95 and asd in voxels of two masks that are not empty.

    hd95 pools both directions; asd is the mean from the prediction's surface to the label's.
    """
    box = bounding_box(prediction | label)
    predicted, labelled = surface(prediction[box]), surface(label[box])
    forth = nearest_distances(predicted, labelled)
    back = nearest_distances(labelled, predicted)
    return float(np.percentile(np.concatenate((forth, back)), 95)), float(forth.mean())


def surface(mask: Mask) -> Mask:
    """Voxels of `mask` with a face neighbour outside it, row-major, in a border of NEAR_RADIUS.

    Outside the array is background: a voxel at its edge is on the surface.
    """
    padded = np.pad(np.ascontiguousarray(mask), NEAR_RADIUS)
    inside = padded.copy()
    for axis in range(padded.ndim):
        # What rolls in at one edge is the empty border of the other.
        inside &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
    return padded & ~inside


def shells(radius: int) -> list[tuple[int, NDArray[np.intp]]]:
    """Integer offsets (N, 3) no longer than `radius`, by squared length, the shortest first."""
    cube = np.argwhere(np.ones((2 * radius + 1,) * 3)) - radius
    squares = (cube**2).sum(axis=1)
    lengths = np.unique(squares[squares <= radius**2])
    return [(int(square), cube[squares == square]) for square in lengths]


NEAR_SHELLS = shells(NEAR_RADIUS)


def nearest_distances(sources: Mask, targets: Mask) -> NDArray[np.float64]:
    """Distances in voxels from each source voxel, row-major, to the closest target voxel.

    sources, targets: two results of `surface`, of one shape, neither empty.
    """
    points, occupied = np.flatnonzero(sources), targets.ravel()
    distances = np.zeros(points.size)
    missing = np.arange(points.size)
    for square, offsets in NEAR_SHELLS:
        steps = offsets @ np.array(targets.strides)  # a voxel is one byte: strides count voxels
        hit = np.logical_or.reduce([occupied[points[missing] + step] for step in steps])
        distances[missing[hit]] = np.sqrt(square)
        missing = missing[~hit]
    if missing.size:
        distances[missing] = far_distances(points[missing], targets)
    return distances


def far_distances(points: NDArray[np.intp], targets: Mask) -> NDArray[np.float64]:
    """Distances in voxels from `points`, flat indices, to the closest target voxel, however far.

    A tree is fast for the few points that a usable prediction leaves. For noise and for whole
    volumes the transform is: its time does not grow with the number of points.
    """
    # Voxels lie on a grid: a tree that is not balanced is built in half the time and as good.
    tree = cKDTree(np.argwhere(targets), leafsize=32, compact_nodes=False, balanced_tree=False)
    places = np.column_stack(np.unravel_index(points, targets.shape))
    distances = np.full(points.size, np.inf)
    for reach, voxels_per_query in TREE_STAGES:
        missing = np.flatnonzero(np.isinf(distances))
        if missing.size * voxels_per_query > targets.size:
            distances[missing] = transform_distances(places[missing], targets)
            break
        distances[missing], _ = tree.query(places[missing], distance_upper_bound=reach)
    return distances


def transform_distances(places: NDArray[np.intp], targets: Mask) -> NDArray[np.float64]:
    """Distances in voxels from `places` (N, 3) to the closest target voxel.

    The transform is asked where that voxel is, not how far: the distances of all other voxels,
    which nobody needs, would take as long again.
    """
    closest = ndimage.distance_transform_edt(~targets, return_distances=False, return_indices=True)
    offsets: NDArray[np.intp] = closest[:, *places.T].T - places
    distances: NDArray[np.float64] = np.sqrt((offsets**2).sum(axis=1))
    return distances
