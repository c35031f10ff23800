"""The abdomen of the Pancreas-CT phantoms: what lies where, and how bright it is.

Body coordinates as in DICOM: x from the patient's right (-1) to the left, y from front (-1) to
back, z from the feet (-0.6) to the head; about 200 mm a unit in a scan of full size. The organs
that every patient has are listed in abdomen.toml.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.masks import Mask
from sgrs_core.phantoms.shapes import Field, Path, Point, Points, level

TABLES: Mapping[str, Any] = tomllib.loads(
    files("sgrs_core.phantoms").joinpath("abdomen.toml").read_text("utf-8")
)
AIR, GAS, BONE = -1000.0, -950.0, 400.0  # HU, as all numbers named `hu` or `..._hu`
COUCH = 0.71  # y of its top, in the scan's own coordinates
BODY = (0.90, 0.66)  # radii along x and y

Hounsfield = Mapping[str, float]


class Organ(NamedTuple):
    """An ellipsoid, or a tube along a path: its wall and its content, in HU.

    path, radii: see `level`. wall: a share of the radius. gas: y in front of which the content
    is gas, for it rises while the patient lies on the back. uneven: how much the content differs
    from place to place, HU.
    """

    path: Path
    radii: Point
    hu: float
    wall: float = 0.0
    wall_hu: float = 0.0
    gas: float = -np.inf
    uneven: float = 5.0

    def reaches(self, points: Points, margin: float = 0.0) -> bool:
        """False if the organ is surely outside the box that holds all the points."""
        along = np.asarray(self.path)
        radius = np.asarray(self.radii if len(self.path) == 1 else max(self.radii)) + margin
        box = points.reshape(3, -1)
        below = along.min(axis=0) - radius > box.max(axis=1)
        above = along.max(axis=0) + radius < box.min(axis=1)
        return not (below | above).any()


class Abdomen(NamedTuple):
    """One patient: everything drawn by chance, so that painting draws nothing.

    organs: in the order of painting, inside the muscles. vessels: painted after the fat around the
    pancreas. rim, muscle: shares of the body's radius that are fat below the skin and muscle below
    the fat.
    """

    hu: Hounsfield
    organs: Sequence[Organ]
    vessels: Sequence[Organ]
    pancreas: Organ
    rim: float
    muscle: float
    fat_margin: float
    lobes: float


def draw_abdomen(generator: np.random.Generator) -> Abdomen:
    """A patient of chance proportions and contrasts."""
    hu = {name: generator.uniform(*ends) for name, ends in TABLES["contrast"].items()}
    vessel = hu["vessel"]
    hu |= {"lung": -850.0, "bile": 8.0, "cava": vessel - 15, "mesenteric vein": vessel - 5}
    organ = Organ(**TABLES["pancreas"], hu=hu["pancreas"], uneven=9.0)
    pancreas = jittered(organ, generator, move=0.02)
    upper = [*listed("upper", hu), stomach(hu, generator)]
    organs = [jittered(organ, generator) for organ in upper]
    organs += [jittered(organ, generator) for organ in bowel(hu, generator)]
    organs += [jittered(organ, generator, move=0.01) for organ in listed("behind", hu)]
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


def listed(name: str, hu: Hounsfield) -> list[Organ]:
    """A table's organs in one patient's contrast."""
    return [solid(hu, **row) for row in TABLES["organs"][name]]


def solid(hu: Hounsfield, tissue: str, path: Path, radii: Point) -> Organ:
    """An organ of one tissue."""
    return Organ(path, radii, hu[tissue], uneven=TABLES["uneven"].get(tissue, 5.0))


def jittered(organ: Organ, generator: np.random.Generator, move: float = 0.03) -> Organ:
    """The organ a little elsewhere, and up to 8 % thicker or thinner."""
    shift = generator.uniform(-move, move, 3)
    wobble = generator.uniform(-move, move, (len(organ.path), 3)) / 2
    size = generator.uniform(0.92, 1.08)
    return organ._replace(
        path=np.asarray(organ.path) + shift + wobble, radii=np.multiply(organ.radii, size)
    )


def stomach(hu: Hounsfield, generator: np.random.Generator) -> Organ:
    """The stomach with something in it, and gas above that."""
    content, gas = generator.uniform(10, 60), generator.uniform(-0.38, -0.28)
    shape = TABLES["walled"]["stomach"]
    return Organ(**shape, hu=content, wall=0.18, wall_hu=hu["bowel"], gas=gas, uneven=20)


def bowel(hu: Hounsfield, generator: np.random.Generator) -> Iterator[Organ]:
    """Colon (gas and stool), jejunum (like the pancreas) and small bowel in front and below."""
    wall = hu["bowel"]
    for part in TABLES["walled"]["colon"]:
        radii = generator.uniform(0.065, 0.095, 3)
        yield Organ(**part, radii=radii, hu=25, wall=0.16, wall_hu=wall, uneven=70)
    for _ in range(3):  # beside the pancreas' body, empty: its own brightness
        start = generator.uniform((0.25, -0.30, -0.06), (0.50, -0.16, 0.06))
        yield loop(start, generator, wall - 5, wall)
    for _ in range(12):
        start = generator.uniform((-0.42, -0.36, -0.62), (0.48, 0.0, -0.26))
        content = generator.choice([15.0, 40.0, wall, 260.0])  # 260: swallowed contrast
        yield loop(start, generator, float(content), wall)
    for _ in range(8):  # vessels of the mesentery
        ends = generator.uniform((-0.3, -0.3, -0.55), (0.4, -0.1, -0.05), (2, 3))
        yield Organ(ends, (0.014, 0.012), hu["vessel"] - 20)
    for _ in range(6):  # lymph nodes
        center = generator.uniform((-0.3, -0.3, -0.3), (0.45, 0.0, 0.4))
        yield Organ([center], generator.uniform(0.02, 0.04, 3), hu["pancreas"] - 8)


def loop(start: Point, generator: np.random.Generator, hu: float, wall_hu: float) -> Organ:
    """A loop of small bowel that starts somewhere and winds twice."""
    steps = generator.uniform(-0.2, 0.2, (3, 3)) * (1, 0.5, 0.6)
    path = np.clip(start + np.cumsum(steps, axis=0), (-0.5, -0.42, -0.7), (0.6, 0.02, 0.08))
    return Organ(path, generator.uniform(0.05, 0.068, 3), hu, 0.3, wall_hu, uneven=12)


def beside_pancreas(hu: Hounsfield, pancreas: Organ) -> list[Organ]:
    """Duodenum round the head; splenic, portal and superior mesenteric vessels behind the body."""
    path = np.asarray(pancreas.path)
    back = np.add(path[3:], (0.0, 0.115, 0.02))
    neck, tail = back[0], back[-1]
    around = [(-0.14, 0.0, 0.06), (-0.21, 0.0, 0.0), (-0.18, 0.0, -0.10), (0.0, 0.0, -0.14)]
    portal = [neck, (-0.25, -0.06, 0.28), (-0.42, -0.06, 0.34)]
    artery = [(0.05, 0.09, 0.10), (0.05, -0.06, -0.04), (0.04, -0.08, -0.7)]
    return [
        Organ(path[[3, 2, 1, 0]] + around, (0.06,) * 4, 35, 0.3, hu["bowel"], uneven=15),
        solid(hu, "vessel", back, (0.04, 0.028, 0.028, 0.025)),
        solid(hu, "vessel", [tail, (0.66, 0.16, 0.34)], (0.025, 0.03)),
        solid(hu, "vessel", portal, (0.045,) * 3),
        solid(hu, "mesenteric vein", [neck, (-0.05, -0.10, -0.7)], (0.04, 0.03)),
        solid(hu, "vessel", artery, (0.028,) * 3),
    ]


def paint(
    points: Points, scan_y: Field, coarse: Field, fine: Field, abdomen: Abdomen
) -> tuple[NDArray[np.float32], Mask]:
    """HU before blur and noise, and the pancreas, of one box of voxels.

    points: body coordinates. scan_y: the scan's own y, which the couch follows. coarse, fine:
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
        near = level(points, pancreas.path, np.add(pancreas.radii, margin))
        image[near <= 1 + abdomen.lobes * coarse] = hu["visceral"]
    for organ in abdomen.vessels:
        paint_organ(image, cavity, points, organ, fine)
    if pancreas.reaches(points, 0.1):
        distance = level(points, pancreas.path, pancreas.radii)
        inside = distance <= 1 + abdomen.lobes * (coarse + fine)
        image[inside] = pancreas.hu + pancreas.uneven * fine[inside]
    return image, inside


