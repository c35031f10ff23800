"""What the formats share on the way from a scan's original files to its Volume."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgrs_core import __version__
from sgrs_core.data.formats.dicom import dicom_files
from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.quiet import said_by_itk
from sgrs_core.data.preprocessing.common import Prepared
from sgrs_core.data.volumes import Volume
from sgrs_core.files import sha256_of


def foreground_of(
    label: NDArray[Any], classes: Sequence[int], file: Path, owner: str
) -> NDArray[np.bool_]:
    """Where a label is of one of its classes; ValueError, naming the file, for values beside 0.

    owner: whose file it should be, as in "the challenge's".
    """
    values = np.unique(label)
    if not np.isin(values, (0, *classes)).all():
        raise ValueError(
            f"{file}: label values {values[:6].tolist()}, allowed are 0 and "
            f"{', '.join(map(str, classes))}; is it {owner} file?"
        )
    mask: NDArray[np.bool_] = label != 0
    return mask


def to_volume(
    prepared: Prepared,
    original: PlacedImage,
    provenance: Mapping[str, str],
    voxel: float | None = None,
) -> Volume:
    """A prepared crop at its place in the patient.

    original: what it was cropped from. voxel: mm, where it was resampled to cubes before.
    """
    grid = original if voxel is None else original._replace(spacing=(voxel,) * 3)
    image, label, start = prepared
    place = grid.spacing, grid.position(start), grid.direction
    return Volume(image, label, *place, provenance)


def provenance(files: Sequence[Path], preprocessing: str, **parameters: object) -> dict[str, str]:
    """Digests of the sources, what was done to them with which parameters, our version.

    files: with folders of DICOM series; told by their names, and by as many of their folders' as
    tell them apart.
    """
    depths = range(1, 1 + max(len(file.parts) for file in files))
    namings = (["/".join(file.parts[-depth:]) for file in files] for depth in depths)
    names = next(names for names in namings if len(set(names)) == len(files))
    return {
        **{f"sha256 {name}": digest_of(file) for name, file in zip(names, files, strict=True)},
        "preprocessing": preprocessing,
        **{name: str(value) for name, value in parameters.items()},
        "sgrs_core": __version__,
    }


def digest_of(source: Path) -> str:
    """SHA-256 of a file; of a DICOM series, of the lines that `sha256sum` would write, by name."""
    if source.is_file():
        return sha256_of(source)
    lines = sorted(f"{file.name}  {sha256_of(file)}\n" for file in dicom_files(source))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def with_name(scan: object) -> Iterator[None]:
    """Put the scan's name in front of what a block raises that knows arrays only.

    ITK's and numpy's errors, mostly for want of memory, become ValueErrors, too.
    """
    try:
        yield
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{scan}: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"{scan}: {said_by_itk(error)}") from error
