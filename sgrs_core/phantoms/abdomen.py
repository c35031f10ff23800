"""The abdomen of the Pancreas-CT phantoms: what lies where, and how bright it is.

Body coordinates as in DICOM: x from the patient's right (-1) to the left, y from front (-1) to
back, z from the feet (-0.6) to the head; about 200 mm a unit in a scan of full size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask
from sgrs_core.phantoms.shapes import (
    Field,
    Point,
    Points,
    ellipsoid,
    ellipsoid_level,
    path_level,
)

AIR = -1000.0  # HU, as all numbers named `hu` or `..._hu`
LUNG = -850.0
GAS = -950.0
BONE = 400.0
BLADDER = 8.0  # bile

Hounsfield = Mapping[str, float]

PANCREAS = (  # uncinate process, head, head, neck, body, tail
    ((-0.20, -0.06, -0.12), 0.064),
    ((-0.30, -0.10, -0.06), 0.110),
    ((-0.27, -0.13, 0.05), 0.125),
    ((-0.08, -0.22, 0.13), 0.085),
    ((0.14, -0.18, 0.20), 0.096),
    ((0.36, -0.02, 0.25), 0.100),
    ((0.54, 0.10, 0.30), 0.076),
)


@dataclass(frozen=True)
class Organ:
    """An ellipsoid, or a tube along a path: its wall and its content, in HU.

    path: one point (an ellipsoid) or several (a tube). radii: of the ellipsoid along x, y, z, or
    of the tube at each point. wall: a share of the radius. gas: y in front of which the content
    is gas, for it rises while the patient lies on the back. uneven: how much the content differs
    from place to place, HU.
    """

    path: Sequence[Point]
    radii: Sequence[float]
    hu: float
    wall: float = 0.0
    wall_hu: float = 0.0
    gas: float = -np.inf
    uneven: float = 5.0

    def level(self, points: Points) -> Field:
        """Squared distance in units of the radius: 1 on the surface."""
        if len(self.path) == 1:
            return ellipsoid_level(points, self.path[0], self.radii)
        return path_level(points, self.path, self.radii)

    def reaches(self, points: Points, margin: float = 0.0) -> bool:
        """False if the organ is surely outside the box that holds all the points."""
        along = np.asarray(self.path)
        radius = np.asarray(self.radii if len(self.path) == 1 else max(self.radii)) + margin
        box = points.reshape(3, -1)
        below = along.min(axis=0) - radius > box.max(axis=1)
        above = along.max(axis=0) + radius < box.min(axis=1)
        return not (below | above).any()


@dataclass(frozen=True)
class Abdomen:
    """One patient: everything drawn by chance, so that painting draws nothing.

    organs: in the order of painting, inside the muscles. vessels: painted after the fat around the
    pancreas. table: y of its top, in the scan's own coordinates. rim, muscle: shares of the body's
    radius that are fat below the skin and muscle below the fat.
    """

    hu: Hounsfield
    organs: Sequence[Organ]
    vessels: Sequence[Organ]
    pancreas: Organ
    rim: float
    muscle: float
    fat_margin: float
    lobes: float
    table: float = 0.71
    body: Point = (0.90, 0.66)  # radii along x and y


def draw_abdomen(generator: np.random.Generator) -> Abdomen:
    """A patient of chance proportions and contrasts."""
    hu = draw_contrast(generator)
    path, radii = zip(*PANCREAS, strict=True)
    pancreas = jittered(Organ(path, radii, hu["pancreas"], uneven=9.0), generator, move=0.02)
    organs = [jittered(organ, generator) for organ in upper_organs(hu, generator)]
    organs += [jittered(organ, generator) for organ in bowel(hu, generator)]
    organs += [jittered(organ, generator, move=0.01) for organ in behind(hu)]
    return Abdomen(
        hu,
        organs,
        [jittered(organ, generator, move=0.01) for organ in beside_pancreas(hu, pancreas)],
        pancreas,
        rim=generator.uniform(0.08, 0.16),
        muscle=generator.uniform(0.06, 0.09),
        fat_margin=generator.uniform(0.035, 0.06),
        lobes=generator.uniform(0.15, 0.28),
    )


def draw_contrast(generator: np.random.Generator) -> dict[str, float]:
    """Each tissue's HU in the portal-venous phase; the pancreas lies among its neighbours'."""
    ranges = {
        "fat": (-112, -98),
        "visceral": (-100, -84),  # fat between the organs
        "muscle": (50, 66),
        "pancreas": (78, 108),
        "liver": (92, 125),
        "spleen": (105, 130),
        "kidney": (150, 190),
        "vessel": (130, 180),
        "bowel": (75, 105),  # its wall
        "marrow": (110, 170),
    }
    return {name: generator.uniform(*ends) for name, ends in ranges.items()}


def jittered(organ: Organ, generator: np.random.Generator, move: float = 0.03) -> Organ:
    """The organ a little elsewhere, and up to 8 % thicker or thinner."""
    shift = generator.uniform(-move, move, 3)
    wobble = generator.uniform(-move, move, (len(organ.path), 3)) / 2
    path = (np.asarray(organ.path) + shift + wobble).tolist()
    size = generator.uniform(0.92, 1.08)
    return replace(organ, path=path, radii=[size * radius for radius in organ.radii])


def upper_organs(hu: Hounsfield, generator: np.random.Generator) -> list[Organ]:
    """Lungs' bases, liver with its veins, gall bladder, spleen and stomach."""
    liver, vessel = hu["liver"], hu["vessel"]
    return [
        Organ([(-0.45, 0.10, 0.80)], (0.42, 0.50, 0.36), LUNG, uneven=30),
        Organ([(0.48, 0.15, 0.82)], (0.36, 0.45, 0.36), LUNG, uneven=30),
        Organ([(-0.52, 0.0, 0.20)], (0.36, 0.46, 0.40), liver),
        Organ([(-0.16, -0.34, 0.40)], (0.42, 0.20, 0.20), liver),
        Organ([(-0.30, 0.05, 0.35), (-0.55, -0.10, 0.30), (-0.70, 0.0, 0.18)], (0.03,) * 3, vessel),
        Organ([(-0.20, 0.10, 0.50), (-0.50, 0.18, 0.42)], (0.03, 0.02), vessel),
        Organ([(-0.20, 0.02, 0.52), (-0.45, -0.22, 0.45)], (0.03, 0.02), vessel),
        Organ([(-0.40, -0.34, 0.02), (-0.36, -0.26, 0.14)], (0.085, 0.05), BLADDER),
        Organ([(0.66, 0.16, 0.36)], (0.17, 0.28, 0.20), hu["spleen"]),
        Organ(
            [(0.42, -0.02, 0.56), (0.40, -0.22, 0.44), (0.24, -0.36, 0.30), (0.0, -0.34, 0.20)],
            (0.14, 0.16, 0.13, 0.06),
            generator.uniform(10, 60),
            wall=0.18,
            wall_hu=hu["bowel"],
            gas=generator.uniform(-0.38, -0.28),
            uneven=20,
        ),
    ]


