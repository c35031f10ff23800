"""Whether a data set's source has every scan of its lists, asked before the first job starts."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path

import h5py

from sgrs_core.digests import read_digests
from sgrs_core.experiment.schema import Dataset
from sgrs_core.experiment.splits import SplitLists

NAMED = 5  # missing scans that an error lists by name


def absent_scans(dataset: Dataset, lists: SplitLists, root: Path) -> tuple[str, ...]:
    """The withdrawn scans of the lists that the data set's source does not have.

    root: the config folder. Who fetched them in time goes on with all scans.
    """
    if dataset.withdrawn is None or dataset.source == "phantom":
        return ()
    withdrawn = [name for name in dataset.withdrawn.scans if name in lists.scans()]
    if dataset.downloads_originals:
        return tuple(withdrawn)
    return tuple(missing_scans(dataset, withdrawn, root))


def check_names_of_files(dataset: Dataset, lists: SplitLists) -> None:
    """Raise ValueError, as `key = value: what is wrong`, where a scan of one's own has two images.

    Or two labels, or one file as both.
    """
    if dataset.source == "raw" and dataset.custom:
        for scan in lists.scans():
            dataset.custom.files(Path(dataset.folder or ""), scan)


def came_downsampled(dataset: Dataset, lists: SplitLists) -> int:
    """By how much the scans of `local` were downsampled before they came, as the first one says.

    1 where its file does not say so, is not there, or is none: other checks name it.
    """
    if dataset.source != "local":
        return 1
    try:
        with h5py.File(dataset.files_of(lists.scans()[0])[0]) as file:
            return int(json.loads(file.attrs.get("provenance", "{}")).get("downsample", 1))
    except (OSError, TypeError, ValueError, AttributeError):
        return 1


def check_presence(
    dataset: Dataset, lists: SplitLists, root: Path, labelled: Collection[str] = ()
) -> None:
    """Raise ValueError, as `key = value: what is wrong`, unless the source has every scan.

    labelled: scans whose label is used, which a data set of one's own must have. Nothing is asked
    of phantoms and of files that are fetched from their owner.
    """
    if dataset.source == "phantom" or dataset.downloads_originals:
        return
    place = f"folder = {dataset.folder!r}"
    if dataset.source == "mirror" and dataset.mirror is not None:
        place = f"mirror.digests = {dataset.mirror.digests!r}"
        if not (root / dataset.mirror.digests).is_file():
            raise ValueError(f"{place}: no such file below {root}")
    elif not Path(dataset.folder or "").is_dir():
        raise ValueError(f"{place}: no such folder. {dataset.access}".strip())
    missing = missing_scans(dataset, lists.scans(), root)
    if missing:
        expected = " and ".join(dataset.files_of(missing[0]))
        raise ValueError(
            f"{place}: {len(missing)} of {len(lists.scans())} scans of the lists are not there: "
            f"{_some(missing)}; looked for {expected}"
        )
    before = came_downsampled(dataset, lists)
    if before > 1 and dataset.downsample > 1:
        raise ValueError(
            f"downsample = {dataset.downsample}: {dataset.files_of(lists.scans()[0])[0]} came "
            f"downsampled by {before}, and would be so again, by {before * dataset.downsample} in "
            "all; downsample: 1 leaves such scans as they are"
        )
    nobody_labelled = [scan for scan in labelled if not dataset.has_label(scan)]
    if nobody_labelled and dataset.custom:
        needed = (
            "those of the test scans, of scans that choose a checkpoint, and of the first ones of "
            "splits.train, as many as the rows of tables and figures take (all_labelled: every one)"
        )
        if dataset.folds:
            there = sum(map(dataset.has_label, lists.train))
            needed = (
                f"as many as the rows of tables and figures take, besides those that a fold tests "
                f"on: with folds = {dataset.folds} and {there} labels, labelled can be at most "
                f"{there - -(-there // dataset.folds)}"
            )
        raise ValueError(
            f"{place}: {len(nobody_labelled)} scans that need a label have none: "
            f"{of_labels(dataset, nobody_labelled)}. Needed are {needed}"
        )


def of_labels(dataset: Dataset, scans: Sequence[str]) -> str:
    """Which scans lack a label, and where the first one's was looked for."""
    assert dataset.custom is not None  # of other data sets only a job knows
    file = dataset.custom.files(Path(dataset.folder or ""), scans[0])[1]
    return f"{_some(scans)}; looked for {file}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def missing_scans(dataset: Dataset, names: Sequence[str], root: Path) -> list[str]:
    """The scans of which a mirror's list or a folder lacks a file."""
    if dataset.source == "mirror" and dataset.mirror is not None:
        listed = read_digests(root / dataset.mirror.digests)
        return [name for name in names if dataset.prepared_file_of(name) not in listed]
    return [
        name for name in names if not all(Path(file).exists() for file in dataset.files_of(name))
    ]
