"""Pancreas-CT from The Cancer Imaging Archive: scans through the NBIA REST API, labels as one zip.

The API lists a collection's series and packs one series' DICOM files into a zip for every request,
so scans have no published digest: a scan is right when its zip is sound and holds as many images
as the list says.
"""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import urlencode

from sgrs_core.data.download.archives import ArchiveError, SoundZip, member_names, unpack
from sgrs_core.data.download.disk_space import space_fault
from sgrs_core.data.download.file import Received, RemoteFile, download
from sgrs_core.data.download.progress import Progress
from sgrs_core.data.download.retries import DownloadError, Patience, answer, size_of
from sgrs_core.data.download.together import run_together
from sgrs_core.digests import Digest
from sgrs_core.experiment.originals import PANCREAS_LABELS, PANCREAS_PATIENT
from sgrs_core.files import sha256_of

logger = logging.getLogger(__name__)

SHOWN = 80  # characters of a reply that is no list, in the error
PACKING = Patience(timeout=120.0)  # the server packs a zip before its first byte comes


@dataclass(frozen=True)
class Series:
    """One CT scan in the collection: its DICOM images, and their bytes where the list says."""

    uid: str
    patient: str
    images: int
    size: int | None


def list_series(api: str, collection: str, *, patience: Patience = PACKING) -> list[Series]:
    """The collection's CT series, one a patient.

    Raises DownloadError, naming the URL, for a reply that is no such list and for patients with
    several CT series.
    """
    url = _address(api, "getSeries", Collection=collection, format="json")

    def reply() -> bytes:
        with answer(url, patience.timeout) as response:
            return response.content

    body = patience.repeat(url, reply)
    try:
        series = [_series(entry) for entry in json.loads(body) if entry["Modality"] == "CT"]
    except (ValueError, KeyError, TypeError) as error:
        beginning = body[:SHOWN].decode("utf-8", "replace")
        raise DownloadError(
            f"{url}: expected a list of series as JSON, got {beginning!r} ({error!r}); "
            "check the address and the collection's name"
        ) from error
    counts = Counter(each.patient for each in series)
    several = [f"{each.patient}: {each.uid}" for each in series if counts[each.patient] > 1]
    if several:
        raise DownloadError(
            f"{url}: a patient must be one scan, but these have several CT series; leave these "
            f"patients out or ask the archive which is right: {', '.join(several)}"
        )
    return series


def download_pancreas(
    api: str,
    collection: str,
    labels_url: str,
    folder: Path,
    patients: Sequence[str],
    *,
    labels_sha256: str | None = None,
    workers: int = 4,
    patience: Patience = PACKING,
    progress: bool | None = None,
) -> None:
    """Have each patient's scan in <folder>/<patient>/*.dcm and the label maps beside them.

    Label maps: <folder>/TCIA_pancreas_labels-02-05-2017/label*.nii.gz. Folders appear whole or not
    at all, and those that are there with all their files are left alone. labels_sha256: of the
    labels' zip; None only checks that the zip is sound, its SHA-256 is in the log. progress:
    whether to draw a bar; None draws it where standard error is a terminal. Raises DownloadError:
    before the first scan for patients that the collection lacks and for too little room on the
    disk, or when all have been tried, naming each URL that failed and why.
    """
    listed = {series.patient: series for series in list_series(api, collection, patience=patience)}
    unlisted = [patient for patient in patients if patient not in listed]
    if unlisted:
        raise DownloadError(
            f"{api}: the collection {collection!r} has no CT series of {', '.join(unlisted)}; "
            "remove these patients from the lists of scans, or correct their names"
        )
    archives = [_scan(api, listed[patient], folder) for patient in dict.fromkeys(patients)]
    archives.append(_labels(labels_url, labels_sha256, folder, patients))
    missing = [archive for archive in archives if not archive.is_complete()]
    _check_space(missing, workers, patience, folder)
    there = len(archives) - len(missing)
    logger.info("%d of %d archives are there already", there, len(archives))
    jobs = {str(archive.folder): partial(archive.get, patience) for archive in missing}
    bar = Progress(len(archives), done=there, noun="archives", shown=progress)
    run_together(jobs, workers, bar)


