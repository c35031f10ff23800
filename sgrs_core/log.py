"""Where a job's messages go, and how long work shows how far it is."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from sgrs_core.clock import in_words

logger = logging.getLogger(__name__)
ANNOUNCED = "SGRS_ANNOUNCED"  # set in jobs whose Snakemake says itself why they failed
SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_DRAWINGS = 1.0  # of bars; several trainings may share a terminal


def log_to(file: str | Path) -> None:
    """Send this process's log messages to a file, added to what it holds.

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
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # tells of each font of each figure
    sys.excepthook = _log_and_print


def _log_and_print(kind: type[BaseException], error: BaseException, traceback: object) -> None:
    """An uncaught error: the whole story to the log, one readable line to the terminal."""
    logging.critical("%s", error, exc_info=(kind, error, traceback))  # type: ignore[arg-type]
    if ANNOUNCED not in os.environ:
        print(f"{kind.__name__}: {error}", file=sys.stderr)


def in_one_line(error: Exception | str, *named: Path) -> str:
    """What is wrong, without line breaks, and with the first file unless one is named.

    An error that is not raised on purpose is told with its kind, because its text may be empty.
    """
    text = str(error)
    if not isinstance(error, str | OSError | ValueError | RuntimeError):
        text = f"{type(error).__name__}: {text}"
    if named and not any(str(path) in text for path in named):
        text = f"{named[0]}: {text}"
    return " ".join(text.split())


@contextmanager
def prefix_errors(beginning: str, kind: type[ValueError] = ValueError) -> Iterator[None]:
    """Say what a block's OSErrors and ValueErrors are about, which the block does not know."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise kind(f"{beginning}{error}") from error


def follow(done: int, total: int, summary: Callable[[], str], label: str = "") -> Iterator[int]:
    """Yield done + 1 ... total, showing rate, remaining time and `summary()` on the way.

    Where standard error is a terminal, a bar with the label; elsewhere a line for each tenth, if
    there is a label. The log always gets a line now and then. Lines of one kind are at least
    SECONDS_BETWEEN_LINES apart.
    """
    started = last_logged = last_printed = time.monotonic()
    piped, tenth = not sys.stderr.isatty(), 10 * done // total
    bar = tqdm(
        total=total, initial=done, desc=label, unit="it", disable=piped, dynamic_ncols=True,
        mininterval=SECONDS_BETWEEN_DRAWINGS, leave=False,
    )  # fmt: skip
    with bar:
        for step in range(done + 1, total + 1):
            yield step
            bar.set_postfix_str(summary(), refresh=False)
            bar.update()
            now = time.monotonic()
            to_log = now - last_logged >= SECONDS_BETWEEN_LINES or step == total
            due = 10 * step // total > tenth and now - last_printed >= SECONDS_BETWEEN_LINES
            to_print = piped and label and due and step < total
            if not (to_log or to_print):
                continue
            rate = (step - done) / max(now - started, 1e-9)
            pace = f"{rate:.3g} per second, {in_words((total - step) / rate)} left, {summary()}"
            if to_log:
                last_logged = now
                logger.info("%d/%d, %s", step, total, pace)
            if to_print:
                tenth, last_printed = 10 * step // total, now
                print(f"{label}: {step:,} of {total:,} iterations, {pace}", file=sys.stderr)
