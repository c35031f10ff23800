"""A folder in nnU-Net's layout as the keys of a data set: what dataset.json and the names say.

Sources of the layout: nnU-Net v2, documentation/dataset_format.md; v1, documentation/
dataset_conversion.md, whose dataset.json is the Medical Segmentation Decathlon's.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgrs_core.experiment.settings import SCAN

NEEDED: dict[str, type] = {"channel_names": dict, "labels": dict, "file_ending": str}
NO_STRUCTURE = ("background", "ignore")  # what nnU-Net calls labels of no class


def keys_of(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a data set that follow from the folder.

    given: the keys that its file writes; `channel`, `folds` and `nifti.foreground` are looked at.
    Training scans with a label come first; images of the test folder are used where they have one.
    Raises ValueError, as `key = value: what is wrong`.
    """
    place, file = f"nnunet = {str(folder)!r}", folder / "dataset.json"
    try:
        described = _of_second_version(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:  # the last: no keys at its top
        raise ValueError(f"{place}: {file} cannot be read ({error})") from None
    if missing := [key for key in NEEDED if key not in described]:
        raise ValueError(
            f"{place}: dataset.json lacks {', '.join(missing)}, which nnU-Net's second version "
            "asks (modality and labels, which its first one asks, would do)"
        )
    for key, kind in NEEDED.items():
        if not isinstance(described[key], kind):
            wish = "needs keys and values" if kind is dict else "needs a text"
            raise ValueError(f"{place}: {file}: {key} = {described[key]!r}: {wish}")
    ending = described["file_ending"]
    of_image = f"_{_channel(described['channel_names'], given.get('channel')):04d}{ending}"
    images, labels = _names(folder / "imagesTr", of_image), _names(folder / "labelsTr", ending)
    if not images and len(described["channel_names"]) == 1:  # the Decathlon's have no channel
        images = _names(folder / "imagesTr", ending)
        of_image = ending if images else of_image
    if not images:
        raise ValueError(f"{place}: imagesTr holds no image whose name ends in {of_image}")
    test_images, test_labels = (
        _names(folder / part, end) for part, end in (("imagesTs", of_image), ("labelsTs", ending))
    )
    lost = [
        *(f"labelsTr/{name}{ending}" for name in labels if name not in images),
        *(f"labelsTs/{name}{ending}" for name in test_labels if name not in test_images),
    ]
    if lost:
        raise ValueError(f"{place}: {len(lost)} labels have no image: {', '.join(lost[:8])}")
    told = described.get("numTraining")
    if isinstance(told, int) and told > len(images):
        raise ValueError(
            f"{place}: dataset.json names {told} training scans (numTraining), and imagesTr holds "
            f"{len(images)} images that end in {of_image}"
        )
    test = [name for name in test_images if name in test_labels]
    nifti = {"images": f"images*/{SCAN}{of_image}", "labels": f"labels*/{SCAN}{ending}"}
    return {
        "title": described.get("name", folder.name),
        "format": "nifti",
        "source": "raw",
        "folder": str(folder),
        "nifti": {**nifti, "foreground": _foreground(described["labels"], given.get("nifti"))},
        "splits": {
            "train": sorted(images, key=lambda name: name not in labels),
            "test": test if test and not given.get("folds") else None,
        },
    }


def _of_second_version(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """What dataset.json says, of the first version in the second's keys.

    There, labels are names by numbers, and all files are .nii.gz.
    """
    if "channel_names" in described or not {"modality", "labels"} <= described.keys():
        return described
    labels: dict[str, list[int]] = {}
    for value, name in described["labels"].items():
        labels.setdefault(name, []).append(int(value))
    of_first = {"channel_names": described["modality"], "file_ending": ".nii.gz"}
    return {**of_first, **described, "labels": labels}


def _names(folder: Path, ending: str) -> list[str]:
    """The names of a folder's files without their ending, sorted; none without a folder."""
    if not folder.is_dir():
        return []
    files = sorted(file.name for file in folder.iterdir())
    return [
        name.removesuffix(ending)
        for name in files
        if name.endswith(ending) and not name.startswith(".")  # "._..." comes from macOS archives
    ]


def _channel(names: Mapping[str, str], wanted: Any) -> int:
    """The number of the channel to read; the only one, or the one of a name."""
    numbers = {name: int(number) for number, name in names.items()}
    if wanted is None and len(numbers) == 1:
        return next(iter(numbers.values()))
    if wanted not in numbers:
        raise ValueError(
            f"channel = {wanted!r}: allowed are {', '.join(numbers)}; networks here read one"
        )
    return numbers[wanted]


def _foreground(labels: Mapping[str, Any], given: Any) -> list[int]:
    """The values of the only structure, or those that are given."""
    if isinstance(given, Mapping) and "foreground" in given:
        return list(given["foreground"]) if isinstance(given["foreground"], list) else []
    structures = {
        name: value if isinstance(value, list) else [value]
        for name, value in labels.items()
        if name not in NO_STRUCTURE
    }
    if len(structures) == 1:
        return next(iter(structures.values()))
    known = ", ".join(f"{value} ({name})" for name, value in structures.items())
    raise ValueError(f"nifti.foreground = None: a run segments one structure; choose of {known}")