@dataclass(frozen=True)
class _Archive:
    """A zip to unpack into a folder of its own.

    pattern: of the files to keep, which are found by their names in any folder of the zip. fault:
    what is wrong with these names, None where they are all there. size: their bytes, None where
    unknown; given the timeout for asking a server.
    """

    zip: RemoteFile
    folder: Path
    pattern: str
    fault: Callable[[Collection[str]], str | None]
    size: Callable[[float], int | None]

    def is_complete(self) -> bool:
        """Whether the folder holds all its files; one that does not is logged."""
        if not self.folder.exists():
            return False
        fault = self.fault([path.name for path in self.folder.glob(self.pattern)])
        if fault is not None:
            logger.warning("%s: %s; will be replaced from %s", self.folder, fault, self.zip.url)
        return fault is None

    def get(self, patience: Patience, *, received: Received) -> None:
        """Download the zip, unpack it and remove it; raises DownloadError naming the URL."""
        download(self.zip, patience=patience, received=received)
        try:
            # A zip packed on request has no published digest: the log tells which bytes it was.
            logger.info("%s: SHA-256 %s", self.zip.url, sha256_of(self.zip.path))
            self._unpack()
        except (ArchiveError, OSError) as error:
            raise DownloadError(f"{self.zip.url}: {error}") from error
        finally:
            self.zip.path.unlink(missing_ok=True)

    def _unpack(self) -> None:
        """The zip's files in their folder, in place of an incomplete one."""
        names = [name for name in map(self._kept, member_names(self.zip.path)) if name]
        fault = self.fault(names)
        if fault is not None:
            raise ArchiveError(f"{fault}; nothing of it is kept, run again to ask once more")
        if self.folder.exists():
            shutil.rmtree(self.folder)
        unpack(self.zip.path, self.folder, self._kept)

    def _kept(self, member: str) -> str | None:
        """The name under which a member is kept, None where it is of no use."""
        name = PureWindowsPath(member).name  # knows both slashes
        return name if fnmatchcase(name, self.pattern) else None


def _scan(api: str, series: Series, folder: Path) -> _Archive:
    """A patient's scan."""

    def fault(names: Collection[str]) -> str | None:
        if len(names) == series.images:
            return None
        return f"{series.images} images (*.dcm) expected, {len(names)} found"

    url = _address(api, "getImage", SeriesInstanceUID=series.uid)
    zip_file = RemoteFile(url, folder / f"{series.patient}.zip", SoundZip())
    # Not asked of the server, which would have to pack the zip to tell.
    return _Archive(
        zip_file, folder / series.patient, "[!.]*.dcm", fault, size=lambda timeout: series.size
    )


def _labels(url: str, sha256: str | None, folder: Path, patients: Sequence[str]) -> _Archive:
    """All label maps; PANCREAS_0001's is label0001.nii.gz."""

    def fault(names: Collection[str]) -> str | None:
        needed = (f"label{patient.removeprefix(PANCREAS_PATIENT)}.nii.gz" for patient in patients)
        absent = sorted(set(needed) - set(names))
        return f"no {', '.join(absent)} among the labels" if absent else None

    check = SoundZip() if sha256 is None else Digest(sha256)
    zip_file = RemoteFile(url, folder / f"{PANCREAS_LABELS}.zip", check)
    return _Archive(
        zip_file, folder / PANCREAS_LABELS, "label*.nii.gz", fault, size=partial(size_of, url)
    )


def _check_space(
    missing: Sequence[_Archive], workers: int, patience: Patience, folder: Path
) -> None:
    """Raise DownloadError where the missing folders, and the zips beside them, have no room.

    A zip counts as its files' bytes, and no more than `workers` zips are there at a time. Unknown
    sizes count as 0.
    """
    sizes = [archive.size(patience.timeout) for archive in missing]
    known = sorted((size for size in sizes if size is not None), reverse=True)
    logger.info("%d archives are missing, of %d the size is known", len(sizes), len(known))
    fault = space_fault(sum(known) + sum(known[:workers]), folder)
    if fault is not None:
        raise DownloadError(f"{len(missing)} scans and labels: {fault}")


def _series(entry: dict[str, Any]) -> Series:
    """A series from its entry in the API's list; raises KeyError, TypeError or ValueError."""
    size = str(entry.get("FileSize", ""))
    return Series(
        uid=str(entry["SeriesInstanceUID"]),
        patient=str(entry["PatientID"]),
        images=int(entry["ImageCount"]),
        size=int(size) if size.isdecimal() else None,
    )


def _address(api: str, call: str, **query: str) -> str:
    """The URL of one of the API's calls."""
    return f"{api.rstrip('/')}/{call}?{urlencode(query)}"
