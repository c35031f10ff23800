"""Being asked to stop: a time limit, a preemption, Ctrl-C.

A signal must not tear a training apart: it is noted, the iteration ends, a checkpoint is saved.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Schedulers announce the end of a job with SIGTERM or, before that, with SIGUSR1.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StoppedError(Exception):
    """A run was asked to stop and has saved all it knew."""


@contextmanager
def defer_signals() -> Iterator[Callable[[], str | None]]:
    """Inside the block the SIGNALS are noted instead of obeyed.

    Yields a function that gives the name of the first one that came, or None. Main thread only.
    """
    came: list[str] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number).name)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield lambda: came[0] if came else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
