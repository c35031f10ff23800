"""Where a job's messages go, and how long work shows how far it is."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 30.0


def log_to(file: str | Path) -> None:
    """Send this process's log messages to a file, added to what an earlier attempt wrote.

    Warnings and errors go to the terminal, too, which is where a user sees them.
    """
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    terminal = logging.StreamHandler()
    terminal.setLevel(logging.WARNING)
    terminal.addFilter(lambda record: record.levelno < logging.CRITICAL)  # see _log_and_print
    logging.basicConfig(
        handlers=[logging.FileHandler(file, encoding="utf-8"), terminal],
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    sys.excepthook = _log_and_print


def _log_and_print(kind: type[BaseException], error: BaseException, traceback: object) -> None:
    """An uncaught error: the whole story to the log, one readable line to the terminal."""
    logging.critical("%s", error, exc_info=(kind, error, traceback))  # type: ignore[arg-type]
    print(f"{kind.__name__}: {error}", file=sys.stderr)


def follow(done: int, total: int, summary: Callable[[], str]) -> Iterator[int]:
    """Yield done + 1 ... total, showing rate, remaining time and `summary()` on the way.

    The bar appears where standard error is a terminal; the log always gets a line now and then.
    """
    started = last_line = time.monotonic()
    hidden = not sys.stderr.isatty()
    with tqdm(total=total, initial=done, unit="it", disable=hidden, dynamic_ncols=True) as bar:
        for step in range(done + 1, total + 1):
            yield step
            bar.set_postfix_str(summary(), refresh=False)
            bar.update()
            now = time.monotonic()
            if now - last_line >= SECONDS_BETWEEN_LINES or step == total:
                last_line = now
                rate = (step - done) / max(now - started, 1e-9)
                logger.info(
                    "%d/%d, %.2f per second, %.0f s left, %s",
                    step, total, rate, (total - step) / rate, summary(),
                )  # fmt: skip
