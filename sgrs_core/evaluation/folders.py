"""What a path given on the command line means: scans, and pairs of a mask and a label."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread

from sgrs_core.data.formats.dicom import dicom_files
from sgrs_core.data.formats.image_files import READERS, suffix_of

PREPARED = ".h5"
NAMES = (*READERS, PREPARED)
VOXELS = (".raw", ".zraw", ".raw.gz")  # what headers of their own point at
PREDICTIONS = "predictions"  # the folder of a run's masks, beside their scores
CHANNEL = re.compile(r"_\d{4}$")  # nnU-Net's mark of an image's channel; its labels have none

logger = logging.getLogger(__name__)


def name_of(path: Path) -> str:
    """A scan's name: its file's or folder's without the ending; a link's own."""
    name = (path.resolve() if path.name in ("", "..") else path).name
    suffix = None if path.is_dir() else suffix_of(path, NAMES)
    return name[: -len(suffix)] if suffix else name


def is_prepared(path: Path) -> bool:
    """Whether it is a prepared scan, as training reads them."""
    return path.suffix.lower() == PREPARED and not path.is_dir()


def scans_of(path: Path) -> list[Path]:
    """The scans that a path means: itself, or what a folder holds unless it is one DICOM series.

    In a folder every file of a known name is a scan, and so is every folder with DICOM files. Where
    nothing is found the path stands for itself, for reading to say what is wrong.
    """
    if not path.is_dir():
        return [path]
    slices = dicom_files(path)
    if any(file.parent == path for file in slices):
        return [path]
    images = files_in(path)
    check_channels(path, images)
    if not images and len(series_among(slices)) == 1:
        return [path]
    folders = {path / file.relative_to(path).parts[0] for file in slices}
    others = sorted(one.name for one in path.iterdir() if one.is_dir() and one not in folders)
    if (images or folders) and others:
        logger.warning("%s: folders in it are not looked into: %s", path, ", ".join(others))
    return sorted([*images, *folders]) or [path]


def check_channels(folder: Path, images: Iterable[Path]) -> None:
    """Warn where images are several channels of scans, in nnU-Net's names.

    A number at the end of each name of one kind is a scan's own.
    """
    channels: dict[str, list[str]] = defaultdict(list)
    for name in filter(CHANNEL.search, map(name_of, images)):
        channels[CHANNEL.sub("", name)].append(name)
    several = next((names for names in channels.values() if len(names) > 1), None)
    if several and len(channels) > 1:
        logger.warning(
            "%s: %s are channels of one scan, and each gets a mask of its own: keep those of the "
            "channel that the network was trained with", folder, " and ".join(sorted(several)),
        )  # fmt: skip


def series_among(slices: Iterable[Path]) -> set[str]:
    """The series of DICOM files, as one file of each folder names it."""
    found = set()
    for file in {file.parent: file for file in slices}.values():
        try:
            header = dcmread(file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
            found.add(str(header.SeriesInstanceUID))
        except Exception:  # of damaged files; reading the scan says what is wrong
            found.add(str(file))
    return found


def files_in(folder: Path) -> list[Path]:
    """The images and prepared scans in a folder, by their names; a warning names other files.

    A link to nowhere is one, too: reading it says what is missing.
    """
    files = [path for path in sorted(folder.iterdir()) if not path.is_dir() and path.name[0] != "."]
    found = [path for path in files if suffix_of(path, NAMES)]
    others = [path.name for path in files if not suffix_of(path, (*NAMES, *VOXELS))]
    if found and others:
        logger.warning("%s: left out, for their names: %s", folder, ", ".join(others))
    return found


def pairs_of(masks: Path, labels: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Mask and label by the label's name, and a sentence for each file that has no partner.

    masks, labels: two files, or two folders. There a mask may have the mark of nnU-Net's images,
    which the masks of such images keep. Raises ValueError where one is a folder and one is not,
    and FileNotFoundError where a folder has no image.
    """
    if masks.is_dir() != labels.is_dir():
        raise ValueError(f"{masks} and {labels}: give two files, or two folders")
    if not masks.is_dir():
        return {name_of(masks): (masks, labels)}, []
    wanted, given = by_name(labels), by_name(masks)
    partners: dict[str, list[Path]] = defaultdict(list)
    for name, files in given.items():
        without = CHANNEL.sub("", name)
        partners[without if without in wanted and name not in wanted else name] += files
    pairs, faults = {}, []
    for name in sorted({*wanted, *partners}):
        of_masks, of_labels = partners.get(name, []), wanted.get(name, [])
        if len(of_masks) == len(of_labels) == 1:
            pairs[name] = (of_masks[0], of_labels[0])
        elif not of_masks or not of_labels:
            missing, where = ("label", labels) if of_masks else ("mask", masks)
            faults += [f"{file}: no {missing} {name} in {where}" for file in of_masks + of_labels]
        else:
            several = ", ".join(map(str, of_masks + of_labels))
            faults.append(f"{several}: more than one mask or label of {name}")
    return pairs, faults


def check_table(file: Path | None, *read: Path) -> None:
    """Raise ValueError or FileNotFoundError where a table may not be written; None: none is.

    read: the files or folders that it is made from.
    """
    if file is None:
        return
    if file.suffix != ".csv":
        raise ValueError(f"{file}: allowed are names that end in .csv")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"{file.parent}: no such folder, for {file}")
    if file.is_dir():
        raise ValueError(f"{file}: a folder; give the name of a file")
    if not file.exists():
        return
    run = file.absolute().parents[1]
    if (file.parent / PREDICTIONS).is_dir() or (run / "record.json").is_file():
        raise ValueError(f"{file}: a run's own scores are not replaced; write elsewhere")
    if any(one.exists() and file.samefile(one) for one in read):
        raise ValueError(f"{file}: the table is made from this file; write elsewhere")


def prepared_of(mask: Path) -> Path | None:
    """The prepared scan on whose voxels a run of the workflow made a mask; None for other masks."""
    place = mask.absolute().parent
    if place.name != PREDICTIONS:
        return None
    for dataset in place.parents:
        scan = dataset.parent / "volumes" / dataset.name / f"{name_of(mask)}{PREPARED}"
        if scan.is_file():
            return scan
    return None


def by_name(folder: Path) -> dict[str, list[Path]]:
    """The images in a folder by their names, of which several may share one."""
    found: dict[str, list[Path]] = defaultdict(list)
    for file in files_in(folder):
        found[name_of(file)].append(file)
    if not found:
        masks = sorted([*folder.glob(PREDICTIONS), *folder.glob(f"*/{PREDICTIONS}")])
        hint = f"; its masks are in {' and '.join(map(str, masks))}" if masks else ""
        names = ", ".join(NAMES)
        raise FileNotFoundError(f"{folder}: no file there whose name ends in {names}{hint}")
    return found
