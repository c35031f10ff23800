"""`sgrs status`: every run of an experiment, what failed and why, and how long all still takes.

Remaining time. A run's remaining iterations take what its own take now, or else the mean of this
experiment's runs that are most like it: of the same method and data set, of the same data set, of
any. Evaluations take the mean of those that were measured, likewise. The trainings at work come
first, then the others in turn, each on the first place that is free; there are as many places as
the workflow noted when it started, or as trainings are at work, and no more than open runs.
"""

import heapq
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import fmean
from typing import Any

from sgrs_core.clock import in_words
from sgrs_core.experiment.splits import base_of
from sgrs_core.files import read_json
from sgrs_core.monitoring.as_planned import NAME
from sgrs_core.monitoring.traces import (
    Trace,
    evaluation_seconds,
    failure,
    process_works,
    read_messages,
    read_trace,
)

HEAD = ("data set", "labelled", "method", "seed", "state", "iteration", "per second", "left")
NUMBERS = (1, 3, 5, 6, 7)  # columns that end together
NOT_ASKED = "not asked for"  # by the workflow's last start: counted, but not shown
NOTED = {  # of each run
    *("dataset", "labelled", "variant", "title", "label", "seed"),
    *("folder", "selections", "iterations", "asked"),
}
OPEN = {"waiting", "training", "stopped", "failed", "trained"}


@dataclass(frozen=True)
class Known:
    """A run of `runs.json` and what its files say; what it still takes, None where unknown."""

    run: Mapping[str, Any]
    trace: Trace
    left: float | None = None

    @property
    def state(self) -> str:
        """The trace's; `not asked for` where no start of the workflow wants the run."""
        idle = self.trace.state == "waiting" and not self.run["asked"]
        return NOT_ASKED if idle else self.trace.state


def watch(results: Path, seconds: float | None, show: Callable[[str], object] = print) -> None:
    """Show a results folder's status, again and again after so many seconds if they are given."""
    while True:
        text = status(results)
        show(f"\033[H\033[2J{text}" if seconds else text)
        if not seconds:
            return
        time.sleep(seconds)


def status(results: Path) -> str:
    """All of it as text. Raises ValueError where the workflow has not noted its plan."""
    try:
        planned = read_planned(results / NAME)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{results}: no {NAME} here, which Snakemake writes when it starts; "
            "name the folder results/<experiment>"
        ) from None
    except ValueError as error:
        raise ValueError(f"{error}; start the workflow again, which writes it anew") from None
    runs = [Known(run, read_trace(run, results)) for run in planned["runs"]]
    measured = [
        (one, evaluation_seconds(results / one.run["folder"] / selection))
        for one in runs
        for selection in one.run["selections"]
    ]
    runs = [Known(one.run, one.trace, left_of(one, runs, measured)) for one in runs]
    counts = Counter(one.state for one in runs)
    shown = [one for one in runs if one.state != NOT_ASKED]
    states = ", ".join(f"{number} {state}" for state, number in counts.items())
    parts = [
        f"{planned['experiment']}: {len(runs)} runs: {states}",
        table([HEAD, *map(cells, shown)]),
        remaining(runs, planned["at_once"]),
        *workflow(
            planned, (results / NAME).stat().st_mtime, any(one.state in OPEN for one in runs)
        ),
        *failures(runs, results),
    ]
    return "\n\n".join(parts)


def read_planned(file: Path) -> dict[str, Any]:
    """What the workflow noted of its runs. Raises ValueError, naming the file, if it is damaged."""
    planned = read_json(file, "experiment", "at_once", "runs")
    runs = planned["runs"]
    whole = isinstance(runs, list) and all(
        isinstance(run, dict) and run.keys() >= NOTED for run in runs
    )
    if not whole:
        raise ValueError(f"{file}: damaged (not all runs have {', '.join(sorted(NOTED))})")
    return planned


