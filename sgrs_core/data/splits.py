"""Which scans are for training, testing and choosing checkpoints."""

from pathlib import Path
from typing import NamedTuple

from sgrs_core.schema import Dataset


class SplitLists(NamedTuple):
    """Scan names in the published order; labelled scans are the first ones of `train`."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...]


def read_splits(dataset: Dataset, root: Path) -> SplitLists:
    """The data set's lists (`root`: the config folder), or a phantom's own names.

    Raises ValueError, naming the file, for an empty list or a scan that stands in two lists.
    """
    if dataset.source == "phantom":
        assert dataset.phantom is not None  # the schema has checked it
        return SplitLists(
            train=_phantom_names("train", dataset.phantom.train_scans),
            test=_phantom_names("test", dataset.phantom.test_scans),
            validation=(),
        )
    files = dataset.splits
    lists = SplitLists(
        train=_read_list(root / files.train),
        test=_read_list(root / files.test),
        validation=_read_list(root / files.validation) if files.validation else (),
    )
    names = [name for part in lists for name in part]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{root / files.train} and its sisters: {twice[0]} stands in two places")
    return lists


def _phantom_names(part: str, count: int) -> tuple[str, ...]:
    return tuple(f"phantom_{part}_{number:03d}" for number in range(count))


def _read_list(file: Path) -> tuple[str, ...]:
    """One name a line; what follows a comma belongs to other tools."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: split list not found")
    lines = file.read_text(encoding="utf-8").splitlines()
    names = tuple(line.split(",")[0].strip() for line in lines if line.strip())
    if not names:
        raise ValueError(f"{file}: the split list is empty")
    return names
