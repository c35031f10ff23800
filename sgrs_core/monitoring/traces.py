"""What a run's files say about how far it is. They are read, never changed, and no lock is taken.

A training that works is told from one that was killed by its process, where it runs on the machine
that asks: it is there, and began before the run's files were written last. Elsewhere, on a
cluster's shared disk, only the age of what it wrote last can tell: locks of other machines cannot
be seen, and asking for one might stop a training from taking it.
"""

import csv
import os
import platform
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from sgrs_core.experiment.run import Run
from sgrs_core.files import read_json
from sgrs_core.log import in_one_line
from sgrs_core.monitoring.as_planned import DIGEST

State = Literal["waiting", "training", "stopped", "failed", "trained", "evaluated"]
SILENCE = 120.0  # seconds without a sign after which a training on another machine has stopped
# Whose gaps are longer, for a checkpoint is being chosen, may be silent for this many of them.
GAPS = 3
# A log's messages, each with what follows it: `<time> <level> <text>`.
MESSAGE = re.compile(
    r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d{3} ([A-Z]+) (.*(?:\n(?!\d{4}-\d\d-\d\d ).*)*)", re.M
)
WAITING = ("waiting until it has ended", "waiting for one")  # a folder's lock, a card's
PROGRESS = re.compile(r"(\d+)/\d+, (\S+) per second")
STOPPED = "StoppedError"  # of training/signals.py, whose package takes seconds to import
PROCESS = re.compile(r"process (\d+) on (\S+)")


@dataclass(frozen=True)
class Trace:
    """Where a run is. seconds: per iteration, None where unknown. log: says why it failed."""

    state: State
    iteration: int = 0
    seconds: float | None = None
    evaluated: int = 0
    reason: str = ""
    log: Path | None = None


def read_trace(run: Mapping[str, Any], results: Path) -> Trace:
    """What the files of one of the runs of `runs.json` say now."""
    folder = results / run["folder"]
    unfinished, record, log = folder / "unfinished", folder / "record.json", folder / "train.log"
    if record.is_file():
        try:
            recorded = read_json(record, "run", "training")
            if _is_of(run, recorded):
                return _finished(run, folder, recorded)
            if not unfinished.is_dir():
                return Trace("waiting")  # for it is trained anew
        except ValueError as error:  # that of one run, the others have theirs
            why = in_one_line(error, record)
            return Trace("failed", reason=f"{why}: remove it, and the run is trained anew")
    messages, saved = read_messages(log), checkpointed(unfinished, run.get("digest"))
    rates = [found for *_, text in messages if (found := PROGRESS.match(text))]
    seconds = 1 / float(rates[-1][2]) if rates else None
    if why := failure(messages):
        state: State = "stopped" if STOPPED in why else "failed"
        return Trace(state, saved, seconds, 0, why, log)
    if not messages or messages[-1][2].rstrip().endswith(WAITING):
        return Trace("stopped" if saved else "waiting", saved)
    if not is_alive(messages, [log, unfinished / "log.csv", unfinished]):
        return Trace("stopped", saved, seconds)
    seen = int(rates[-1][1]) if rates else 0
    rows = last_row(unfinished / "log.csv") if is_as_planned(unfinished, run.get("digest")) else 0
    return Trace("training", max(saved, seen, rows), seconds)


def _is_of(run: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Whether a record is of a planned run; notes from before digests know its length alone."""
    if "digest" in run:
        planned = run.get("planned_selections", run["selections"])  # of older versions: none
        recorded = Run.from_description(record["run"]).choosing(planned)
        return bool(run["digest"] == recorded.digest)
    return bool(record["run"]["training"]["iterations"] == run["iterations"])


def _finished(run: Mapping[str, Any], folder: Path, record: Mapping[str, Any]) -> Trace:
    """Trained; evaluated if there are scores of all its selections."""
    total = run["iterations"]
    seconds = record["training"]["seconds"] / total
    scored = [(folder / name / "scores.csv").is_file() for name in run["selections"]]
    for name, there in zip(run["selections"], scored, strict=True):
        log = folder / name / "evaluate.log"
        if not there and (why := failure(read_messages(log))):
            return Trace("failed", total, seconds, sum(scored), why, log)
    state: State = "evaluated" if all(scored) else "trained"
    return Trace(state, total, seconds, sum(scored))


def read_messages(log: Path) -> list[tuple[str, str, str]]:
    """Time, level and text of a log's messages; none where there is no log."""
    with suppress(FileNotFoundError):
        return MESSAGE.findall(log.read_text(encoding="utf-8", errors="replace"))
    return []


def failure(messages: list[tuple[str, str, str]]) -> str:
    """The error that a job ended with, in one line; empty if it did not."""
    if not messages or messages[-1][1] != "CRITICAL":
        return ""
    first, *traceback = messages[-1][2].splitlines()
    last = traceback[-1] if traceback else first  # with the error's kind
    return last if first in last else first


def is_alive(messages: list[tuple[str, str, str]], signs: list[Path]) -> bool:
    """Whether the process that writes a log works still; see the module's docstring."""
    where = [found for *_, text in messages if (found := PROCESS.match(text))]
    last = max((sign.stat().st_mtime for sign in signs if sign.exists()), default=0.0)
    if where and where[-1][2] == platform.node():
        return process_works(int(where[-1][1]), last)
    times = [datetime.fromisoformat(time) for time, *_ in messages]
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(times)]
    return time.time() - last <= max(SILENCE, GAPS * max(gaps, default=0.0))


def process_works(number: int, seen: float) -> bool:
    """Whether a process of this machine is there, and more than a zombie that nobody waited for.

    seen: when it gave a sign, in seconds since 1970. One that began after that has its number only:
    after a restart of the machine, say.
    """
    with suppress(OSError):
        _, _, after = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")
        state, *fields = after.split()  # fields from the fourth on, see proc(5)
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[18]) / os.sysconf("SC_CLK_TCK")
        return state not in "ZX" and time.time() - age <= seen + SILENCE
    try:
        os.kill(number, 0)  # asks, where there is no /proc
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def is_as_planned(unfinished: Path, digest: str | None) -> bool:
    """Whether what is unfinished there is of the planned run, as far as versions noted it."""
    with suppress(FileNotFoundError):
        return digest in (None, (unfinished / DIGEST).read_text(encoding="utf-8"))
    return True


def checkpointed(unfinished: Path, digest: str | None) -> int:
    """The iteration from which a next start of the planned run would go on."""
    if not is_as_planned(unfinished, digest):
        return 0
    names = [path.name for path in unfinished.glob("checkpoint-*.pt")]
    return max((int(name.split("-")[1]) for name in names), default=0)


def last_row(log: Path) -> int:
    """The iteration of the last whole row of a log that may be being written."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        *_, row, _ = [b"", *file.read().split(b"\n")]
        iteration = row.split(b",")[0]
        return int(iteration) if iteration.isdigit() else 0
    return 0


def last_loss(log: Path) -> float:
    """The loss in the last row of a finished log."""
    with log.open(encoding="utf-8", newline="") as file:
        *_, row = csv.DictReader(file)
    return float(row["loss"])


def mean_dice(scores: Path) -> float:
    """The mean over scans, in %."""
    with scores.open(encoding="utf-8", newline="") as file:
        values = [float(row["dice"]) for row in csv.DictReader(file)]
    return 100 * sum(values) / len(values)


def evaluation_seconds(folder: Path) -> float | None:
    """What Snakemake measured of the evaluation in a selection's folder."""
    with suppress(FileNotFoundError), (folder / "benchmark.tsv").open(encoding="utf-8") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])
    return None
