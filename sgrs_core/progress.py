"""Long work shows how far it is: a bar on a terminal, plain lines in a log file."""

import logging
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

logger = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 30.0


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
