"""Files that a reader never sees half of, folders with one worker, digests."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` when the block ends well.

    The file's suffix is kept, because writers choose their format by it. When the block raises,
    the temporary file is removed and whatever stood at `path` before stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 as lower-case hex, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Keep every other process out of `folder` until the block ends or this process dies.

    The operating system lets go of the lock with the process, so a crash leaves nothing to clear.
    Raises RuntimeError, naming the folder, if another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout:
        raise RuntimeError(
            f"{folder}: another process works on this run; wait for it, or stop it and start again"
        ) from None
