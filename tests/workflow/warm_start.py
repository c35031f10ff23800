"""Snakemake in a new process that need not read its libraries first, and whose jobs need not."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.warm_python import FORKED, end, python, run, search_path, start, status_of


class Working(NamedTuple):
    """A Snakemake that was started, the head of a process group of its own."""

    arguments: list[str]
    process: ForkServerProcess
    printed: list[Path]

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return status_of(self.process, 0) is None

    def end(self, timeout: float | None = None) -> CompletedProcess[str]:
        """Wait for its end, and no longer than that: TimeoutExpired; what it has printed."""
        status = status_of(self.process, timeout)
        if status is None:
            raise TimeoutExpired(self.arguments, timeout or 0)
        texts = [file.read_text("utf-8") for file in self.printed]
        return CompletedProcess(self.arguments, status, *texts)


@contextmanager
def working(arguments: list[str], environment: Mapping[str, str]) -> Iterator[Working]:
    """Snakemake at work, until the block ends at the latest; what it has started is left alone."""
    with TemporaryDirectory() as folder:
        printed = [Path(folder, name) for name in ("out", "error")]
        begun = FORKED.Event()
        how = (dict(environment), python(), search_path())
        process = FORKED.Process(target=work, args=(arguments, how, printed, begun))
        start(process)
        try:
            assert begun.wait(60)
            yield Working(arguments, process, printed)
        finally:
            end(process)


def work(
    arguments: list[str],
    how: tuple[dict[str, str], str, list[str]],
    printed: list[Path],
    begun: Event,
) -> None:
    """What `python -m snakemake` does, in the forked process."""
    os.setpgid(0, 0)
    for number, file in enumerate(printed, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    begun.set()
    run(["-m", "snakemake", *arguments], *how)
