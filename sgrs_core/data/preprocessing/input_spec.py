"""What a network's input is, kept with its weights so that a new scan can be prepared alike.

It describes the prepared scans of a run; what prepares a scan is `to_h5.py`, and a new one, without
a label, `new_scan.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from sgrs_core.data.formats.images import orientation_of
from sgrs_core.data.volumes import SAME_SPACING, Axes, read_description
from sgrs_core.experiment.originals import Format
from sgrs_core.experiment.settings import PANCREAS, NiftiSettings

# Prepared files that others wrote carry no directions; the original files' are LPS, but for:
USUAL_ORIENTATION: dict[Format, str] = {"pancreas": "LAI"}


@dataclass(frozen=True)
class InputSpec:
    """What the network's input was, in all but the values.

    format: whose steps prepared it. orientation: where the arrays' axes run to, as SimpleITK writes
    it: LPS is left, back (posterior), head (superior). orientation_known: whether the scans' files
    said so. spacing: mm along those axes, before downsampling; None where the scans differ and were
    left as they are. nifti: the settings of a custom data set. least_intensity: the median
    of what its scans' intensities begin at; None where their files do not say so. axes: the order
    in which files that others prepared store them. preprocessing: what the scans' files say was
    done to them; None where they do not, or do not agree.
    """

    format: Format
    orientation: str
    orientation_known: bool
    spacing: tuple[float, ...] | None
    downsample: int = 1
    nifti: Mapping[str, Any] = field(default_factory=dict)
    least_intensity: float | None = None
    axes: Axes = "xyz"
    preprocessing: str | None = None

    def description(self) -> dict[str, Any]:
        """As plain values, for model files."""
        return asdict(self)

    @classmethod
    def from_description(cls, values: Mapping[str, Any]) -> Self:
        """What `description` described; raises TypeError or ValueError where it is not that."""
        spec = cls(**values)
        if spec.format == "nifti":
            NiftiSettings(**spec.nifti)
        return spec

    @property
    def steps(self) -> NiftiSettings | None:
        """Resampling, window and crop around the label; None for LA and BraTS2019."""
        if self.format == "nifti":
            return NiftiSettings(**self.nifti)
        return PANCREAS if self.format == "pancreas" else None

    @property
    def is_scored_around_the_label(self) -> bool:
        """Whether the z-score was over a crop around the label, which a new scan has not.

        It is looked at twice then.
        """
        steps = self.steps
        return steps is not None and steps.margin is not None and steps.crop != "body"

    @property
    def is_around_the_label(self) -> bool:
        """Whether scans were cropped to a box around their label, which a new scan has not."""
        return self.format == "la" or self.is_scored_around_the_label

    @property
    def window(self) -> tuple[float, float] | None:
        """The intensities that were clipped to, if any."""
        return self.steps.window if self.steps else None


def input_spec_of(how: Mapping[str, Any], files: Sequence[Path]) -> InputSpec:
    """The input of a run, from `Plan.preparation_of_new` and its scans' prepared files.

    The files say by how much they were downsampled: a prepared file may have been before it came.
    """
    scans = [read_description(file) for file in files]
    factors = Counter(int(scan["provenance"].get("downsample", 1)) for scan in scans)
    factor = factors.most_common(1)[0][0]
    orientations = [orientation_of(scan["direction"]) for scan in scans]
    # Most scans' one where they differ; then the network has seen several, and this one most often.
    orientation = Counter(orientations).most_common(1)[0][0]
    pairs = zip(scans, orientations, strict=True)
    spacings = np.array([scan["spacing"] for scan, other in pairs if other == orientation])
    usual = np.median(spacings, axis=0)
    alike = bool((np.abs(spacings / usual - 1) <= SAME_SPACING).all())
    least = [scan["provenance"].get("least_intensity") for scan in scans]
    done = {scan["provenance"].get("preprocessing") for scan in scans}
    return InputSpec(
        format=how["format"],
        orientation=orientation if how["geometry"] else USUAL_ORIENTATION.get(how["format"], "LPS"),
        orientation_known=how["geometry"],
        spacing=tuple((usual / factor).tolist()) if alike else None,
        downsample=factor,
        nifti=dict(how["nifti"]),
        least_intensity=None if None in least else float(np.median(np.array(least, float))),
        axes=how.get("axes", "xyz"),
        preprocessing=done.pop() if len(done) == 1 else None,
    )