def bowel(hu: Hounsfield, generator: np.random.Generator) -> Iterator[Organ]:
    """Colon (gas and stool), jejunum (like the pancreas) and small bowel in front and below."""
    colon: list[tuple[list[Point], float]] = [
        ([(-0.60, 0.02, -0.65), (-0.62, 0.04, -0.35), (-0.58, -0.10, -0.20)], -0.02),
        ([(-0.55, -0.22, -0.22), (-0.15, -0.42, -0.26), (0.30, -0.40, -0.14)], -0.40),
        ([(0.30, -0.40, -0.14), (0.60, -0.12, 0.08), (0.68, 0.16, -0.10)], -0.20),
        ([(0.68, 0.16, -0.10), (0.66, 0.20, -0.40), (0.62, 0.12, -0.65)], 0.12),
    ]
    for path, gas in colon:
        radii = generator.uniform(0.065, 0.095, 3).tolist()
        yield Organ(path, radii, 25, 0.16, hu["bowel"], gas=gas, uneven=70)
    for _ in range(3):  # beside the pancreas' body, empty: its own brightness
        start = generator.uniform((0.25, -0.30, -0.06), (0.50, -0.16, 0.06))
        yield loop(start, generator, hu=hu["bowel"] - 5, wall_hu=hu["bowel"])
    for _ in range(12):
        start = generator.uniform((-0.42, -0.36, -0.62), (0.48, 0.0, -0.26))
        content = generator.choice([15.0, 40.0, hu["bowel"], 260.0])  # 260: swallowed contrast
        yield loop(start, generator, hu=float(content), wall_hu=hu["bowel"])
    for _ in range(8):  # vessels of the mesentery
        start, end = generator.uniform((-0.3, -0.3, -0.55), (0.4, -0.1, -0.05), (2, 3)).tolist()
        yield Organ([start, end], (0.014, 0.012), hu["vessel"] - 20)
    for _ in range(6):  # lymph nodes
        center = generator.uniform((-0.3, -0.3, -0.3), (0.45, 0.0, 0.4)).tolist()
        yield Organ([center], generator.uniform(0.02, 0.04, 3).tolist(), hu["pancreas"] - 8)


