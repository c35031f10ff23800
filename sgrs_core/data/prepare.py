"""From one scan's source files to its prepared h5 file."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sgrs_core.data.left_atrium import prepare_raw_la
from sgrs_core.data.preprocessing import downsample
from sgrs_core.data.volumes import Volume, read_volume, write_volume


def prepare_raw(folder: Path, scan: str, factor: int, output: Path) -> None:
    """Prepare a scan from the challenge's files in `folder`; `factor` averages blocks of voxels."""
    write_volume(output, reduce(prepare_raw_la(folder, scan), factor))


def prepare_mirrored(source: Path, spacing: tuple[float, ...], factor: int, output: Path) -> None:
    """Check and copy a scan that others prepared; `spacing` (mm) where its file carries none."""
    write_volume(output, reduce(read_volume(source, spacing), factor))


def reduce(volume: Volume, factor: int) -> Volume:
    """A volume on a grid coarser by `factor` along each axis, at the same place in space."""
    if factor == 1:
        return volume
    image, label = downsample(volume.image, volume.label, factor)
    # The first coarse voxel's centre lies in the middle of the block that it averages.
    offset = np.array(volume.spacing) * (factor - 1) / 2
    direction = np.array(volume.direction).reshape(3, 3)
    return replace(
        volume,
        image=image,
        label=label,
        spacing=tuple(side * factor for side in volume.spacing),
        origin=tuple(map(float, np.array(volume.origin) + direction @ offset)),
        provenance={**volume.provenance, "downsample": str(factor)},
    )