def left_of(
    one: Known, runs: Sequence[Known], measured: Sequence[tuple[Known, float | None]]
) -> float | None:
    """Seconds of training and evaluation that a run still takes; None where nothing is known.

    measured: the seconds of all evaluations.
    """
    if one.state not in OPEN:
        return 0.0
    training = 0.0
    if todo := one.run["iterations"] - one.trace.iteration:
        pace = one.trace.seconds or most_alike(one, ((two, two.trace.seconds) for two in runs))
        if pace is None:
            return None
        training = todo * pace
    unscored = len(one.run["selections"]) - one.trace.evaluated
    return training + unscored * (most_alike(one, measured) or 0.0)


def most_alike(one: Known, values: Iterable[tuple[Known, float | None]]) -> float | None:
    """The mean of the values of those runs that are most like one; None where there are none."""
    mine = kind_of(one)
    known = [(kind_of(two), value) for two, value in values if value is not None]
    for keys in (2, 1, 0):  # method and data set, data set alone, any
        alike = [value for kind, value in known if kind[:keys] == mine[:keys]]
        if alike:
            return fmean(alike)
    return None


def kind_of(one: Known) -> tuple[str, str]:
    """Data set and method; folds are one data set."""
    return base_of(one.run["dataset"]), one.run["variant"]


def remaining(runs: Sequence[Known], noted: int) -> str:
    """How long the whole experiment still takes, and from what this is reckoned."""
    todo = [one for one in runs if one.state in OPEN]
    if not todo:
        return "Nothing is left to train or to evaluate."
    active = sum(one.state == "training" for one in runs)
    known = [one.left for one in sorted(todo, key=lambda one: one.state != "training")]
    places = [0.0] * min(max(noted, active, 1), len(todo))
    for left in known:
        heapq.heapreplace(places, places[0] + (left or 0.0))
    unknown = known.count(None)
    if unknown == len(known):
        return "Left: not known before a training has run for half a minute."
    at = datetime.now() + timedelta(seconds=max(places))
    when = f", until {at:%a %H:%M}" if active else " (nothing is being trained at this moment)"
    measured = sum(one.trace.seconds is not None for one in runs)
    return (
        f"Left: about {in_words(max(places))}{when}; {len(places)} at a time, "
        f"by the pace of {measured} of these runs"
        + (f"; without {unknown} of unknown pace" if unknown else "")
    )


def workflow(planned: Mapping[str, Any], noted: float, is_open: bool) -> Iterator[str]:
    """Whether the workflow's last start is still at work.

    planned: what it noted in `runs.json`, and when. is_open: whether some run is not finished.
    """
    host, process = planned.get("host"), planned.get("process", 0)  # older starts noted none
    if host == platform.node() and process_works(process, noted):
        yield f"Snakemake is at work, as process {process}."
    elif host == platform.node() and is_open:
        yield "Snakemake is not at work: the same command goes on, each run where it stopped."
    elif host and is_open:
        yield f"Snakemake was started on {host}: only there can be seen whether it is at work."


def cells(one: Known) -> tuple[str, ...]:
    """A run's line of the table."""
    run, trace = one.run, one.trace
    return (
        *(str(run[key]) for key in ("dataset", "labelled", "title", "seed")),
        one.state,
        f"{trace.iteration:,} of {run['iterations']:,}",
        f"{1 / trace.seconds:.3g}" if trace.seconds else "",
        "?" if one.left is None else in_words(one.left) if one.left else "",
    )


def table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text, columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number in NUMBERS else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def failures(runs: Sequence[Known], results: Path) -> list[str]:
    """Each failed job with its error and the log that tells the whole story.

    Of scans, tables and figures those that failed since the workflow's last start, which tries all
    that are still asked for.
    """
    started = (results / NAME).stat().st_mtime
    failed = [
        f"{one.run['label']}: {one.trace.reason}"
        + (f"\n  {one.trace.log}" if one.trace.log else "")
        for one in runs
        if one.state == "failed"
    ]
    for log in sorted((results / "logs").rglob("*.log")):  # of scans, tables, figures
        if log.stat().st_mtime >= started and (why := failure(read_messages(log))):
            failed.append(f"{log.relative_to(results / 'logs').with_suffix('')}: {why}\n  {log}")
    return ["Failed:\n" + "\n".join(failed)] if failed else []
