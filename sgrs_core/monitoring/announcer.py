"""What Snakemake's terminal shows of an experiment: a line for each start and end that matters.

Snakemake tells of every job, with its files, in a dozen lines. Where it is quiet about rules, this
handler of its log says which run is trained and evaluated, and which job failed and why.
"""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from snakemake_interface_logger_plugins.common import LogEvent

from sgrs_core.clock import in_words
from sgrs_core.experiment.plan import Point
from sgrs_core.files import read_json
from sgrs_core.monitoring.traces import checkpointed, failure, last_loss, mean_dice, read_messages

# What Snakemake says of each job although it is quiet about rules; the last has no event.
HIDDEN = {LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED}
SELECTS = "Select jobs to execute..."


class Job(NamedTuple):
    """A job, its wildcards, its run if it is of one, and when it was started."""

    rule: str
    place: Mapping[str, str]
    run: Mapping[str, Any] | None
    begun: datetime


class Announcer(logging.Handler):
    """Says on standard error what happens to the runs of an experiment, `Layout.runs`.

    digest_of: what a run's settings are, told by one of them.
    """

    def __init__(
        self,
        runs: Sequence[Mapping[str, Any]],
        results: Path,
        digest_of: Callable[[Mapping[str, Any]], str],
    ) -> None:
        super().__init__()
        self.digest_of = digest_of
        self.runs = {tuple(str(run[key]) for key in Point._fields): run for run in runs}
        self.results = results
        self.jobs: dict[int, Job] = {}
        self.failed: dict[str, None] = {}  # logs, in order
        self.tenth = 0

    def leaves(self, record: logging.LogRecord) -> bool:
        """Whether Snakemake's own terminal should show a record; a filter for its handler."""
        event = getattr(record, "event", None)
        if event == LogEvent.PROGRESS:  # at each tenth
            before, self.tenth = self.tenth, 10 * vars(record)["done"] // vars(record)["total"]
            return self.tenth > before
        return event not in HIDDEN and record.getMessage() != SELECTS

    def emit(self, record: logging.LogRecord) -> None:
        """Say what there is to say of a record; of most, nothing."""
        try:
            about = vars(record)
            match about.get("event"):
                case LogEvent.JOB_INFO:
                    self._started(about)
                case LogEvent.JOB_FINISHED:
                    self._finished(self.jobs.pop(about["job_id"]))
                case LogEvent.JOB_ERROR:
                    self._failed(about)
        except Exception:
            self.handleError(record)  # what is said must not stop what is done

    def _started(self, about: Mapping[str, Any]) -> None:
        place = {key: str(value) for key, value in (about["wildcards"] or {}).items()}
        run = self.runs.get(tuple(place.get(key, "") for key in Point._fields))
        now = datetime.now(UTC).replace(microsecond=0)  # a record knows seconds
        self.jobs[about["jobid"]] = Job(about["rule_name"], place, run, now)
        if run and about["rule_name"] == "train":
            doing = "training" if about["local"] else "submitted"
            unfinished = self.results / run["folder"] / "unfinished"
            done = checkpointed(unfinished, self.digest_of(run))
            after = f", going on after {done:,}" if done else ""
            say(f"{run['label']}: {doing}, {run['iterations']:,} iterations{after}")

    def _finished(self, job: Job) -> None:
        run = job.run
        if not run:
            return
        folder = self.results / run["folder"]
        if job.rule == "train":
            record = read_json(folder / "record.json", "training", "finished")
            if datetime.fromisoformat(record["finished"]) < job.begun:
                say(f"{run['label']}: was trained before")
                return
            took = in_words(record["training"]["seconds"])
            say(f"{run['label']}: trained in {took}, loss {last_loss(folder / 'log.csv'):.2f}")
        if job.rule == "evaluate":
            selection = job.place["selection"]
            dice = mean_dice(folder / selection / "scores.csv")
            say(f"{run['label']}: evaluated, Dice {dice:.2f} % ({selection})")

    def _failed(self, about: Mapping[str, Any]) -> None:
        unknown = Job(about["rule_name"], {}, None, datetime.now(UTC))
        job = self.jobs.get(about["jobid"], unknown)
        of = job.run["label"] if job.run else ", ".join(job.place.values())
        say(f"FAILED: {job.rule}{f' of {of}' if of else ''}")
        for log in about["log"]:
            file = Path(log.split(" (")[0])  # Snakemake adds what it knows of a path
            why = failure(read_messages(file))
            say(
                f"  {why or 'ended without a word; was it killed, or out of memory?'}\n  log: {log}"
            )
            self.failed[str(log)] = None

    def conclude(self) -> None:
        """Say what failed, and where that lies which a user came for."""
        if self.failed:
            say(f"{len(self.failed)} failed; the logs:", *(f"  {log}" for log in self.failed))
        tables, report = self.results / "tables", self.results / "report.html"
        newest = max((file.stat().st_mtime for file in tables.glob("*.csv")), default=0.0)
        for place in (tables, self.results / "figures", report):
            if place.exists():
                made = " (some perhaps by an earlier call)" if self.failed else ""
                if place == report and newest > report.stat().st_mtime:
                    made = " (older than the tables)"
                say(f"{place.stem.capitalize()}{made}: {place}")


def say(*lines: str) -> None:
    """Lines on standard error, over a bar where it is a terminal."""
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(*(f"{start}{line}" for line in lines), sep="\n", file=sys.stderr, flush=True)
