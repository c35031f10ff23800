"""Lists of prepared scans: what stands in one can serve, and is what is read later."""

import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sgrs_core.data.volumes import (
    SAME_SPACING,
    Volume,
    check_place,
    read_description,
    read_volume,
)
from sgrs_core.digests import list_files, read_digests
from sgrs_core.files import sha256_of
from sgrs_core.log import in_one_line

LARGEST_DEVIATION = 20  # of a standardised image: more are raw intensities

logger = logging.getLogger(__name__)


def list_prepared(
    path: Path, files: Sequence[Path], labelled: Collection[str], others: Sequence[Path] = ()
) -> None:
    """Check prepared scans and write their list, with digests.

    labelled: the names of those whose label is used. others: the data set's scans of other lists,
    as far as they are prepared. Warns of what looks like a mistake and may be none. Raises
    ValueError, naming every file that cannot serve and why, and writes no list then.
    """
    faults = []
    for file in files:
        try:
            volume = read_prepared(file, file.stem in labelled)
            check_place(file, volume)
            if (deviation := float(volume.image.std())) > LARGEST_DEVIATION:
                logger.warning(
                    "%s: its values deviate by %g, after a z-score by about 1; is it one?",
                    file, deviation,
                )  # fmt: skip
        except ValueError as error:
            faults.append(in_one_line(error, file))
    if faults:
        lines = "\n  ".join(faults)  # the first in the first line, which status shows
        raise ValueError(
            f"{len(faults)} of {len(files)} scans cannot serve: {lines}\n"
            "Mend their source files, or take them out of the split lists; a prepared file that "
            "was damaged is made again where it is deleted"
        )
    warn_of_voxels(files)
    for one, other in twins([*files, *filter(Path.is_file, others)]):
        if {one, other} & set(files):
            logger.warning(
                "%s, %s: one image under two names. If a run learns from one and is tested on the "
                "other, its score is worth nothing: take one out of the split lists", one, other,
            )  # fmt: skip
    list_files(path, files)


def warn_of_voxels(files: Sequence[Path]) -> None:
    """Say which scans have the largest and the smallest voxels, where they differ."""
    sizes = np.array([read_description(file)["spacing"] for file in files])
    if (sizes.max(axis=0) / sizes.min(axis=0) > 1 + SAME_SPACING).any():
        volumes = sizes.prod(axis=1)
        ends = (f"{files[at]} {sizes[at].tolist()}" for at in (volumes.argmin(), volumes.argmax()))
        logger.warning(
            "voxels differ in size (mm): %s; distances in voxels are then of several lengths. Is a "
            "header wrong? nifti.voxel brings scans of one's own to one size", " and ".join(ends),
        )  # fmt: skip


def twins(files: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Pairs of scans with the same image, voxel for voxel; prepared alike, so packed as large.

    A damaged file is passed over: the list that it belongs in names it.
    """
    alike: dict[tuple[Any, ...], list[Path]] = {}
    for file in files:
        with suppress(OSError, KeyError), h5py.File(file) as opened:
            image = opened["image"]
            alike.setdefault((image.shape, image.id.get_storage_size()), []).append(file)
    for some in alike.values():
        first: dict[bytes, Path] = {}
        for file in some if len(some) > 1 else ():
            with h5py.File(file) as opened:
                digest = hashlib.sha256(opened["image"][()].tobytes()).digest()
            if digest in first:
                yield first[digest], file
            first.setdefault(digest, file)


def read_prepared(file: Path, label_is_used: bool) -> Volume:
    """A prepared scan. Raises ValueError, naming it, for one that cannot be learnt or tested on."""
    volume = read_volume(file)
    if volume.image.min() == volume.image.max():
        raise ValueError(f"{file}: all its voxels are {volume.image.flat[0]:g}: the image is empty")
    if label_is_used and (volume.label is None or not volume.label.any()):
        fault = "it has no label" if volume.label is None else "its label is empty"
        raise ValueError(f"{file}: {fault}, and it is a labelled or a test scan")
    return volume


def listed_digests(files: Mapping[str, Path], inputs: Iterable[str]) -> dict[str, str]:
    """What the lists among a job's inputs say each scan's file hashes to, by its name.

    Raises ValueError, naming the file, for one that stands in none.
    """
    lists = [path for path in map(Path, inputs) if path.suffix == ".sha256"]
    listed = {
        path.parent / name: digest for path in lists for name, digest in read_digests(path).items()
    }
    for file in files.values():
        if file not in listed:
            raise ValueError(f"{file}: stands in no list of prepared scans; start again")
    return {name: listed[file] for name, file in files.items()}


def check_unchanged(files: Mapping[str, Path], digests: Mapping[str, str]) -> None:
    """Raise ValueError, naming the file, for a scan that is not what its list says."""
    for name, file in files.items():
        if sha256_of(file) != digests[name]:
            raise ValueError(
                f"{file}: it was changed after it was listed in {file.parent}.*.sha256. Delete the "
                "scan to have it prepared again, or the list to take the scan as it is"
            )
