"""Files that a reader never sees half of, folders with one worker, digests."""

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` when the block ends well.

    The block makes a file or a folder of files there. The suffix is kept, because writers choose
    their format by it. When the block raises, what it made is removed and whatever stood at `path`
    before stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        if temporary.is_dir():
            for file in temporary.iterdir():
                _to_disk(file)
            shutil.rmtree(path, ignore_errors=True)
        _to_disk(temporary)
        temporary.replace(path)
        _to_disk(path.parent)  # the new name, too, must outlive a power cut
    except OSError as error:
        if error.filename is None and error.errno is not None:  # of a full disk, say
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def read_json(path: Path, *needed: str) -> dict[str, Any]:
    """A JSON file's keys. Raises ValueError, naming it, if it is damaged or lacks a needed one."""
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: damaged (it has no keys)")
    if missing := [key for key in needed if key not in found]:
        raise ValueError(f"{path}: damaged (it has no {missing[0]})")
    return found


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all. Raises OSError, naming the file, if they do not arrive."""
    with atomic(path) as temporary:
        temporary.write_bytes(content)
        if temporary.stat().st_size != len(content):
            raise OSError(errno.EIO, "not all of it was written", str(path))


def _to_disk(path: Path) -> None:
    """Wait until what was written to a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as lower-case hex, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the digests of files under their names, in whatever order they are given."""
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


@contextmanager
def exclusive_lock(folder: Path, wait: bool = False) -> Iterator[None]:
    """Keep every other process out of `folder` until the block ends or this process dies.

    The operating system lets go of the lock with the process, so a crash leaves nothing to clear.
    Where another process holds it: wait until it does not, saying so in the log, or raise
    RuntimeError naming the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise RuntimeError(
                f"{folder}: another process works here; wait for it, or stop it and start again"
            ) from None
        logger.warning("%s: another process works here; waiting until it has ended", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
