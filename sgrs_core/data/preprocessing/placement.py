"""Whether a pancreas label lies on a pancreas: what geometry in the headers cannot tell.

In the portal-venous phase the pancreas is soft tissue, brighter than the fat around it. A label
that was flipped or shifted against its CT mixes tissues and stands out from nothing. The bounds are
ours and wide; they were set on phantoms, not on the collection.
"""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from sgrs_core.data.masks import Mask, extent

SOFT_TISSUE = (0.0, 200.0)  # HU
LEAST_SOFT_TISSUE = 0.7  # share of the label's voxels
SHELL = 3.0  # mm, the thickness of what is called the surroundings
CLEARLY_BETTER = 20.0  # HU of contrast that a flipped label must have more to be believed
# The seven ways of flipping some of three axes.
FLIPS = [axes for count in (1, 2, 3) for axes in combinations(range(3), count)]


class Fit(NamedTuple):
    """How a label sits on a CT.

    mean: HU inside. soft_tissue: share of its voxels in SOFT_TISSUE. contrast: mean HU inside less
    mean HU of its surroundings.
    """

    mean: float
    soft_tissue: float
    contrast: float


def check_placement(image: NDArray[Any], mask: Mask, spacing: tuple[float, ...]) -> None:
    """Raise ValueError where the label (X, Y, Z) does not lie on a pancreas of the CT in HU.

    spacing: mm. An empty mask passes: other checks name it.
    """
    if not mask.any():
        return
    box, shell = surroundings(mask, spacing)
    stored = fit(image[box], mask[box], shell)
    for axes in FLIPS:
        # Flipping the CT about its middle is flipping the label, and needs no copy.
        other = fit(np.flip(image, axes)[box], mask[box], shell)
        better = other.contrast > stored.contrast + CLEARLY_BETTER
        if better and other.soft_tissue >= LEAST_SOFT_TISSUE:
            names = " and ".join("xyz"[axis] for axis in axes)
            raise ValueError(
                f"the label seems flipped along {names}: flipped back it stands out from its "
                f"surroundings by {other.contrast:.0f} HU, as stored by {stored.contrast:.0f}; "
                f"{REMEDY}"
            )
    low, high = SOFT_TISSUE
    if not low <= stored.mean <= high or stored.soft_tissue < LEAST_SOFT_TISSUE:
        raise ValueError(
            f"the label does not lie on soft tissue: mean {stored.mean:.0f} HU, "
            f"{stored.soft_tissue:.0%} of its voxels between {low:.0f} and {high:.0f} HU; "
            f"{REMEDY}"
        )
    if stored.contrast < 0:
        raise ValueError(
            f"the label seems shifted: inside it the CT is {-stored.contrast:.0f} HU darker than "
            f"around it; {REMEDY}"
        )


REMEDY = "do CT and label belong together, and is the label's header right?"


def fit(image: NDArray[Any], mask: Mask, shell: Mask) -> Fit:
    """How a label sits on a CT; the three arrays are cropped to one box."""
    inside, around = image[mask], image[shell]
    soft = (inside >= SOFT_TISSUE[0]) & (inside <= SOFT_TISSUE[1])
    mean = float(inside.mean())
    return Fit(mean, float(soft.mean()), mean - float(around.mean()))


def surroundings(mask: Mask, spacing: tuple[float, ...]) -> tuple[tuple[slice, slice, slice], Mask]:
    """A box around the label, and inside it the voxels up to SHELL mm away from the label."""
    reach = [max(round(SHELL / step), 1) for step in spacing]
    x, y, z = (extent(mask, axis, by) for axis, by in enumerate(reach))
    near = mask[x, y, z]
    grown: Mask = maximum_filter(near, [2 * by + 1 for by in reach], mode="constant")
    return (x, y, z), grown & ~near
