"""What lies at an address, in its place here: whole and checked, or not at all.

Bytes collect under a temporary name beside the place and are checked there. A broken download
starts again from its first byte: the files are small (LA's have 2.3 MB), and zips that a server
packs on request are other bytes each time.
"""

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import requests
from tqdm.contrib.concurrent import thread_map

from sgrs_core.data.download.http import (
    DEFAULT,
    DownloadError,
    Get,
    RetryPolicy,
    TemporaryError,
    open_url,
)
from sgrs_core.digests import digest_fault
from sgrs_core.files import sha256_of

logger = logging.getLogger(__name__)

MEGABYTE = 1e6
SHOWN = 60  # bytes of a wrong file, in the error


class ContentError(Exception):
    """What has arrived is not what was wanted; the message says why."""


@dataclass(frozen=True)
class Download:
    """A file to have at `path` from `url` or, with `unpack`, a folder of a zip's files.

    fault: what is wrong with the file or folder at a path, None where nothing is. unpack: makes
    the folder (second path) from the zip (first path), or raises ContentError. size: the bytes
    that will lie at `path`, 0 where unknown. get: asks the server, see `open_url`.
    """

    url: str
    path: Path
    fault: Callable[[Path], str | None]
    unpack: Callable[[Path, Path], None] | None = None
    size: int = 0
    get: Get = requests.get

    def is_complete(self) -> bool:
        """Whether it is in its place; a wrong or unreadable one is logged."""
        if not self.path.exists():
            return False
        try:
            fault = self.fault(self.path)
        except OSError as error:
            fault = str(error)
        if fault is not None:
            logger.warning("%s: %s; will be replaced from %s", self.path, fault, self.url)
        return fault is None

    def run(self, policy: RetryPolicy = DEFAULT) -> None:
        """Have it in its place; raises DownloadError, leaving nothing new there."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fetch(policy)
        except OSError as error:
            # open_url turns the network's errors into its own, so this one is the local disk's.
            raise DownloadError(
                f"{self.url}: {self.path} cannot be read or written ({error}); "
                "check the disk's free space and the folder's permissions, then run again"
            ) from error

    def _fetch(self, policy: RetryPolicy) -> None:
        """Ask until it is in its place."""
        policy.call(lambda: self._attempt(policy.timeout))

    def _attempt(self, timeout: float) -> None:
        """Ask once for all of it, and keep it if it is right."""
        arrived = self.path.with_name(f"{self.path.name}.download")
        unpacked = self.path.with_name(f"{self.path.name}.unpacked")
        shutil.rmtree(unpacked, ignore_errors=True)  # a killed process may have left it
        try:
            with open_url(self.url, timeout, self.get) as response, arrived.open("wb") as file:
                announced = response.raw.length_remaining  # None without a Content-Length
                check_space(announced or 0, arrived.parent)
                # Raw: servers label stored .gz files with Content-Encoding, and unpacking them
                # here would change the file.
                shutil.copyfileobj(response.raw, file)
                file.flush()
                os.fsync(file.fileno())
            if self.unpack is not None:
                # A zip packed on request has no published digest: the log tells which it was.
                logger.info("%s: SHA-256 %s", self.url, sha256_of(arrived))
                self.unpack(arrived, unpacked)
            self._replace_by(arrived if self.unpack is None else unpacked)
        except ContentError as error:
            with arrived.open("rb") as file:
                beginning = file.read(SHOWN)
            problem = (
                f"{self.url}: {error}; nothing is kept of what came, which begins {beginning!r}. "
                "Look at the address in a browser: an error page or a newer file?"
            )
            # A body without its length that is cut off between pieces looks whole.
            raise (TemporaryError if announced is None else DownloadError)(problem) from error
        finally:
            arrived.unlink(missing_ok=True)
            shutil.rmtree(unpacked, ignore_errors=True)

    def _replace_by(self, new: Path) -> None:
        """Give a file or folder its final name, or raise ContentError where it is wrong."""
        fault = self.fault(new)
        if fault is not None:
            raise ContentError(fault)
        if new.is_dir() and self.path.exists():
            shutil.rmtree(self.path)
        new.replace(self.path)


def download_all(
    downloads: Sequence[Download], *, workers: int = 4, policy: RetryPolicy = DEFAULT
) -> None:
    """Have all in their places, those that are missing or wrong being downloaded side by side.

    A bar counts them where standard error is a terminal. Raises OSError before the first byte
    where the known sizes have no room on the disk, or, when all have been tried, DownloadError
    naming each that failed and why.
    """
    missing = [download for download in downloads if not download.is_complete()]
    logger.info("%d of %d are there already", len(downloads) - len(missing), len(downloads))
    if not missing:
        return
    # Under way, each is there twice: beside what it replaces, or packed and unpacked.
    sizes = sorted((download.size for download in missing), reverse=True)
    folder = os.path.commonpath([download.path.parent.absolute() for download in missing])
    check_space(sum(sizes) + sum(sizes[:workers]), Path(folder))

    def failure_of(download: Download) -> DownloadError | None:
        try:
            download.run(policy)
        except DownloadError as error:
            logger.error("%s", error)
            return error
        logger.info("%s is there", download.path)
        return None

    outcomes = thread_map(failure_of, missing, max_workers=workers, desc="downloads", disable=None)
    failures = list(filter(None, outcomes))
    if failures:
        reasons = "".join(f"\n  {failure}" for failure in failures)
        raise DownloadError(
            f"{len(failures)} of {len(missing)} downloads failed; "
            f"the others are kept, and running again tries only these:{reasons}"
        )


def of_patients(patients: Sequence[str], listed: Mapping[str, Download]) -> list[Download]:
    """What an archive lists of each patient, once. Raises DownloadError, naming who is absent."""
    absent = [patient for patient in patients if patient not in listed]
    if absent:
        raise DownloadError(
            f"the archive has no series of {', '.join(absent)}; "
            "remove these patients from the lists of scans, or correct their names"
        )
    return [listed[patient] for patient in dict.fromkeys(patients)]


def check_space(needed: int, folder: Path) -> None:
    """Raise OSError where `needed` bytes have no room in `folder`, which need not exist yet."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise OSError(
            f"{needed / MEGABYTE:.1f} MB needed, but {folder} has {free / MEGABYTE:.1f} MB free: "
            "make room or choose another folder"
        )


def mirror_files(base_url: str, digests: Mapping[str, str], folder: Path) -> list[Download]:
    """The files of a list (relative name -> digest), below `base_url` there and `folder` here.

    Names are quoted for the URL; `base_url` is taken as it is. Raises ValueError, naming the
    entry, for a name that would be written outside `folder`.
    """
    files = []
    for name, digest in digests.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.name:
            raise ValueError(
                f"{name!r}: names in the list of digests must be relative and without '..'; "
                "correct this entry"
            )
        address = "/".join(quote(component, safe="") for component in relative.parts)
        url = f"{base_url.rstrip('/')}/{address}"
        files.append(Download(url, folder / relative, partial(digest_fault, digest)))
    return files
