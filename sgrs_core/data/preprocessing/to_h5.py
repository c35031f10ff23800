"""One scan's source files -> its prepared h5 file: what the rule `prepare` does to each scan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sgrs_core.data.preprocessing import brats2019, custom, la, pancreas
from sgrs_core.data.preprocessing.common import as_mask, downsample
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

    A voxel is foreground if at least half of it is. Raises ValueError where nothing of the label is
    left, and as `downsample` does.
    """
    before = int(volume.provenance.get("downsample", 1))
    image, label = downsample(volume.placed(volume.image), factor), None
    if factor == 1:
        return volume
    if volume.label is not None:
        label = as_mask(downsample(volume.placed(volume.label), factor).array >= 0.5)
        if volume.label.any() and not label.any():
            raise ValueError(
                f"the label is zero everywhere once downsampled by {factor}: what it marks is too "
                "thin; choose a smaller factor, or leave the scan out"
            )
    return replace(
        volume,
        image=image.array.astype(np.float32),
        label=label,
        spacing=image.spacing,
        origin=image.origin,
        provenance={**volume.provenance, "downsample": str(before * factor)},
    )
