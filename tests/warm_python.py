"""Pythons that need not read their libraries first, which is most of what a short job costs.

    python -m tests.warm_python SCRIPT ARGUMENTS...

Each is forked from a process that has imported those libraries, and nothing of ours; all else is as
if `python` had been started.
"""

import atexit
import json
import multiprocessing
import os
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock, Thread
from typing import Any

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "torch", "torch._dynamo", "snakemake.cli", "sqlmodel", "pydantic", "scipy.ndimage",
        "scipy.stats", "pandas", "matplotlib.pyplot", "h5py", "SimpleITK", "nibabel", "pydicom",
        "skimage.measure", "jinja2", "filelock", "tqdm",
    ]
)  # fmt: skip
# A status can be read once; starting a process reads those of all others that have ended.
STATUS = Lock()
OURS = {"tests", "benchmarks", "docs", "sgrs_core"}


@cache
def address() -> Path:
    """Where this process forks such Pythons, for as long as it lives."""
    folder = Path(mkdtemp(prefix="warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "socket"))
    server.listen(16)
    Thread(target=serve, args=(server,), daemon=True).start()
    return folder / "socket"


@cache
def python() -> str:
    """The path of one."""
    return command(address().with_name("python"))


def command(path: Path, *fixed: str) -> str:
    """Write a command that is such a Python, with arguments before its own; returns its path."""
    client = Path(__file__).with_name("warm_client.py")
    words = shlex.join([sys.executable, "-IS", str(client), str(address()), *fixed])
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@cache
def search_path() -> list[str]:
    """Where a Python without PYTHONPATH looks for modules, after its script's folder."""
    ask = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.path[1:]))"]
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return json.loads(subprocess.run(ask, env=alone, check=True, capture_output=True).stdout)


def serve(server: socket.socket) -> None:
    while True:
        client, _ = server.accept()
        Thread(target=answer, args=(client,), daemon=True).start()


def answer(client: socket.socket) -> None:
    """Fork what a client asks for, tell it the process and how it ended; without it, end that."""
    with client:
        _, streams, _, _ = socket.recv_fds(client, 1, 3)
        with client.makefile() as asking:
            asked = json.loads(asking.readline()) | {"python": python(), "path": search_path()}
        handed = [Connection(stream) for stream in streams]  # for it can be sent to a process
        process = FORKED.Process(target=be_python, args=(asked, handed))
        start(process)
        for stream in handed:
            stream.close()
        with suppress(OSError):  # nobody is there to read it
            client.sendall(f"{process.pid}\n".encode())
        status = status_of(process, or_when=[client])
        if status is None:
            status = end(process)
        with suppress(OSError):
            client.sendall(f"{status}\n".encode())


def start(process: ForkServerProcess) -> None:
    with STATUS:
        process.start()


def status_of(
    process: ForkServerProcess, timeout: float | None = None, or_when: Sequence[socket.socket] = ()
) -> int | None:
    """Wait until it has ended, or something else is the case; how it ended, if it has."""
    wait([process.sentinel, *or_when], timeout)
    with STATUS:
        return process.exitcode


def end(process: ForkServerProcess) -> int | None:
    """Kill it, if it has not ended; how it ended."""
    with STATUS:
        process.kill()
    return status_of(process)


def be_python(asked: dict[str, Any], streams: list[Connection]) -> None:
    """What Python does with these arguments, in the forked process."""
    with suppress(PermissionError):  # a group of another session
        os.setpgid(0, asked["group"])
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - as long as the process
    os.chdir(asked["folder"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run(asked["arguments"], asked["environment"], asked["python"], asked["path"])


def run(
    arguments: list[str], environment: dict[str, str], executable: str, path: list[str]
) -> None:
    """Run a script, or a module after -m, as the program; those it starts are warm, too."""
    os.environ.clear()
    os.environ.update(environment)
    sys.executable = executable
    for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
        del sys.modules[name]
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    try:
        if arguments[0] == "-m":
            sys.path[:] = [str(Path.cwd()), *given, *path]
            sys.argv = arguments[1:]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            sys.path[:] = [str(Path(arguments[0]).resolve().parent), *given, *path]
            sys.argv = arguments
            runpy.run_path(sys.argv[0], run_name="__main__")
    except (Exception, KeyboardInterrupt):
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
    finally:
        atexit._run_exitfuncs()


if __name__ == "__main__":
    sys.exit(subprocess.run([python(), *sys.argv[1:]], check=False).returncode)
