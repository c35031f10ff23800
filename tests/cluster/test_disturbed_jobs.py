"""The profile on a real SLURM: jobs that are preempted, cancelled, killed, warned and requeued.

Four runs are trained two at a time. As soon as the first two are midway, a job of a partition with
higher priority preempts both; later each of the four is disturbed once more, each in its own way.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from sgrs_core.training.checkpoint import NAME, newest_first
from tests.workflow.conftest import ENVIRONMENT, PROJECT

pytestmark = pytest.mark.slow

CHANGES = {
    "datasets": {"la": {"training": {"iterations": 150, "checkpoint_every": 5, "log_every": 10}}},
    "selections": ["last"],
    "seeds": [0, 1],
    "tables": {"table2": {"labelled": [4], "methods": ["vnet", "sgrs"]}},
    "figures": {},
    "headline": ["table2"],
}
RUNS = ["vnet/seed-0", "vnet/seed-1", "sgrs/seed-0", "sgrs/seed-1"]
RESULTS = Path("results/quick")
TEST_SCANS = [RESULTS / f"volumes/la/phantom_test_{number:03d}.h5" for number in range(2)]
MODELS = {run: RESULTS / "la/labelled-4" / run / "model.pt" for run in RUNS}
# On a real cluster one asks its scheduler less often, and files take longer to be seen elsewhere.
IMPATIENT = [
    *("--slurm-init-seconds-before-status-checks", "2"),
    *("--max-status-checks-per-second", "10"),
    *("--latency-wait", "5"),
]
PROFILE = ["--profile", str(PROJECT / "profiles/slurm"), "--slurm-status-command", "squeue"]
DEADLINE = 600  # seconds, of all disturbances and what follows them


@dataclass(frozen=True)
class Job:
    """What SLURM says of a job: its comment is the rule's name with the wildcards."""

    number: str
    state: str
    megabytes: int
    minutes: int
    comment: str


@dataclass
class Disturbed:
    """The folder of the disturbed runs, and what was seen while they went on."""

    folder: Path
    jobs: list[Job] = field(default_factory=list)
    most_trainings_at_once: int = 0
    requeued: str = ""

    def of(self, run: str) -> list[Job]:
        """The jobs submitted for a run's training, in their order."""
        comment = comment_of(run)
        return sorted(
            (job for job in self.jobs if job.comment == comment), key=lambda job: int(job.number)
        )


def slurm(*words: str) -> str:
    """The answer of one of SLURM's commands."""
    asked = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
    assert asked.returncode == 0, f"{' '.join(words)}: {asked.stderr}"
    return asked.stdout


def listed_jobs() -> list[Job]:
    """All jobs since the cluster was started."""
    lines = slurm("squeue", "--noheader", "--states=all", "--format=%i|%T|%m|%l|%k").splitlines()
    jobs = []
    for number, state, memory, limit, comment in (line.strip().split("|", 4) for line in lines):
        megabytes = int(memory[:-1]) * {"M": 1, "G": 1024}[memory[-1]]
        jobs.append(Job(number, state, megabytes, minutes(limit), comment))
    return jobs


def minutes(limit: str) -> int:
    """SLURM's [days-]hours:minutes:seconds; hours may be missing."""
    days, _, rest = limit.rpartition("-")
    hours, mins, _ = [0, *map(int, rest.split(":"))][-3:]
    return (int(days or 0) * 24 + hours) * 60 + mins


def comment_of(run: str) -> str:
    return f"rule_train_wildcards_la_4_{run.replace('/seed-', '_')}"


def run_folder(folder: Path, run: str) -> Path:
    return (folder / MODELS[run]).parent


def newest_iteration(folder: Path, run: str) -> int:
    """Of the run's checkpoints; 0 where there is none."""
    found = newest_first(run_folder(folder, run) / "unfinished")
    return int(NAME.fullmatch(found[0].name)[1]) if found else 0


def training_process(folder: Path, run: str) -> int | None:
    """The number of the process that holds the lock of the run's folder."""
    lock = str(run_folder(folder, run) / "lock")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) == lock:
                return int(descriptor.parts[2])
        except OSError:
            continue  # it has ended meanwhile
    return None


def cancel(job: str, _: int) -> None:
    slurm("scancel", job)


def kill(_: str, process: int) -> None:
    os.kill(process, signal.SIGKILL)


def warn(job: str, _: int) -> None:
    """As `--signal=USR1@180` does: to the job's steps, not to its shell."""
    slurm("scancel", "--signal=USR1", job)


def requeue(job: str, _: int) -> None:
    slurm("scontrol", "requeue", job)


DISTURBANCES: dict[str, Callable[[str, int], None]] = {
    "vnet/seed-0": cancel,
    "vnet/seed-1": kill,
    "sgrs/seed-0": warn,
    "sgrs/seed-1": requeue,
}