def paint_body(
    points: Points, scan_y: Field, coarse: Field, abdomen: Abdomen
) -> tuple[NDArray[np.float32], Mask]:
    """Air, couch, skin, fat, muscles and ribs; and where organs may lie."""
    x, y, z = points
    hu = abdomen.hu
    u, v = x / BODY[0], y / BODY[1]
    radius = np.sqrt(u**2 + v**2 - 0.3 * u**2 * v**2)
    image = np.full(x.shape, AIR, np.float32)
    image[(scan_y > COUCH) & (scan_y < COUCH + 0.1)] = -940
    for top in (COUCH, COUCH + 0.08):
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
    distance = level(points, organ.path, organ.radii)
    whole = (distance <= 1) & cavity
    image[whole] = organ.wall_hu
    content = whole & (distance <= (1 - organ.wall) ** 2)
    image[content] = organ.hu + organ.uneven * fine[content]
    image[content & (points[1] < organ.gas)] = GAS


def paint_spine(image: NDArray[np.float32], points: Points, hu: Hounsfield) -> None:
    """Vertebrae with cortex, discs, spinal canal, arch and processes."""
    x, y, z = points
    height = np.abs(((z + 3) / 0.16) % 1 - 0.5)  # 0.5 in the middle of a disc, 0 of a vertebra
    disc = height > 0.4
    flat = np.stack([x, y, np.zeros_like(z)])
    body = level(flat, [(0, 0.345, 0)], (0.14, 0.11, 1))
    arch = level(flat, [(0, 0.46, 0)], (0.085, 0.075, 1)) <= 1
    spinous = (np.abs(x) < 0.022) & (y > 0.5) & (y < 0.6)
    transverse = (np.abs(x) < 0.26) & (np.abs(y - 0.44) < 0.025)
    image[(arch | spinous | transverse) & (height < 0.3)] = BONE - 100
    image[body <= 1] = BONE
    image[body <= 0.8] = hu["marrow"]
    image[(body <= 1) & (height > 0.36)] = BONE - 100  # end plates
    image[(body <= 1) & disc] = 90
    image[level(flat, [(0, 0.46, 0)], (0.055, 0.048, 1)) <= 1] = 35