def loop(start: Any, generator: np.random.Generator, hu: float, wall_hu: float) -> Organ:
    """A loop of small bowel that starts somewhere and winds twice."""
    steps = generator.uniform(-0.2, 0.2, (3, 3)) * (1, 0.5, 0.6)
    path = np.clip(start + np.cumsum(steps, axis=0), (-0.5, -0.42, -0.7), (0.6, 0.02, 0.08))
    radii = generator.uniform(0.05, 0.068, 3).tolist()
    return Organ(path.tolist(), radii, hu, wall=0.3, wall_hu=wall_hu, uneven=12)


def behind(hu: Hounsfield) -> list[Organ]:
    """Kidneys, great vessels, psoas and back muscles, adrenals, spine."""
    vessel, muscle = hu["vessel"], hu["muscle"]
    return [
        Organ([(-0.22, 0.34, -0.70), (-0.15, 0.28, 0.10)], (0.12, 0.05), muscle),
        Organ([(0.24, 0.34, -0.70), (0.17, 0.28, 0.10)], (0.12, 0.05), muscle),
        Organ([(-0.20, 0.47, -0.9), (-0.20, 0.47, 0.9)], (0.13, 0.13), muscle),
        Organ([(0.20, 0.47, -0.9), (0.20, 0.47, 0.9)], (0.13, 0.13), muscle),
        Organ([(-0.42, 0.27, -0.10)], (0.13, 0.15, 0.25), hu["kidney"], uneven=12),
        Organ([(-0.36, 0.22, -0.10)], (0.06, 0.07, 0.10), hu["visceral"]),
        Organ([(0.44, 0.28, 0.0)], (0.13, 0.15, 0.25), hu["kidney"], uneven=12),
        Organ([(0.38, 0.23, 0.0)], (0.06, 0.07, 0.10), hu["visceral"]),
        Organ([(-0.36, 0.22, -0.10), (-0.12, 0.10, -0.06)], (0.03, 0.03), vessel),
        Organ([(0.38, 0.23, 0.0), (0.05, 0.03, -0.02), (-0.10, 0.09, -0.02)], (0.028,) * 3, vessel),
        Organ([(0.28, 0.16, 0.22), (0.24, 0.24, 0.34)], (0.022, 0.022), hu["pancreas"]),
        Organ([(0.07, 0.14, -0.8), (0.05, 0.13, 0.8)], (0.055, 0.065), vessel),
        Organ([(-0.12, 0.12, -0.8), (-0.14, 0.08, 0.8)], (0.065, 0.075), vessel - 15),
    ]


def beside_pancreas(hu: Hounsfield, pancreas: Organ) -> list[Organ]:
    """Duodenum round the head; splenic, portal and superior mesenteric vessels behind the body."""
    path = np.asarray(pancreas.path)
    back = np.add(path[3:], (0.0, 0.115, 0.02)).tolist()
    neck = back[0]
    around = [(-0.14, 0.0, 0.06), (-0.21, 0.0, 0.0), (-0.18, 0.0, -0.10), (0.0, 0.0, -0.14)]
    duodenum = np.add(path[[3, 2, 1, 0]], around).tolist()
    return [
        Organ(duodenum, (0.06,) * 4, 35, wall=0.3, wall_hu=hu["bowel"], uneven=15),
        Organ(back, (0.04, 0.028, 0.028, 0.025), hu["vessel"]),
        Organ([back[-1], (0.66, 0.16, 0.34)], (0.025, 0.03), hu["vessel"]),
        Organ([neck, (-0.25, -0.06, 0.28), (-0.42, -0.06, 0.34)], (0.045,) * 3, hu["vessel"]),
        Organ([neck, (-0.05, -0.10, -0.7)], (0.04, 0.03), hu["vessel"] - 5),
        Organ(
            [(0.05, 0.09, 0.10), (0.05, -0.06, -0.04), (0.04, -0.08, -0.7)],
            (0.028,) * 3,
            hu["vessel"],
        ),
    ]


