"""Snakemake in a new process that need not read its libraries first, which is half of a start.

It is forked from a process that has imported them, and nothing of ours. What it starts itself
starts as ever.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import NamedTuple

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["torch", "snakemake.cli", "scipy.ndimage", "pydantic", "sqlmodel"])


class Working(NamedTuple):
    """A Snakemake that was started, the head of a process group and session of its own."""

    arguments: list[str]
    process: ForkServerProcess
    printed: list[Path]

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def end(self, timeout: float | None = None) -> CompletedProcess[str]:
        """Wait for its end, and no longer than that: TimeoutExpired; what it has printed."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutExpired(self.arguments, timeout or 0)
        texts = [file.read_text("utf-8") for file in self.printed]
        return CompletedProcess(self.arguments, self.process.exitcode, *texts)


@contextmanager
def working(arguments: list[str], environment: Mapping[str, str]) -> Iterator[Working]:
    """Snakemake at work, until the block ends at the latest; what it has started is left alone."""
    with TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("out", "error")]
        begun = FORKED.Event()
        process = FORKED.Process(target=work, args=(arguments, dict(environment), *printed, begun))
        process.start()
        try:
            assert begun.wait(60)
            yield Working(arguments, process, printed)
        finally:
            process.kill()
            process.join()
            process.close()


def work(
    arguments: list[str], environment: Mapping[str, str], out: Path, error: Path, begun: Event
) -> None:
    """What `python -m snakemake` does, in the forked process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, file in ((1, out), (2, error)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    begun.set()
    sys.argv = ["snakemake", *arguments]

    from snakemake.cli import main

    main()
