"""Which scans are for training, testing and choosing checkpoints.

A cross-validation is several data sets, `spleen/fold-0` and so on: the same scans in other lists.
"""

import re
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sgrs_core.experiment.schema import Dataset

SCAN_NAME = re.compile(r"[^/\\.{}*'\"][^/\\{}*'\"]*")  # a folder, a file, a part of patterns
PARTS = ("train", "test", "validation")  # of a data set's scans; fields of SplitLists
LONGEST = 200  # bytes of a name; file systems take 255, and names get endings


class SplitLists(NamedTuple):
    """Scan names in the published order; labelled scans are the first ones of `train`.

    absent: names of the lists that no longer exist, for `labelled` and the others to leave out.
    A number of labelled scans always counts the published list, absent ones included.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def labelled(self, count: int) -> tuple[str, ...]:
        """The first `count` training scans, without absent ones."""
        return self.present(self.train[:count])

    def unlabelled(self, labelled: int) -> tuple[str, ...]:
        """The training scans after the first `labelled`, without absent ones."""
        return self.present(self.train[labelled:])

    def most_labelled(self) -> int:
        """The largest number of labelled scans that leaves an unlabelled one; 0 if none does."""
        there = (count for count, name in enumerate(self.train) if name not in self.absent)
        return max(there, default=0)

    def present(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names that are not absent."""
        return tuple(name for name in names if name not in self.absent)

    def scans(self) -> tuple[str, ...]:
        """All scans that there are."""
        return self.present((*self.train, *self.test, *self.validation))


def read_splits(dataset: Dataset, root: Path) -> SplitLists:
    """The data set's lists (`root`: the config folder), or a phantom's own names.

    Raises ValueError, naming the file, for an empty list, another number of scans than the data
    set's file says, or a scan that stands in two places.
    """
    if dataset.source == "phantom":
        assert dataset.phantom is not None  # the schema has checked it
        counts = dataset.phantom.model_dump()
        names = (
            tuple(f"phantom_{part}_{number:03d}" for number in range(counts[f"{part}_scans"]))
            for part in PARTS
        )
        return SplitLists(*names)
    given = {part: getattr(dataset.splits, part) for part in PARTS}
    places = {  # as errors name them
        part: str(root / one) if isinstance(one, str) else f"splits.{part}"
        for part, one in given.items()
    }
    lists = SplitLists(
        *(() if one is None else _read_list(one, places[part]) for part, one in given.items())
    )
    twice = sorted(name for name, count in Counter(chain(*lists[:3])).items() if count > 1)
    if twice:
        raise ValueError(f"{places['train']} and its sisters: {twice[0]} stands in two places")
    for part, expected in (dataset.splits.counts or {}).items():
        found = len(getattr(lists, part))
        if found != expected:
            raise ValueError(
                f"{places[part]}: {found} scans, but splits.counts.{part} says {expected}; is the "
                "list complete? (counts: null, where it is another list)"
            )
    return lists


def fold_lists(lists: SplitLists, folds: int, has_label: Callable[[str], bool]) -> list[SplitLists]:
    """The lists of each fold: its test scans, and all others for training.

    Scans with a label come in the order of their names' SHA-256, and every `folds`-th one is of one
    fold: nothing but names decides. A fold's training scans begin with the next fold's, so that
    folds differ in their labelled scans, too; those without a label end all of them. Raises
    ValueError where there are too few.
    """
    labelled = set(filter(has_label, lists.train))
    named = sorted(labelled, key=lambda scan: sha256(scan.encode()).digest())
    if len(named) < folds:
        raise ValueError(f"{len(named)} scans of splits.train have a label, fewer than folds")
    parts = [tuple(named[one::folds]) for one in range(folds)]
    unlabelled = tuple(scan for scan in lists.train if scan not in labelled)
    return [
        lists._replace(
            train=(*chain(*parts[one + 1 :], *parts[:one]), *unlabelled), test=parts[one]
        )
        for one in range(folds)
    ]


def base_of(name: str) -> str:
    """The data set that a fold is of; one that is no fold, itself."""
    return name.partition("/")[0]


def is_scan_name(name: str) -> bool:
    """Whether a name is one file or folder on every system, and only itself in a pattern.

    Snakemake puts names on the command lines of a cluster's jobs as Python writes texts, not as a
    shell reads them. Without quotes, backslashes and what Python escapes, the two are the same.
    """
    fits = name.isprintable() and len(name.encode()) <= LONGEST
    return fits and SCAN_NAME.fullmatch(name) is not None


def _read_list(given: str | list[str], place: str) -> tuple[str, ...]:
    """One name a line; what follows a comma belongs to other tools. Or the names themselves.

    place: the file, of a list that is given by its name.
    """
    lines = given
    if isinstance(given, str):
        if not Path(place).is_file():
            raise FileNotFoundError(f"{place}: split list not found")
        try:
            lines = Path(place).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{place}: not readable ({error}); save the list as UTF-8") from None
    names = tuple(line.split(",")[0].strip() for line in lines if line.strip())
    if not names:
        raise ValueError(f"{place}: the split list is empty")
    strange = [name for name in names if not is_scan_name(name)]
    if strange:
        raise ValueError(
            f"{place}: {strange[0]!r} cannot be a scan's name: allowed are printable file names of "
            f"up to {LONGEST} bytes without a leading dot and without / \\ {{ }} * ' \""
        )
    return names
