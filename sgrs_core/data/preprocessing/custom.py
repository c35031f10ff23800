"""A data set of one's own: a NIfTI image and a NIfTI label for each scan, in any folders."""

from pathlib import Path

import numpy as np

from sgrs_core.data.formats.images import check_grids, oriented_as, placed, voxel_position
from sgrs_core.data.formats.nifti import read_nifti_picture
from sgrs_core.data.preprocessing.common import prepare_own
from sgrs_core.data.preprocessing.provenance import provenance, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.settings import NiftiSettings


def prepare(root: Path, scan: str, settings: NiftiSettings) -> Volume:
    """Read, resample, window, crop and z-score one scan as its data set's file says.

    Raises FileNotFoundError and ValueError, naming the file or the scan, for a missing or damaged
    file, a label on another grid, a label without foreground, or a constant image.
    """
    files = settings.files(root, scan)
    picture = read_nifti_picture(files[0])
    image = placed(picture)
    label = placed(oriented_as(read_nifti_picture(files[1]), picture))
    check_grids(image, label, scan, (str(files[0]), str(files[1])))
    mask = np.isin(label.array, settings.foreground)
    if not mask.any():
        raise ValueError(
            f"{files[1]}: none of its values {np.unique(label.array)[:8].tolist()} is among "
            f"foreground = {list(settings.foreground)}; correct that setting, or leave the scan out"
        )
    with with_name(scan):
        prepared = prepare_own(image.array, mask, image.spacing, settings)
    spacing = (settings.voxel,) * 3 if settings.voxel else image.spacing
    return Volume(
        image=prepared.image,
        label=prepared.label,
        spacing=spacing,
        origin=voxel_position(prepared.start, spacing, image.origin, image.direction),
        direction=image.direction,
        provenance=provenance(
            files,
            "own NIfTI: resampling, window, crop in x and y, z-score of the crop",
            voxel=settings.voxel,
            window=settings.window,
            margin=settings.margin,
            foreground=" ".join(map(str, settings.foreground)),
        ),
    )
