"""Getting files from a server that may be slow, busy or cut off, and never keeping a wrong one.

Every file has a known SHA-256. Bytes collect in `<name>.part` beside it, which stays between
attempts and between runs, so that a broken download goes on where it stopped; only a file whose
digest is right gets its final name.
"""

import logging
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import quote

import requests
import urllib3
from tqdm import tqdm

from sgrs_core.files import sha256_of

logger = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes per write; a cut connection loses at most the last unfinished chunk
MEGABYTE = 1e6
DIGEST_LINE = re.compile(r"(?P<digest>[0-9a-fA-F]{64}) [ *](?P<name>.+)")
WORTH_RETRYING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
)


class DownloadError(RuntimeError):
    """A file could not be had; the message names its URL and says what to do."""


class _TemporaryError(Exception):
    """A failed attempt that may go well when it is repeated."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to have: where from, where to, and its SHA-256 as 64 lower-case hex digits."""

    url: str
    path: Path
    sha256: str

    @property
    def part(self) -> Path:
        """Where its bytes collect until they are complete and checked."""
        return self.path.with_name(f"{self.path.name}.part")

    def is_complete(self) -> bool:
        """Whether the file is in its place with the right digest; a wrong one is logged."""
        if not self.path.is_file():
            return False
        complete = sha256_of(self.path) == self.sha256
        if not complete:
            logger.warning("%s: wrong SHA-256, will be replaced from %s", self.path, self.url)
        return complete


def read_digests(path: Path) -> dict[str, str]:
    """Read a list as `sha256sum` writes it: relative name -> digest in lower case.

    Raises ValueError, naming the file and the line, for a line of another form or a repeated name.
    """
    digests: dict[str, str] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            match = DIGEST_LINE.fullmatch(line.rstrip("\n"))
            if match is None:
                raise ValueError(
                    f"{path}, line {number}: expected '<64 hex digits>  <relative path>', "
                    f"got {line.rstrip()!r}; write the list anew with sha256sum"
                )
            if match["name"] in digests:
                raise ValueError(
                    f"{path}, line {number}: {match['name']!r} is listed twice; remove one line"
                )
            digests[match["name"]] = match["digest"].lower()
    return digests