def paint(
    points: Points, scan_y: Field, coarse: Field, fine: Field, abdomen: Abdomen
) -> tuple[NDArray[np.float32], Mask]:
    """HU before blur and noise, and the pancreas, of one box of voxels.

    points: body coordinates. scan_y: the scan's own y, which the table follows. coarse, fine:
    random fields of the box.
    """
    hu, pancreas = abdomen.hu, abdomen.pancreas
    image, cavity = paint_body(points, scan_y, coarse, abdomen)
    for organ in abdomen.organs:
        paint_organ(image, cavity, points, organ, fine)
    paint_spine(image, points, hu)
    inside = np.zeros(image.shape, bool)
    margin = abdomen.fat_margin
    if pancreas.reaches(points, margin):
        near = replace(pancreas, radii=[radius + margin for radius in pancreas.radii])
        image[near.level(points) <= 1 + abdomen.lobes * coarse] = hu["visceral"]
    for organ in abdomen.vessels:
        paint_organ(image, cavity, points, organ, fine)
    if pancreas.reaches(points, 0.1):
        inside = pancreas.level(points) <= 1 + abdomen.lobes * (coarse + fine)
        image[inside] = pancreas.hu + pancreas.uneven * fine[inside]
    return image, inside


def paint_body(
    points: Points, scan_y: Field, coarse: Field, abdomen: Abdomen
) -> tuple[NDArray[np.float32], Mask]:
    """Air, table, skin, fat, muscles and ribs; and where organs may lie."""
    x, y, z = points
    hu = abdomen.hu
    u, v = x / abdomen.body[0], y / abdomen.body[1]
    radius = np.sqrt(u**2 + v**2 - 0.3 * u**2 * v**2)
    image = np.full(x.shape, AIR, np.float32)
    image[(scan_y > abdomen.table) & (scan_y < abdomen.table + 0.1)] = -940
    for top in (abdomen.table, abdomen.table + 0.08):
        image[(scan_y > top) & (scan_y < top + 0.02)] = 60
    image[radius <= 1] = 0
    image[radius <= 0.985] = hu["fat"]
    outer = 1 - abdomen.rim * (1 + 0.15 * coarse + 0.3 * v)
    inner = outer - abdomen.muscle
    muscles = (radius <= outer) & (radius > inner)
    image[muscles] = hu["muscle"] + 6 * coarse[muscles]
    ribs = np.cos(2 * np.pi * (4.5 * z + 2 * y)) > 0.55
    ribs &= (z > -0.15) & (np.abs(radius - (outer + inner) / 2) < 0.025) & (np.abs(x) > 0.35)
    image[ribs] = BONE - 150
    cavity: Mask = radius <= inner
    image[cavity] = hu["visceral"] + 5 * coarse[cavity]
    return image, cavity


def paint_organ(
    image: NDArray[np.float32], cavity: Mask, points: Points, organ: Organ, fine: Field
) -> None:
    """Paint one organ over what was there."""
    if not organ.reaches(points):
        return
    level = organ.level(points)
    whole = (level <= 1) & cavity
    image[whole] = organ.wall_hu
    content = whole & (level <= (1 - organ.wall) ** 2)
    image[content] = organ.hu + organ.uneven * fine[content]
    image[content & (points[1] < organ.gas)] = GAS


def paint_spine(image: NDArray[np.float32], points: Points, hu: Hounsfield) -> None:
    """Vertebrae with cortex, discs, spinal canal, arch and processes."""
    x, y, z = points
    height = np.abs(((z + 3) / 0.16) % 1 - 0.5)  # 0.5 in the middle of a disc, 0 of a vertebra
    disc = height > 0.4
    flat = np.stack([x, y, np.zeros_like(z)])
    body = ellipsoid_level(flat, (0, 0.345, 0), (0.14, 0.11, 1))
    arch = ellipsoid(flat, (0, 0.46, 0), (0.085, 0.075, 1))
    spinous = (np.abs(x) < 0.022) & (y > 0.5) & (y < 0.6)
    transverse = (np.abs(x) < 0.26) & (np.abs(y - 0.44) < 0.025)
    image[(arch | spinous | transverse) & (height < 0.3)] = BONE - 100
    image[body <= 1] = BONE
    image[body <= 0.8] = hu["marrow"]
    image[(body <= 1) & (height > 0.36)] = BONE - 100  # end plates
    image[(body <= 1) & disc] = 90
    image[ellipsoid(flat, (0, 0.46, 0), (0.055, 0.048, 1))] = 35