def disturb(seen: Disturbed, snakemake: subprocess.Popen) -> None:
    """Preempt the first two trainings, then disturb every run once, each midway."""
    left, before, preempted = dict(DISTURBANCES), dict.fromkeys(RUNS, 0), False
    deadline = time.monotonic() + DEADLINE
    while left or not preempted:
        assert time.monotonic() < deadline, f"not midway in {DEADLINE} s: {', '.join(left)}"
        assert snakemake.poll() is None, f"Snakemake ended before {', '.join(left)} was disturbed"
        midway = trainings_midway(seen, before)
        if not preempted:
            if len(midway) == 2:
                preempt([job for job, _ in midway.values()])
                before |= {run: newest_iteration(seen.folder, run) for run in RUNS}
                preempted = True
            continue
        for run in midway.keys() & left.keys():
            left.pop(run)(*midway[run])
            if DISTURBANCES[run] is requeue:
                seen.requeued = midway[run][0]
        time.sleep(0.2)


def trainings_midway(seen: Disturbed, before: dict[str, int]) -> dict[str, tuple[str, int]]:
    """Job and process of each run being trained that got further than `before`."""
    running = {job.comment: job.number for job in listed_jobs() if job.state == "RUNNING"}
    jobs = {run: running[comment_of(run)] for run in RUNS if comment_of(run) in running}
    seen.most_trainings_at_once = max(seen.most_trainings_at_once, len(jobs))
    midway = {}
    for run, job in jobs.items():
        process = training_process(seen.folder, run)
        if process and newest_iteration(seen.folder, run) > before[run]:
            midway[run] = (job, process)
    return midway


def preempt(victims: list[str]) -> None:
    """A job that needs the whole node, from a partition that goes before; waits for their end."""
    job = ["--partition=urgent", "--exclusive", "--mem=1000", "--time=1", "--output=/dev/null"]
    slurm("sbatch", *job, "--wrap=true")
    deadline = time.monotonic() + 60
    while any(job.state == "RUNNING" for job in listed_jobs() if job.number in victims):
        assert time.monotonic() < deadline, f"jobs {victims} are not preempted"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def undisturbed(cluster, finished) -> Path:
    """The same runs on this machine, without SLURM; all scans are prepared."""
    targets, where = map(str, [*MODELS.values(), *TEST_SCANS]), ("--cores", "2")
    return finished("undisturbed", *targets, changes=CHANGES, where=where)


@pytest.fixture(scope="module")
def disturbed(undisturbed, tmp_path_factory, command) -> Disturbed:
    """Training to table through the profile."""
    seen = Disturbed(tmp_path_factory.mktemp("disturbed"))
    volumes = RESULTS / "volumes"  # prepared already
    shutil.copytree(undisturbed / volumes, seen.folder / volumes, copy_function=shutil.copy2)
    output = seen.folder / "snakemake.txt"
    with output.open("w") as file:
        snakemake = subprocess.Popen(
            command("headline", folder=seen.folder, changes=CHANGES, where=PROFILE,
                    options=IMPATIENT),
            stdout=file, stderr=subprocess.STDOUT, env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
    try:
        disturb(seen, snakemake)
        code = snakemake.wait(timeout=DEADLINE)
    finally:
        if snakemake.poll() is None:
            os.killpg(snakemake.pid, signal.SIGKILL)
            snakemake.wait()
        print(output.read_text(encoding="utf-8")[-6000:])
    assert code == 0
    seen.jobs = listed_jobs()
    return seen


@pytest.mark.parametrize("run", RUNS)
def test_a_disturbed_run_ends_with_the_weights_of_an_undisturbed_one(run, undisturbed, disturbed):
    expected, found = (
        torch.load(folder / MODELS[run], weights_only=True)["weights"]["last"]
        for folder in (undisturbed, disturbed.folder)
    )
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("run", RUNS)
def test_it_went_on_from_a_checkpoint(run, undisturbed, disturbed):
    log = (run_folder(disturbed.folder, run) / "train.log").read_text(encoding="utf-8")
    assert "going on after iteration" in log
    rows = [
        (run_folder(folder, run) / "log.csv").read_text(encoding="utf-8")
        for folder in (undisturbed, disturbed.folder)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("run", [run for run in RUNS if DISTURBANCES[run] is not requeue])
def test_a_submission_after_a_disturbance_asks_for_more(run, disturbed):
    first, *later = disturbed.of(run)
    assert later
    for before, job in zip([first, *later], later, strict=False):
        assert job.megabytes > before.megabytes
        assert job.minutes >= before.minutes
    assert later[0].minutes > first.minutes


def test_a_requeued_job_is_the_same_job_and_is_not_submitted_again(disturbed):
    assert disturbed.requeued
    assert "Restarts=1" in slurm("scontrol", "show", "job", disturbed.requeued)
    assert disturbed.of("sgrs/seed-1")[-1].number == disturbed.requeued


def test_as_many_trainings_run_at_once_as_there_are_cards(disturbed):
    """Two, though the node has cores and memory for four."""
    assert disturbed.most_trainings_at_once == 2
    for run in RUNS:
        for job in disturbed.of(run):
            assert "gres:gpu:1" in slurm("scontrol", "show", "job", job.number)


def test_all_evaluations_share_one_submission_and_one_card(disturbed):
    (job,) = [job for job in disturbed.jobs if "evaluat" in job.comment]
    assert job.minutes == 30 * len(RUNS)
    assert "gres:gpu:1" in slurm("scontrol", "show", "job", job.number)
    assert (disturbed.folder / RESULTS / "tables/table2.md").exists()


def test_tables_are_not_submitted(disturbed):
    assert not [job for job in disturbed.jobs if "table" in job.comment]
