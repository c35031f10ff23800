"""What a run leaves about itself: what was run, with what, where and when."""

import importlib.metadata
import json
import logging
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sgrs_core.experiment.run import Run
from sgrs_core.files import read_json, sha256_of_all, write_text
from sgrs_core.log import in_one_line

logger = logging.getLogger(__name__)

# What may change a run's numbers, or how it was started. An environment need not have them all.
PACKAGES = (
    "torch", "numpy", "scipy", "h5py", "simpleitk", "scikit-image", "filelock", "snakemake",
)  # fmt: skip


def write_record(path: Path, run: Run, facts: dict[str, Any]) -> None:
    """The run's description, the facts of its training, versions, commit, machine and date.

    Written whole or not at all.
    """
    record = {
        "run": run.description(),
        "training": facts,
        "commit": git_commit(),
        "packages": versions(),
        "python": platform.python_version(),
        "processor": processor(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(path, json.dumps(record, indent=2) + "\n")


def sums_of_scans(run: Run, digests: Mapping[str, str]) -> dict[str, Any]:
    """What a run's scans are, in one digest and, as `scans_sha256_by_use`, in one for each use."""
    by_use = {
        use: sha256_of_all({scan: digests[scan] for scan in scans})
        for use, scans in run.scans_by_use.items()
    }
    return {"scans_sha256": sha256_of_all(digests), "scans_sha256_by_use": by_use}


def is_record_of(run: Run, scans: Mapping[str, Any], path: Path) -> bool:
    """Whether there is a record at `path`, of a run that answers this one, on the same scans.

    scans: the run's, as `sums_of_scans` has them. Raises ValueError, naming the file, where it is
    damaged or not one of this version.
    """
    if not path.is_file():
        return False
    try:
        record = read_json(path, "run", "training")
        recorded = Run.from_description(record["run"])
    except ValueError as error:
        way_out = "delete it, and the run is trained anew"
        raise ValueError(f"{in_one_line(error, path)}; {way_out}") from None
    noted = record["training"]
    by_use = noted.get("scans_sha256_by_use", {})  # of older versions: none
    on_these = noted.get("scans_sha256") == scans["scans_sha256"] or (
        scans["scans_sha256_by_use"].items() <= by_use.items()
    )
    return on_these and recorded.answers(run)


def is_of_another(run: Run, path: Path) -> bool:
    """Whether there is a record at `path`, and of a run that does not answer this one."""
    with suppress(FileNotFoundError, ValueError):  # a damaged one is named by who needs it
        return not Run.from_description(read_json(path, "run")["run"]).answers(run)
    return False


def versions() -> dict[str, str]:
    """The versions of those PACKAGES that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def git_commit() -> str:
    """The project's commit, with `+changes` if files differ from it.

    `unknown`, with the reason in the log, where the project's folder is not what git manages: a
    copy without its history, maybe inside a repository of something else.
    """
    root = Path(__file__).parents[2]
    try:
        managed = Path(_git(root, "rev-parse", "--show-toplevel"))
        if managed.samefile(root):
            commit = _git(root, "rev-parse", "HEAD")
            return commit + ("+changes" if _git(root, "status", "--porcelain", "-uno") else "")
        reason = f"it lies in the repository of {managed}"
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split())
    except OSError as error:
        reason = str(error)
    logger.info("%s: the commit is not known: %s", root, reason)
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
