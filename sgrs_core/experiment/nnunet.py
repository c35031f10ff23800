"""A folder in nnU-Net's layout as the keys of a data set: what dataset.json and the names say.

Sources of the layout: nnU-Net v2, documentation/dataset_format.md; v1, documentation/
dataset_conversion.md, whose dataset.json is the Medical Segmentation Decathlon's.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from sgrs_core.experiment.settings import SCAN

NO_STRUCTURE = ("background", "ignore")  # what nnU-Net calls labels of no class

Digits = Annotated[str, Field(pattern=r"^\d+$")]
ByNumber = Annotated[dict[Digits, str], Field(min_length=1)]
BY_NUMBER = "names by numbers in quotes, as in {'0': 'CT'}"
NEEDED = {  # in words
    "channel_names": BY_NUMBER,
    "modality": BY_NUMBER,
    "labels": "whole numbers, or lists of them, by names, as in {'heart': 1}; in nnU-Net's first "
    "version names by numbers in quotes",
    "file_ending": "an ending with its dot, as in '.nii.gz'",
    "name": "a text",
    "numTraining": "a whole number",
}


class FirstVersion(BaseModel, strict=True):
    """What is read of the first version's dataset.json, in which all files are .nii.gz."""

    modality: ByNumber
    labels: dict[Digits, str]


class SecondVersion(BaseModel, strict=True):
    """What is read of nnU-Net v2's."""

    channel_names: ByNumber
    labels: dict[str, int | list[int]]
    file_ending: Annotated[str, Field(pattern=r"^\.[^/]+$")]
    name: str = ""
    training_scans: int | None = Field(None, alias="numTraining")


def keys_of(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a data set that follow from the folder.

    given: the keys that its file writes; `channel`, `folds`, `splits.test` and `nifti.foreground`
    are looked at. Training scans with a label come first; images of the test folder are used where
    they have one, or are asked for. Raises ValueError, as `key = value: what is wrong`.
    """
    place = f"nnunet = {str(folder)!r}"
    try:
        described = _described(folder / "dataset.json")
    except (OSError, ValueError) as error:
        raise ValueError(f"{place}: {error}") from None
    ending = described.file_ending
    of_image = f"_{_channel(described.channel_names, given.get('channel')):04d}{ending}"
    images, labels = _names(folder / "imagesTr", of_image), _names(folder / "labelsTr", ending)
    if not images and len(described.channel_names) == 1:  # the Decathlon's have no channel
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
    if (told := described.training_scans or 0) > len(images):
        raise ValueError(
            f"{place}: dataset.json names {told} training scans (numTraining), and imagesTr holds "
            f"{len(images)} images that end in {of_image}"
        )
    test = [name for name in test_images if name in test_labels]
    part = "Tr"
    if not given.get("folds") and (_test_given(given) or test):
        part = "T[rs]"
        if twice := [name for name in test_images if name in images]:
            raise ValueError(
                f"{place}: imagesTr and imagesTs both hold {', '.join(twice[:8])}; give scans that "
                "are not the same different names, or set folds, which leaves imagesTs alone"
            )
    nifti = {"images": f"images{part}/{SCAN}{of_image}", "labels": f"labels{part}/{SCAN}{ending}"}
    return {
        "title": described.name or folder.name,
        "format": "nifti",
        "source": "raw",
        "folder": str(folder),
        "nifti": {**nifti, "foreground": _foreground(described.labels, given.get("nifti"))},
        "splits": {
            "train": sorted(images, key=lambda name: name not in labels),
            "test": test if test and not given.get("folds") else None,
        },
    }


def _described(file: Path) -> SecondVersion:
    """What dataset.json says, of either version. Raises ValueError, naming the file."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error})") from None
    try:
        if isinstance(values, dict) and "modality" in values and "channel_names" not in values:
            values = _as_second(FirstVersion.model_validate(values), values)
        return SecondVersion.model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{file}: {_mistake(error)}") from None


def _as_second(first: FirstVersion, values: Mapping[str, Any]) -> dict[str, Any]:
    """The first version in the second's keys, where names have numbers."""
    labels: dict[str, list[int]] = {}
    for value, name in first.labels.items():
        labels.setdefault(name, []).append(int(value))
    of_first = {"channel_names": first.modality, "file_ending": ".nii.gz"}
    return {**of_first, **values, "labels": labels}


def _mistake(error: ValidationError) -> str:
    """What the description lacks, or else its first mistake."""
    missing = [str(item["loc"][0]) for item in error.errors() if item["type"] == "missing"]
    if missing:
        return (
            f"lacks {', '.join(missing)}, which nnU-Net's second version asks (modality and "
            "labels, which its first one asks, would do)"
        )
    first = error.errors()[0]
    if not first["loc"]:
        return "needs keys and values"
    steps = [str(step) for step in first["loc"] if step not in ("[key]", "int", "list[int]")]
    return f"{'.'.join(steps)} = {first['input']!r}: needs {NEEDED[steps[0]]}"


def _test_given(given: Mapping[str, Any]) -> bool:
    """Whether the experiment's own file says which scans are tested."""
    splits = given.get("splits")
    return isinstance(splits, Mapping) and bool(splits.get("test"))


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
    if twice := [name for name, count in Counter(names.values()).items() if count > 1]:
        raise ValueError(
            f"channel = {wanted!r}: dataset.json calls several channels {', '.join(twice)}; give "
            "each a name of its own there, by which one can be chosen"
        )
    numbers = {name: int(number) for number, name in names.items()}
    if wanted is None and len(numbers) == 1:
        return next(iter(numbers.values()))
    if wanted not in [*numbers]:  # which may have no hash
        raise ValueError(
            f"channel = {wanted!r}: allowed are {', '.join(numbers)}; networks here read one"
        )
    return numbers[wanted]


def _foreground(labels: Mapping[str, int | list[int]], given: Any) -> list[int]:
    """The values of the only structure, or those that are given."""
    structures = {
        name: value if isinstance(value, list) else [value]
        for name, value in labels.items()
        if name not in NO_STRUCTURE
    }
    known = ", ".join(f"{value} ({name})" for name, value in structures.items())
    if isinstance(given, Mapping) and "foreground" in given:
        values = given["foreground"] if isinstance(given["foreground"], list) else []
        named = [value for several in structures.values() for value in several]
        if any(value not in named for value in values):
            raise ValueError(
                f"nifti.foreground = {values}: dataset.json's labels name {known or 'none'}"
            )
        return values
    if len(structures) == 1:
        return next(iter(structures.values()))
    raise ValueError(
        "nifti.foreground = None: a run segments one structure; "
        + (f"choose of {known}" if known else "dataset.json's labels name none")
    )
