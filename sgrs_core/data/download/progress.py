"""How far downloads are: one bar and log lines, told by every thread."""

import logging
import sys
import threading
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from sgrs_core.data.download.disk_space import MEGABYTE

logger = logging.getLogger(__name__)


class Progress:
    """Bytes and items so far.

    items, done: how many are wanted and how many of them were there before. noun: what items are.
    total, kept: bytes of all items to come, None where unknown, and of their beginnings that are
    there. shown: whether to draw the bar; None draws it where standard error is a terminal.
    """

    def __init__(
        self,
        items: int,
        *,
        done: int = 0,
        noun: str = "files",
        total: int | None = None,
        kept: int = 0,
        shown: bool | None = None,
    ) -> None:
        self._items = items
        self._done = done
        self.noun = noun
        self._bytes = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=total,
            initial=kept,
            unit="B",
            unit_scale=True,
            desc=self._count(),
            disable=not (sys.stderr.isatty() if shown is None else shown),
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
        """Count bytes that have arrived; a negative count takes dropped ones back."""
        with self._lock:
            self._bytes += count
            self._bar.update(count)

    def finished(self, name: str) -> None:
        """Count an item that is in its place."""
        with self._lock:
            self._done += 1
            self._bar.set_description_str(self._count())
            megabytes = self._bytes / MEGABYTE
            rate = megabytes / max(time.monotonic() - self._started, 1e-9)
            logger.info("%s, %.1f MB at %.1f MB/s: %s", self._count(), megabytes, rate, name)

    def _count(self) -> str:
        """Such as 3/80 files."""
        return f"{self._done}/{self._items} {self.noun}"
