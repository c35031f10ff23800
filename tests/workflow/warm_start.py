"""Snakemake in a new process that need not read its libraries first, which is half of a start.

It is forked from a process that has imported them, and nothing of ours. What it starts itself
starts as ever.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["torch", "snakemake.cli", "scipy.ndimage", "pydantic", "sqlmodel"])


def work(arguments: list[str], environment: Mapping[str, str], out: Path, error: Path) -> None:
    """What `python -m snakemake` does, in the forked process."""
    os.environ.clear()
    os.environ.update(environment)
    for number, file in ((1, out), (2, error)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["snakemake", *arguments]

    from snakemake.cli import main

    main()


def snakemake(arguments: list[str], environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run it to its end."""
    with TemporaryDirectory() as printed:
        out, error = Path(printed, "out"), Path(printed, "error")
        process = FORKED.Process(target=work, args=(arguments, dict(environment), out, error))
        process.start()
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(
            arguments, process.exitcode, out.read_text("utf-8"), error.read_text("utf-8")
        )
