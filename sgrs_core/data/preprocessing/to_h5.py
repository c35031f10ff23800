"""One scan's source files -> its prepared h5 file: what the rule `prepare` does to each scan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sgrs_core.data.formats.images import voxel_position
from sgrs_core.data.preprocessing import brats2019, custom, la, pancreas
from sgrs_core.data.preprocessing.common import downsample, first_middle
from sgrs_core.data.preprocessing.reading import with_name
from sgrs_core.data.volumes import Axes, Volume, read_volume, write_volume
from sgrs_core.experiment.originals import Format
from sgrs_core.experiment.settings import NiftiSettings


def prepare_original(
    form: Format,
    root: Path,
    scan: str,
    options: Mapping[str, Any],
    factor: int,
    output: Path,
    label_is_used: bool = True,
) -> None:
    """Prepare a scan from its owners' files below `root`; `factor` averages blocks of voxels.

    options: further arguments of the format's `prepare`; for `nifti`, the fields of NiftiSettings.
    label_is_used: whether it needs a label; those of the paper's data sets have one anyway.
    """
    if form == "nifti":
        volume = custom.prepare(root, scan, NiftiSettings(**options), label_is_used)
    else:
        prepare = {"la": la.prepare, "pancreas": pancreas.prepare, "brats2019": brats2019.prepare}
        volume = prepare[form](root, scan, **options)
    with with_name(scan):
        volume = reduce(volume, factor)
    write_volume(output, volume)


def copy_prepared(
    source: Path, spacing: tuple[float, ...], axes: Axes, factor: int, output: Path
) -> None:
    """Check and copy a scan that others prepared; `spacing` (mm) where its file carries none."""
    volume = read_volume(source, spacing, axes)
    with with_name(source):
        volume = reduce(volume, factor)
    write_volume(output, volume)


def reduce(volume: Volume, factor: int) -> Volume:
    """A volume on a grid coarser by `factor` along each axis, at the same place in space.

    Raises ValueError where nothing of the label is left.
    """
    if factor == 1:
        return volume
    image, label = downsample(volume.image, volume.label, factor)
    if label is not None and np.any(volume.label) and not label.any():
        raise ValueError(
            f"the label is zero everywhere once downsampled by {factor}: what it marks is too "
            "thin; choose a smaller factor, or leave the scan out"
        )
    middle = first_middle(factor)
    return replace(
        volume,
        image=image,
        label=label,
        spacing=tuple(side * factor for side in volume.spacing),
        origin=voxel_position(middle, volume.spacing, volume.origin, volume.direction),
        provenance={**volume.provenance, "downsample": str(factor)},
    )
