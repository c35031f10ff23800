"""Durations in words, and clocks that were set back.

A clock that was set back leaves files from the future. A workflow engine that compares times would
then find every new result older than its input, and would make it again, or throw it away.
"""

import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

logger = logging.getLogger(__name__)


def bring_back(folders: Iterable[Path]) -> int:
    """Move the times of files from the future into the past, keeping the order of all times.

    folders: with all below them; missing ones are none. Times later than now are pressed together
    between the latest time that has passed and now. Files that other processes remove meanwhile,
    or whose times may not be changed, are passed over. Returns how many files were changed.
    """
    times: dict[Path, float] = {}
    for path in chain.from_iterable(map(_files_below, folders)):
        with suppress(FileNotFoundError):  # other jobs come and go here
            times[path] = path.lstat().st_mtime
    now = time.time()  # after the walk: a file written meanwhile is not from the future
    future = {path: t for path, t in times.items() if t > now}
    if not future:
        return 0
    passed = max((t for t in times.values() if t <= now), default=now - 1)
    scale = (now - passed) / (max(future.values()) - passed)
    changed = 0
    for path, t in future.items():
        at = passed + (t - passed) * scale
        with suppress(OSError):  # gone meanwhile, or somebody else's, who may be a second ahead
            os.utime(path, (at, at), follow_symlinks=False)
            changed += 1
    if changed:
        logger.warning(
            "the clock was set back: %d files were from the future and have new times", changed
        )
    return changed


def _files_below(folder: Path) -> Iterable[Path]:
    """All files and folders below a folder, and itself."""
    for root, _, names in os.walk(folder):
        yield Path(root)
        yield from (Path(root) / name for name in names)


def in_words(seconds: float) -> str:
    """A duration as people say it: `42 s`, `12 min`, `5 h 30 min`, `2 d 3 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