def mirror_files(base_url: str, digests: Mapping[str, str], folder: Path) -> list[RemoteFile]:
    """The files of a list (relative name -> SHA-256), below `base_url` there and `folder` here.

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
        files.append(RemoteFile(f"{base_url.rstrip('/')}/{address}", folder / relative, digest))
    return files


def download_all(
    files: Sequence[RemoteFile],
    *,
    workers: int = 4,
    retries: int = 5,
    timeout: float = 30.0,
    backoff: float = 0.5,
    progress: bool | None = None,
) -> None:
    """Download the files that are missing or wrong, `workers` at a time; see `download`.

    progress: whether to draw a bar; None draws it where standard error is a terminal. Either way
    the log gets a line per file. One file's failure does not stop the others: when all have been
    tried, DownloadError names each URL that failed and why.
    """
    shown = sys.stderr.isatty() if progress is None else progress
    with _Progress(len(files), shown) as bar, ThreadPoolExecutor(workers) as executor:
        get = partial(
            download, retries=retries, timeout=timeout, backoff=backoff, received=bar.received
        )
        outcomes = executor.map(partial(_outcome, get, bar), files)
        failures = [outcome for outcome in outcomes if outcome is not None]
    if failures:
        reasons = "".join(f"\n  {failure}" for failure in failures)
        raise DownloadError(
            f"{len(failures)} of {len(files)} files could not be downloaded; the others are kept, "
            f"and running again tries only these:{reasons}"
        )


def _outcome(
    get: Callable[[RemoteFile], None], bar: "_Progress", file: RemoteFile
) -> DownloadError | None:
    """Get one file; its failure is logged and returned, not raised."""
    try:
        get(file)
    except DownloadError as error:
        logger.error("%s", error)
        return error
    bar.finished(file)
    return None


def download(
    file: RemoteFile,
    *,
    retries: int = 5,
    timeout: float = 30.0,
    backoff: float = 0.5,
    received: Callable[[int], object] = lambda count: None,
) -> None:
    """Have `file` in its place with the right digest; do nothing when it is there already.

    retries: further attempts after a temporary failure. timeout: seconds without a byte until an
    attempt counts as failed. backoff: seconds before the first retry, doubled for each further one.
    received: told of each piece's bytes. Raises DownloadError, naming the URL and what to do.
    """
    transfer = _Transfer(file, retries, timeout, backoff, received)
    try:
        if not file.is_complete():
            file.path.parent.mkdir(parents=True, exist_ok=True)
            transfer.run()
    except OSError as error:
        # The network's errors are dealt with in the transfer, so this one is the local disk's.
        raise DownloadError(
            f"{file.url}: {file.path} cannot be read or written ({error}); "
            "check the disk's free space and the folder's permissions, then run again"
        ) from error


@dataclass(frozen=True)
class _Transfer:
    """One file's way from the server to its place; the fields are `download`'s arguments."""

    file: RemoteFile
    retries: int
    timeout: float
    backoff: float
    received: Callable[[int], object]

    def run(self) -> None:
        """Fetch the file, check it and move it to its place."""
        resumed = self._fetch()
        if resumed and sha256_of(self.file.part) != self.file.sha256:
            # The older bytes may come from another version of the file: only a download from
            # the first byte tells whether the server's present file is wrong.
            logger.warning("%s: wrong SHA-256 after resuming; starting again", self.file.url)
            self.file.part.unlink()
            self._fetch()
        self._accept()

    def _fetch(self) -> bool:
        """Complete the part, patiently; True when its last bytes were added to older ones."""
        attempt = 0
        while True:
            try:
                return self._request()
            except _TemporaryError as error:
                if attempt == self.retries:
                    raise DownloadError(
                        f"{self.file.url}: {error}; gave up after {attempt + 1} attempts. Check "
                        "the network and run again: the download goes on where it stopped"
                    ) from error
                wait = self.backoff * 2**attempt
                logger.warning("%s: %s; next attempt in %.1f s", self.file.url, error, wait)
                time.sleep(wait)
                attempt += 1

    def _request(self) -> bool:
        """Ask once for the bytes still missing; True when the server sent only those."""
        offset = self.file.part.stat().st_size if self.file.part.exists() else 0
        # A body compressed on the way would have other lengths and offsets than the file.
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            with requests.get(
                self.file.url, headers=headers, stream=True, timeout=self.timeout
            ) as response:
                self._check_status(response)
                self._check_space(response)
                self._write(response)
                return response.status_code == HTTPStatus.PARTIAL_CONTENT
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _TemporaryError(str(error)) from error
        except requests.RequestException as error:
            raise DownloadError(f"{self.file.url}: {error}; check the address") from error

    def _check_status(self, response: requests.Response) -> None:
        """Raise _TemporaryError or DownloadError unless the answer carries the file's bytes."""
        status = response.status_code
        if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.file.part.unlink(missing_ok=True)  # it is no beginning of the server's file
        answer = f"the server answered {status} {response.reason}"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in WORTH_RETRYING:
            raise _TemporaryError(answer)
        raise DownloadError(
            f"{self.file.url}: {answer}; check the address and whether the file is still public"
        )

    def _check_space(self, response: requests.Response) -> None:
        """Raise DownloadError when the announced bytes would not fit on the disk."""
        announced = response.raw.length_remaining or 0  # None where there is no Content-Length
        free = shutil.disk_usage(self.file.part.parent).free
        if announced > free:
            raise DownloadError(
                f"{self.file.url}: {announced / MEGABYTE:.1f} MB to come, but "
                f"{self.file.part.parent} has {free / MEGABYTE:.1f} MB free; "
                "make room or choose another folder, then run again"
            )

    def _write(self, response: requests.Response) -> None:
        """Add a partial answer to the part; a whole answer replaces it.

        A body shorter than its Content-Length raises urllib3's IncompleteRead.
        """
        mode = "ab" if response.status_code == HTTPStatus.PARTIAL_CONTENT else "wb"
        with self.file.part.open(mode) as part:
            # Undecoded: servers label stored .gz files with Content-Encoding, and unpacking them
            # here would change the file.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                part.write(chunk)
                self.received(len(chunk))

    def _accept(self) -> None:
        """Give a part with the right digest its final name; remove any other and raise."""
        part = self.file.part
        found = sha256_of(part)
        if found != self.file.sha256:
            part.unlink()
            raise DownloadError(
                f"{self.file.url}: expected SHA-256 {self.file.sha256}, found {found}; nothing of "
                "it is kept. Look at the address in a browser: an error page or a newer file?"
            )
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(self.file.path)


class _Progress:
    """Bytes and files so far, on one bar and in the log; told by every thread."""

    def __init__(self, files: int, shown: bool) -> None:
        self._files = files
        self._finished = 0
        self._bytes = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._bar = tqdm(
            unit="B",
            unit_scale=True,
            desc=f"0/{files} files",
            disable=not shown,
            dynamic_ncols=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.close()

    def received(self, count: int) -> None:
        """Count bytes that have arrived."""
        with self._lock:
            self._bytes += count
            self._bar.update(count)

    def finished(self, file: RemoteFile) -> None:
        """Count a file that is in its place."""
        with self._lock:
            self._finished += 1
            self._bar.set_description_str(f"{self._finished}/{self._files} files")
            megabytes = self._bytes / MEGABYTE
            rate = megabytes / max(time.monotonic() - self._started, 1e-9)
            logger.info(
                "%d/%d files, %.1f MB at %.1f MB/s: %s",
                self._finished, self._files, megabytes, rate, file.path,
            )  # fmt: skip
