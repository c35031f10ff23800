"""A warm Python does what Python does."""

import os
import signal
import subprocess
import sys

import pytest

from tests.warm_python import python

SAYS = """
import atexit, json, os, sys
atexit.register(print, "at the end")
names = ("PYTHONPATH", "SOMETHING", "PYTEST_CURRENT_TEST")
print(json.dumps([
    sys.argv, os.getcwd(), sys.path, __name__, sys.stdin.read(), os.getpgrp(), sys.prefix,
    {name: os.environ.get(name) for name in names},
    sorted(sys.modules.keys() & {"sgrs_core", "tests"}),
]))
print("an error's words", file=sys.stderr)
"""
ENDS = [
    "",
    "sys.exit()",
    "sys.exit(7)",
    "sys.exit('why')",
    "os.kill(os.getpid(), 9)",
    "os._exit(5)",
]
WAITS = "import time\nprint(*['here'], flush=True)\ntime.sleep(60)\n"


def run(program, *arguments, folder):
    environment = {**os.environ, "SOMETHING": "ä ö\n", "PYTHONPATH": f"/here:{folder}"}
    found = subprocess.run(
        [program, *arguments], cwd=folder, env=environment, input="what is\nasked",
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    return found.returncode, found.stdout, found.stderr


@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("arguments", [["./says.py"], ["-m", "says"]], ids=str)
def test_a_program_cannot_tell_and_ends_in_the_same_way(arguments, ending, tmp_path):
    (tmp_path / "says.py").write_text(SAYS + ending)
    cold, warm = (
        run(one, *arguments, "a b", "ü*", folder=tmp_path) for one in (sys.executable, python())
    )
    assert warm == cold


def test_an_exception_ends_it_with_its_words(tmp_path):
    (tmp_path / "raises.py").write_text("import sys\nraise ValueError('these words')")
    status, _, said = run(python(), "raises.py", folder=tmp_path)
    assert status == 1
    assert said.splitlines()[-1] == "ValueError: these words"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1])
def test_a_signal_ends_both_processes(number, tmp_path):
    (tmp_path / "waits.py").write_text(WAITS)
    with subprocess.Popen([python(), tmp_path / "waits.py"], stdout=subprocess.PIPE) as started:
        assert started.stdout.readline() == b"here\n"
        started.send_signal(number)
        assert started.stdout.read() == b""  # the last that could write is gone
    assert started.returncode == -number


def test_what_it_starts_is_warm_too(tmp_path):
    (tmp_path / "starts.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, 'inner.py'], check=True)"
    )
    (tmp_path / "inner.py").write_text("import sys\nprint('torch' in sys.modules)")
    assert run(python(), "starts.py", folder=tmp_path) == (0, "True\n", "")
