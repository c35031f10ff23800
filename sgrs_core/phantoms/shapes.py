"""What all phantom scans are made of: seeded draws, posed coordinates, solids, random fields."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from sgrs_core.experiment.settings import Triple

BLOCK = 64  # voxels a side: small enough for the processor's cache

Point = Sequence[float] | NDArray[np.float64]  # along x, y, z; also radii along a path
Path = Sequence[Point] | NDArray[np.float64]  # (N, 3)
Points = NDArray[Any]  # (3, X, Y, Z), float32 or float64
Field = NDArray[Any]  # (X, Y, Z), float32 or float64
Box = tuple[slice, slice, slice]


def seeded(seed: int, name: str) -> np.random.Generator:
    """The random generator of one scan: another one for every seed and for every name."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint64))


class Pose(NamedTuple):
    """How a body lies in its scan: turned, moved, stretched and bent."""

    turn: NDArray[np.float64]  # 3x3
    move: list[float]
    stretch: list[float]
    phase: list[float]  # of the bend
    bend: float


def draw_pose(
    generator: np.random.Generator, degrees: float, move: float, stretch: float, bend: float
) -> Pose:
    """A pose that differs from the upright one by up to the given amounts.

    degrees: about each axis. move, bend: in the coordinates' unit. stretch: a share of 1.
    """
    turn = Rotation.from_euler("zyx", generator.uniform(-degrees, degrees, 3), degrees=True)
    return Pose(
        turn.as_matrix(),
        generator.uniform(-move, move, 3).tolist(),
        generator.uniform(1 - stretch, 1 + stretch, 3).tolist(),
        generator.uniform(0, 2 * np.pi, 3).tolist(),
        bend,
    )


def coordinates(axes: Sequence[NDArray[Any]], pose: Pose) -> Points:
    """Each voxel's place in the posed body's own frame, (3, X, Y, Z), in the axes' number type."""
    x, y, z = np.ix_(*(axis - move for axis, move in zip(axes, pose.move, strict=True)))
    straight = [
        (row[0] * x + row[1] * y + row[2] * z) / stretch
        for row, stretch in zip(pose.turn.tolist(), pose.stretch, strict=True)
    ]
    bent = [
        straight[axis] + pose.bend * np.sin(np.pi * straight[axis - 1] + pose.phase[axis])
        for axis in range(3)
    ]
    return np.stack(bent)


def boxes(
    shape: Triple, half: Point, pose: Pose, sink: float = 0.0
) -> Iterator[tuple[Box, Points, Field]]:
    """The scan in boxes small enough for work voxel by voxel: slices, points, the scan's own y.

    half: of the scan's sides, in body coordinates. sink: how far behind its middle the body lies.
    """
    axes = [axis.astype(np.float32) for axis in scan_axes(shape, half)]
    axes[1] -= sink
    for x, y, z in product(*(range(0, side, BLOCK) for side in shape)):
        box = slice(x, x + BLOCK), slice(y, y + BLOCK), slice(z, z + BLOCK)
        sides = [axis[part] for axis, part in zip(axes, box, strict=True)]
        points = coordinates(sides, pose)
        yield box, points, np.broadcast_to(sides[1][:, None], points.shape[1:])


def scan_axes(shape: Triple, half: Point = (1, 1, 1)) -> list[NDArray[np.float64]]:
    """The voxels' coordinates along each axis, from -half to half."""
    return [np.linspace(-end, end, side) for side, end in zip(shape, half, strict=True)]


def level(points: Points, path: Path, radii: Point) -> Field:
    """Squared distance from a solid's middle in units of its radius: 1 on the surface.

    path: one point, the middle of an ellipsoid, or several, along which a tube runs. radii: of the
    ellipsoid along x, y, z, or of the tube at each point, between which it changes evenly.
    """
    if len(path) == 1:
        x, y, z = (
            ((part - float(place)) / float(radius)) ** 2
            for part, place, radius in zip(points, path[0], radii, strict=True)
        )
        return x + y + z
    lowest: Field = np.full(points.shape[1:], np.inf, points.dtype)
    widths = pairwise(map(float, radii))  # NumPy's own scalars would make float32 float64
    for (start, end), (first, last) in zip(pairwise(path), widths, strict=True):
        squared, along = segment(points, start, end)
        np.minimum(lowest, squared / (first + (last - first) * along) ** 2, out=lowest)
    return lowest


def segment(points: Points, start: Point, end: Point) -> tuple[Field, Field]:
    """Squared distance from the segment, and how far along it (0 to 1) the nearest point lies."""
    direction = [float(last) - float(first) for first, last in zip(start, end, strict=True)]
    x, y, z = (part - float(first) for part, first in zip(points, start, strict=True))
    dx, dy, dz = direction
    along = np.clip((x * dx + y * dy + z * dz) / (dx * dx + dy * dy + dz * dz), 0, 1)
    squared = (x - along * dx) ** 2 + (y - along * dy) ** 2 + (z - along * dz) ** 2
    return squared, along


def smooth_noise(
    shape: tuple[int, ...], scale: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian random field of mean 0 and variance 1, correlated over `scale` voxels."""
    noise = gaussian_filter(generator.normal(size=shape), scale, mode="wrap")
    field: NDArray[np.float64] = (noise - noise.mean()) / noise.std()
    return field


def texture(shape: Triple, waves: Triple, generator: np.random.Generator) -> NDArray[np.float32]:
    """Random field of mean 0 and variance 1 with about so many waves along each side.

    Unlike `smooth_noise` it looks the same at every resolution, and costs little at a high one.
    """
    field = generator.standard_normal([count + 3 for count in waves], dtype=np.float32)
    for axis, (side, count) in enumerate(zip(shape, waves, strict=True)):
        place = np.linspace(0, count, side, endpoint=False)
        knot = place.astype(int)
        shares = cubic_shares((place - knot).astype(np.float32))
        column = [-1 if other == axis else 1 for other in range(3)]
        columns = (share.reshape(column) for share in shares)
        mixed = (np.take(field, knot + step, axis) * each for step, each in enumerate(columns))
        field = sum(mixed, start=np.zeros(1, np.float32))
    field -= field.mean()
    field /= field.std()
    return field


def cubic_shares(part: Field) -> list[Field]:
    """The shares of four neighbouring knots in a cubic B-spline; part: 0 to 1, past the second."""
    rest = 1 - part
    return [
        rest**3 / 6,
        (4 - 6 * part**2 + 3 * part**3) / 6,
        (4 - 6 * rest**2 + 3 * rest**3) / 6,
        part**3 / 6,
    ]
