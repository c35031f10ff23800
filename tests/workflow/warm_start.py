"""Snakemake in a new process that need not read its libraries first, which is half of a start.

It is forked from a process that has imported them, and nothing of ours. What it starts itself
starts as ever.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["torch", "snakemake.cli", "scipy.ndimage", "pydantic", "sqlmodel"])


class Working:
    """A Snakemake that has been started, the head of a process group and session of its own."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
        """folder: for what it prints."""
        self.arguments = arguments
        self.printed = [folder / name for name in ("out", "error")]
        for file in self.printed:
            file.touch()
        self.process = FORKED.Process(
            target=work, args=(arguments, dict(environment), *self.printed)
        )
        self.process.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> None:
        """Kill it with signal 9, and none of what it has started."""
        self.process.kill()

    def end(self, timeout: float | None = None) -> CompletedProcess[str]:
        """Wait for its end, and no longer than that: TimeoutExpired; what it has printed."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutExpired(self.arguments, timeout or 0)
        texts = [file.read_text("utf-8") for file in self.printed]
        return CompletedProcess(self.arguments, self.process.exitcode, *texts)


def work(arguments: list[str], environment: Mapping[str, str], out: Path, error: Path) -> None:
    """What `python -m snakemake` does, in the forked process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, file in ((1, out), (2, error)):
        opened = os.open(file, os.O_WRONLY)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["snakemake", *arguments]

    from snakemake.cli import main

    main()
