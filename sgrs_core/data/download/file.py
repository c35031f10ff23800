"""One file from a server to its place, whole and checked, or not at all.

Bytes collect in `<name>.part` beside it; only a file that passes its check gets its final name.
Where the check is a published digest, the part stays between attempts and between runs, so that
a broken download goes on where it stopped. Without a digest nothing tells whether the server's
present file is the one the older bytes are from (it may be made anew for every request), so such
a file always starts again from its first byte.
"""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import requests

from sgrs_core.data.download.disk_space import space_fault
from sgrs_core.data.download.retries import (
    USUAL,
    DownloadError,
    Patience,
    RangeError,
    TemporaryError,
    answer,
)

logger = logging.getLogger(__name__)

CHUNK = 1 << 16  # bytes per write; a cut connection loses at most the last unfinished chunk

Received = Callable[[int], object]


class Check(Protocol):
    """What a right file is."""

    @property
    def resumable(self) -> bool:
        """Whether it finds out bytes of two versions of a file put together."""

    def fault(self, path: Path) -> str | None:
        """What is wrong with the file; None where it is right."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to have: where from, where to, what makes it right, and its bytes where known."""

    url: str
    path: Path
    check: Check
    size: int | None = None

    @property
    def part(self) -> Path:
        """Where its bytes collect until they are complete and checked."""
        return self.path.with_name(f"{self.path.name}.part")

    def bytes_kept(self) -> int:
        """How many bytes of an earlier attempt the next one goes on from."""
        return self.part.stat().st_size if self.check.resumable and self.part.exists() else 0

    def is_complete(self) -> bool:
        """Whether the right file is in its place; a wrong one is logged."""
        if not self.path.is_file():
            return False
        fault = self.check.fault(self.path)
        if fault is not None:
            logger.warning("%s: %s; will be replaced from %s", self.path, fault, self.url)
        return fault is None


def download(
    file: RemoteFile, *, patience: Patience = USUAL, received: Received = lambda count: None
) -> None:
    """Have the right `file` in its place; do nothing when it is there already.

    received: told of each piece's bytes, and of dropped ones as a negative number. Raises
    DownloadError, naming the URL and what to do.
    """
    try:
        if not file.is_complete():
            file.path.parent.mkdir(parents=True, exist_ok=True)
            _Transfer(file, patience, received).run()
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
    patience: Patience
    received: Received

    def run(self) -> None:
        """Fetch the file, check it and move it to its place."""
        if self.file.check.resumable:
            advice = "run again: the download goes on where it stopped"
            self.patience.repeat(self.file.url, self._attempt, advice)
            return
        self.file.part.unlink(missing_ok=True)
        try:
            self.patience.repeat(self.file.url, self._attempt)
        finally:
            self.file.part.unlink(missing_ok=True)

    def _attempt(self) -> None:
        """Ask once for the bytes still missing; keep the file if it is right, else nothing."""
        doubtful = self._fetch()
        fault = self.file.check.fault(self.file.part)
        if fault is None:
            self._accept()
            return
        self._drop_part()
        problem = (
            f"{fault}; nothing of it is kept. "
            "Look at the address in a browser: an error page or a newer file?"
        )
        if doubtful:
            raise TemporaryError(problem)
        raise DownloadError(f"{self.file.url}: {problem}")

    def _fetch(self) -> bool:
        """Complete the part; True where a wrong one may be the way's fault, not the server's.

        That is where older bytes were added to, which may come from another version of the file,
        and where no length was announced, so that a body cut off between pieces looks whole.
        """
        offset = self.file.bytes_kept()
        try:
            with answer(self.file.url, self.patience.timeout, offset) as response:
                whole = response.status_code == HTTPStatus.OK
                announced = response.raw.length_remaining  # None without a Content-Length
                fault = space_fault(announced or 0, self.file.part.parent)
                if fault is not None:
                    raise DownloadError(f"{self.file.url}: {fault}")
                if whole or not offset:
                    self._drop_part()
                self._write(response)
                return announced is None or (offset > 0 and not whole)
        except RangeError:
            self._drop_part()  # it is no beginning of the server's file
            raise

    def _write(self, response: requests.Response) -> None:
        """Add the answer to the part.

        A body shorter than its Content-Length raises urllib3's IncompleteRead.
        """
        with self.file.part.open("ab") as part:
            # Undecoded: servers label stored .gz files with Content-Encoding, and unpacking them
            # here would change the file.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                part.write(chunk)
                self.received(len(chunk))

    def _drop_part(self) -> None:
        """Forget what has arrived."""
        if self.file.part.exists():
            self.received(-self.file.part.stat().st_size)
            self.file.part.unlink()

    def _accept(self) -> None:
        """Give the part its final name."""
        with self.file.part.open("rb") as written:
            os.fsync(written.fileno())
        self.file.part.replace(self.file.path)
