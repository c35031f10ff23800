"""What a run leaves about itself: what was run, with what, where and when."""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sgrs_core.run import Run

PACKAGES = ("torch", "numpy", "scipy", "h5py")


def record_of(run: Run, facts: dict[str, Any]) -> dict[str, Any]:
    """The run's description, the facts of its training, versions, commit, machine and date."""
    return {
        "run": run.description(),
        "training": facts,
        "commit": git_commit(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "processor": processor(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_commit() -> str:
    """The project's commit, with `+changes` if files differ from it; `unknown` outside git."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str:
    """The processor's name, as the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
