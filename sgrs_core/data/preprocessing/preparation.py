"""How a run's scans were prepared, kept with its weights, so that a new scan can be prepared alike.

No SimpleITK here: training notes this, and machines that only train may lack it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from sgrs_core.data.volumes import read_geometry
from sgrs_core.experiment.originals import Format
from sgrs_core.experiment.settings import NiftiSettings

TOWARDS = (("L", "R"), ("P", "A"), ("S", "I"))  # where x, y, z grow and fall, as DICOM has them
SAME_SPACING = 0.01  # a share: spacings that differ by less are one
# Prepared files that others wrote carry no directions; these are the original files'.
USUAL_ORIENTATION: dict[Format, str] = {
    "la": "LPS",
    "pancreas": "LAI",
    "brats2019": "LPS",
    "nifti": "LPS",
}


@dataclass(frozen=True)
class Preparation:
    """What the network's input was, in all but the values.

    format: whose steps prepared it. orientation: where the arrays' axes run to, as SimpleITK writes
    it: LPS is left, back (posterior), head (superior). orientation_known: whether the scans' files
    said so. spacing: mm along those axes, before downsampling; None where the scans differ and were
    left as they are. nifti: the settings of a data set of one's own.
    """

    format: Format
    orientation: str
    orientation_known: bool
    spacing: tuple[float, ...] | None
    downsample: int = 1
    nifti: Mapping[str, Any] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """As plain values, for model files."""
        return asdict(self)

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """What `description` described; raises TypeError or ValueError where it is not that."""
        preparation = cls(**values)
        if preparation.format == "nifti":
            NiftiSettings(**preparation.nifti)
        return preparation

    @property
    def own(self) -> NiftiSettings:
        """The settings of a data set of one's own."""
        return NiftiSettings(**self.nifti)

    @property
    def is_around_the_label(self) -> bool:
        """Whether scans were cropped to a box around their label, which a new scan has not."""
        if self.format == "nifti":
            return self.own.margin is not None
        return self.format in ("la", "pancreas")


def preparation_of(how: Mapping[str, Any], files: Sequence[Path]) -> Preparation:
    """The preparation of a run's scans, from `Plan.preparation_of_new` and their prepared files."""
    factor = how["downsample"]
    geometries = [read_geometry(file) for file in files]
    orientations = [orientation_of(direction) for _, direction in geometries]
    # Most scans' one where they differ; then the network has seen several, and this one most often.
    orientation = Counter(orientations).most_common(1)[0][0]
    spacings = np.array(
        [
            spacing
            for (spacing, _), other in zip(geometries, orientations, strict=True)
            if other == orientation
        ]
    )
    usual = np.median(spacings, axis=0)
    alike = bool((np.abs(spacings / usual - 1) <= SAME_SPACING).all())
    return Preparation(
        format=how["format"],
        orientation=orientation if how["geometry"] else USUAL_ORIENTATION[how["format"]],
        orientation_known=how["geometry"],
        spacing=tuple((usual / factor).tolist()) if alike else None,
        downsample=factor,
        nifti=dict(how["nifti"]),
    )


def orientation_of(direction: Sequence[float]) -> str:
    """Where an image's axes run to, as SimpleITK writes it: LPS for the identity.

    direction: 3x3 cosines, row-major; oblique axes go with the nearest of the patient's.
    """
    cosines = np.reshape(direction, (3, 3)).copy()  # a column for each of the image's axes
    letters = [""] * 3
    for _ in range(3):  # the clearest pair first
        patients, images = np.unravel_index(np.abs(cosines).argmax(), cosines.shape)
        letters[images] = TOWARDS[patients][int(cosines[patients, images] < 0)]
        cosines[patients, :] = cosines[:, images] = 0
    return "".join(letters)
