"""`sgrs status`: states, iterations and remaining times, read from the files of small real runs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from sgrs_core.command_line import main
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.planning import load_plan
from sgrs_core.monitoring.as_planned import DIGEST, check_planned, check_planned_preparation
from sgrs_core.monitoring.planned import write_planned
from sgrs_core.monitoring.status import Known, most_alike, remaining, status
from sgrs_core.monitoring.traces import Trace, last_row, process_works, read_trace
from sgrs_core.training.record import write_record
from tests.places import PROJECT
from tests.synthetic_results import QUICK, plan_of_quick

# A training as workflow_scripts/train.py does it: the run's folder, iterations, learning rate.
PROGRAM = """
import logging, os, platform, shutil, sys
from pathlib import Path
import numpy as np
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.log import log_to
from sgrs_core.training.log_file import write_log
from sgrs_core.training.loop import train
from sgrs_core.training.record import write_record
from sgrs_core.training.signals import defer_signals

folder, iterations, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])

def read(name):
    image = np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32)
    return Volume(image, (image > 1).astype(np.uint8))

log_to(folder / "train.log")
logging.info("process %d on %s", os.getpid(), platform.node())
training = TrainingSettings(
    iterations=iterations, patch=(16, 16, 16), base_filters=2, learning_rate=rate,
    ramp_iterations=4, ramp_block=1, channels_last=False, device="cpu",
    checkpoint_every=7, log_every=2, augmentation="none",
)
inference = InferenceSettings((16, 16, 16), (16, 16, 16), 8)
run = Run("vnet", {}, training, inference, 0, ("a", "b"), (), {"last": ()})
with defer_signals() as asked_to_stop:
    trained = train(run, read, folder / "unfinished", asked_to_stop)
write_log(folder / "log.csv", trained.rows)
write_record(folder / "record.json", run, trained.facts)
shutil.rmtree(folder / "unfinished")
"""
ENDLESS = 1_000_000
ITERATIONS = {"finished": 10, "failed": 1000}
NAMES = ("finished", "running", "killed", "asked", "failed", "waiting")


def planned(name: str) -> dict:
    """A line of runs.json."""
    return {
        "dataset": "la", "labelled": 4, "variant": name, "seed": 0, "title": name,
        "label": f"{name}, LA, 4 labelled, seed 0", "asked": True, "selections": ["last"],
        "iterations": ITERATIONS.get(name, ENDLESS), "folder": f"la/labelled-4/{name}/seed-0",
    }  # fmt: skip


def folder_of(results: Path, name: str) -> Path:
    return results / planned(name)["folder"]


def start(results: Path, name: str, rate: float = 0.01) -> subprocess.Popen:
    arguments = [folder_of(results, name), planned(name)["iterations"], rate]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=PROJECT, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """An experiment with a run in each state; one is being trained all the time."""
    results = tmp_path_factory.mktemp("results") / "small"
    rates = {"failed": 1e30}
    processes = {name: start(results, name, rates.get(name, 0.01)) for name in NAMES[:-1]}
    try:
        for name in ("running", "killed", "asked"):
            unfinished = folder_of(results, name) / "unfinished"
            wait_for(lambda folder=unfinished: any(folder.glob("checkpoint-*.pt")))
        processes["killed"].send_signal(signal.SIGKILL)
        processes["asked"].send_signal(signal.SIGTERM)
        for name in ("finished", "killed", "asked", "failed"):
            processes[name].wait(120)
        described = {"experiment": "small", "at_once": 2, "runs": [planned(one) for one in NAMES]}
        (results / "runs.json").write_text(json.dumps(described))
        yield results
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def trace(results: Path, name: str) -> Trace:
    return read_trace(planned(name), results)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("finished", "trained"),
        ("running", "training"),
        ("killed", "stopped"),
        ("asked", "stopped"),
        ("failed", "failed"),
        ("waiting", "waiting"),
    ],
)
def test_each_state_is_told_from_files_alone(results, name, state):
    assert trace(results, name).state == state


WAITING = """
import logging, os, platform, sys
from pathlib import Path
from sgrs_core.files import exclusive_lock
from sgrs_core.log import log_to
from sgrs_core.training.gpu import hold_gpu

folder = Path(sys.argv[1])
log_to(folder / "train.log")
logging.info("process %d on %s", os.getpid(), platform.node())
with exclusive_lock(folder, wait=True), hold_gpu():
    logging.info("at work")
"""


@pytest.mark.parametrize("held", ["{run}/lock", "sgrs-gpus-{user}/GPU-taken.0"])
def test_a_training_that_another_one_keeps_from_its_folder_or_card_waits(held, tmp_path):
    folder = folder_of(tmp_path, "waiting")
    lock = tmp_path / held.format(run=planned("waiting")["folder"], user=os.getuid())
    lock.parent.mkdir(parents=True)
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "GPU-taken", "TMPDIR": str(tmp_path)}
    call = [sys.executable, "-c", WAITING, str(folder)]
    log = folder / "train.log"
    with ExitStack() as started, FileLock(lock):
        started.enter_context(
            subprocess.Popen(call, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL)
        )
        wait_for(lambda: log.exists() and "; waiting" in log.read_text())
        assert trace(tmp_path, "waiting").state == "waiting"


def test_a_run_is_evaluated_when_the_scores_of_all_its_selections_are_there(results, tmp_path):
    folder = folder_of(tmp_path, "finished")
    shutil.copytree(folder_of(results, "finished"), folder)
    run = {**planned("finished"), "selections": ["last", "best_on_test"]}
    (folder / "last").mkdir()
    (folder / "last/scores.csv").write_text("scan,dice\na,0.5\n")
    assert read_trace(run, tmp_path).state == "trained"
    assert read_trace(planned("finished"), tmp_path).state == "evaluated"


def test_a_run_recorded_with_other_iterations_waits_to_be_trained_anew(results):
    run = {**planned("finished"), "iterations": 20}
    assert read_trace(run, results).state == "waiting"


def test_a_running_training_is_seen_to_go_on_between_its_checkpoints(results):
    seen = trace(results, "running").iteration
    wait_for(lambda: trace(results, "running").iteration > seen)


def test_a_stopped_run_is_as_far_as_its_newest_checkpoint(results):
    iteration = trace(results, "killed").iteration
    assert iteration > 0
    assert iteration % 7 == 0


def test_what_failed_is_named_with_its_reason_and_its_log(results):
    text = status(results)
    assert "6 runs: 1 trained, 1 training, 2 stopped, 1 failed, 1 waiting" in text
    failed = text[text.index("Failed:") :]
    assert "failed, LA, 4 labelled, seed 0: FloatingPointError: iteration" in failed
    assert str(folder_of(results, "failed") / "train.log") in failed
    assert "asked" not in failed


def test_a_job_that_belongs_to_no_run_is_named_where_it_failed(results, tmp_path):
    shutil.copytree(folder_of(results, "finished"), folder_of(tmp_path, "finished"))
    described = {"experiment": "x", "at_once": 1, "runs": [planned("finished")]}
    (tmp_path / "runs.json").write_text(json.dumps(described))
    log = tmp_path / "logs/la/prepare/scan7.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        "2026-01-01 10:00:00,000 CRITICAL scan7: damaged\nTraceback\nOSError: scan7: damaged\n"
    )
    assert f"la/prepare/scan7: OSError: scan7: damaged\n  {log}" in status(tmp_path)


def test_what_failed_before_the_last_start_is_no_failure_of_it(tmp_path):
    log = tmp_path / "logs/la/prepare/left_out.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01 10:00:00,000 CRITICAL left_out: damaged\n")
    os.utime(log, (1000, 1000))
    described = {"experiment": "x", "at_once": 1, "runs": [planned("waiting")]}
    (tmp_path / "runs.json").write_text(json.dumps(described))
    assert "Failed" not in status(tmp_path)


def test_a_full_disk_is_a_failure_although_a_checkpoint_is_kept(tmp_path):
    folder = folder_of(tmp_path, "failed")
    folder.mkdir(parents=True)
    (folder / "train.log").write_text(
        "2026-01-01 10:00:00,000 CRITICAL no space; the next start goes on from it\nTraceback\n"
        "OSError: no space; the next start goes on from it\n"
    )
    assert trace(tmp_path, "failed").state == "failed"


def test_checkpoints_of_other_settings_are_no_progress(results, tmp_path):
    shutil.copytree(folder_of(results, "killed"), folder_of(tmp_path, "killed"))
    (folder_of(tmp_path, "killed") / "unfinished" / DIGEST).write_text("of before")
    for digest, is_there in (("of before", True), ("of now", False)):
        found = read_trace({**planned("killed"), "digest": digest}, tmp_path)
        assert found.state == "stopped"
        assert (found.iteration > 0) is is_there


def test_a_folds_pace_is_that_of_the_same_method_in_another_fold():
    def of(dataset: str, variant: str, seconds: float | None) -> Known:
        return Known({"dataset": dataset, "variant": variant}, Trace("training", 1, seconds))

    runs = [of("own/fold-0", "sgrs", 10.0), of("own/fold-1", "vnet", 0.1), of("la", "sgrs", 1.0)]
    paces = [(one, one.trace.seconds) for one in runs]
    assert most_alike(of("own/fold-1", "sgrs", None), paces) == 10
    assert most_alike(of("own/fold-1", "dtc", None), paces) == pytest.approx(5.05)
    assert most_alike(of("pancreas", "dtc", None), paces) == pytest.approx(3.7)


def on_another_machine(results: Path, folder: Path, name: str, silent: float) -> Trace:
    """What is seen of a run that some other machine trains and that wrote so long ago."""
    there = folder_of(folder, name)
    shutil.copytree(folder_of(results, name), there)
    log = there / "train.log"
    log.write_text(log.read_text().replace(f" on {os.uname().nodename}", " on elsewhere"))
    at = time.time() - silent
    for path in [*there.rglob("*"), there / "unfinished"]:
        os.utime(path, (at, at))
    return read_trace(planned(name), folder)


@pytest.mark.parametrize(("silent", "state"), [(20, "training"), (600, "stopped")])
def test_on_another_machine_the_age_of_the_last_sign_tells(results, tmp_path, silent, state):
    assert on_another_machine(results, tmp_path, "killed", silent).state == state


@pytest.mark.parametrize(
    ("planned_selections", "state"),
    [(["last"], "trained"), (["last", "best_on_validation"], "waiting")],
)
def test_a_run_that_was_chosen_from_in_more_ways_than_are_planned_is_trained(
    tmp_path, planned_selections, state
):
    plan = plan_of_quick()
    run = plan.run(next(iter(plan.rows)))
    assert set(run.selection_scans) == {"last", "best_on_test"}
    write_record(folder_of(tmp_path, "finished") / "record.json", run, {"seconds": 1.0})
    now = replace(run, selection_scans=dict.fromkeys(planned_selections, ()))
    line = {**planned("finished"), "selections": ["last"], "digest": now.digest}
    line["planned_selections"] = planned_selections  # of which this start asks for the last alone
    assert read_trace(line, tmp_path).state == state


def test_a_status_writes_nothing_and_takes_no_lock(results, tmp_path):
    for name in ("finished", "killed", "asked", "failed"):
        shutil.copytree(folder_of(results, name), folder_of(tmp_path, name))
    shutil.copy(results / "runs.json", tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    status(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_half_written_row_is_none_yet(tmp_path):
    log = tmp_path / "log.csv"
    log.write_bytes(b"iteration,loss\r\n10,0.5\r\n20,0.4\r\n3")
    assert last_row(log) == 20
    log.write_bytes(b"iteration,loss\r\n")
    assert last_row(log) == 0
    assert last_row(tmp_path / "none.csv") == 0


def known(state: str, left: float | None) -> Known:
    return Known({"asked": True}, Trace(state, seconds=1.0 if left else None), left)


def test_runs_at_work_come_first_and_the_others_take_the_places_that_become_free():
    three = [known("waiting", 3600), known("training", 7200), known("training", 3600)]
    assert remaining(three, 1).startswith("Left: about 2 h 0 min, until ")  # two are at work
    left = remaining([known("waiting", 600)] * 3, 2)
    assert left.startswith("Left: about 20 min (nothing is being trained")
    assert "1 of unknown pace" in remaining([known("waiting", 600), known("waiting", None)], 1)
    without_end = remaining([known("waiting", 600)] * 3, sys.maxsize)  # --jobs unlimited
    assert "about 10 min" in without_end
    assert "3 at a time" in without_end
    assert remaining([known("evaluated", 0.0)], 1) == "Nothing is left to train or to evaluate."


def test_the_command_prints_it_and_says_what_is_no_results_folder(results, tmp_path, capsys):
    assert main(["status", str(results)]) == 0
    assert capsys.readouterr().out.startswith("small: 6 runs")
    assert main(["status", str(tmp_path)]) == 1
    assert "no runs.json here" in capsys.readouterr().err
    planned = '{"experiment": "a", "at_once": 1, "runs": '
    for content in (
        '{"runs": [',
        "[]",
        "{}",
        planned + "5}",
        planned + "[5]}",
        planned + '[{"seed": 0}]}',
    ):
        (tmp_path / "runs.json").write_text(content)
        assert main(["status", str(tmp_path)]) == 1
        error = capsys.readouterr().err
        assert re.search(r"runs\.json: damaged \(.*start the workflow again", error)


def test_a_run_whose_record_is_damaged_says_so_and_the_others_are_shown(results, tmp_path):
    copy = Path(shutil.copytree(results, tmp_path / "copy", ignore=lambda *_: ["lock"]))
    record = folder_of(copy, "finished") / "record.json"
    record.write_text(record.read_text()[:300])
    text = status(copy)
    assert "small: 6 runs" in text
    assert f"{record}: damaged (" in text
    assert "remove it, and the run is trained anew" in text
    assert "None" not in text


@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "soon"])
def test_what_is_no_time_between_two_looks_is_refused(seconds, results, capsys):
    with pytest.raises(SystemExit):
        main(["status", str(results), f"--watch={seconds}"])
    assert f"--watch: '{seconds}': allowed are seconds above 0" in capsys.readouterr().err


def test_a_process_that_nobody_waited_for_works_no_more():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert process_works(process.pid, time.time())
    process.kill()
    # A zombie, until it is waited for.
    wait_for(lambda: not process_works(process.pid, time.time()))
    process.communicate()
    assert not process_works(process.pid, time.time())


def test_a_process_that_began_after_the_last_sign_is_another_one(results, tmp_path):
    there = folder_of(tmp_path, "running")
    shutil.copytree(folder_of(results, "running"), there)
    assert trace(tmp_path, "running").state == "training"
    for path in [*there.rglob("*"), there / "unfinished"]:
        os.utime(path, (time.time() - 86_400,) * 2)
    assert trace(tmp_path, "running").state == "stopped"


@pytest.mark.parametrize(
    ("host", "is_there", "name", "said"),
    [
        (os.uname().nodename, True, "killed", "Snakemake is at work, as process "),
        (os.uname().nodename, True, "finished", "Snakemake is at work, as process "),
        (os.uname().nodename, False, "killed", "Snakemake is not at work: the same command goes"),
        (os.uname().nodename, False, "evaluated", None),
        ("elsewhere", False, "killed", "Snakemake was started on elsewhere: only there can be se"),
        (None, False, "killed", None),
    ],
)
def test_it_says_whether_the_workflow_is_at_work(host, is_there, name, said, results, tmp_path):
    of = "finished" if name == "evaluated" else name
    shutil.copytree(folder_of(results, of), folder_of(tmp_path, of))
    if name == "evaluated":
        (folder_of(tmp_path, of) / "last").mkdir()
        (folder_of(tmp_path, of) / "last/scores.csv").touch()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    described = {"experiment": "x", "at_once": 1, "runs": [planned(of)]}
    if host:
        described |= {"process": process.pid, "host": host}
    (tmp_path / "runs.json").write_text(json.dumps(described))
    if not is_there:
        process.communicate()
    text = status(tmp_path)
    process.communicate()
    assert (said or "Snakemake") in text if said else "Snakemake" not in text


def test_a_run_is_called_after_its_method_whatever_an_ablation_calls_it():
    values = yaml.safe_load(QUICK.read_text(encoding="utf-8"))
    values |= {"figures": {}, "headline": []}
    plan = load_plan(values, [QUICK], PROJECT / "config")
    titles = {run["variant"]: run["title"] for run in Layout(plan).runs()}
    assert (titles["sgrs"], titles["vnet"]) == ("SGRS-Net", "V-Net")


def test_a_jobs_run_is_the_planned_one_as_far_as_was_noted(tmp_path):
    plan = plan_of_quick()
    runs = Layout(plan).runs()
    write_planned(tmp_path, runs, plan, {}, 1)
    run, folder = plan.run(next(iter(plan.rows))), tmp_path / runs[0]["folder"]
    check_planned(tmp_path, folder, run, ["digest", "predicting"])
    with pytest.raises(ValueError, match=r"runs\.json: the configuration was changed"):
        check_planned(tmp_path, tmp_path / "la/labelled-9", run, ["digest"])
    noted = json.loads((tmp_path / "runs.json").read_text())
    noted["runs"] = [{"folder": runs[0]["folder"], "digest": run.digest}]  # of an older version
    (tmp_path / "runs.json").write_text(json.dumps(noted))
    check_planned(tmp_path, folder, run, ["digest", "predicting"])


def test_a_job_prepares_scans_as_was_planned_as_far_as_was_noted(tmp_path):
    plan = plan_of_quick()
    (tmp_path / "runs.json").write_text("{}")  # of an older version
    check_planned_preparation(tmp_path, "la", {"downsample": 2})
    write_planned(tmp_path, Layout(plan).runs(), plan, {}, 1)
    for how in (plan.preparation("la"), plan.preparation_of_new("la")):
        check_planned_preparation(tmp_path, "la", how)
        with pytest.raises(
            ValueError, match=r"runs\.json: .* preparation of la was planned: start"
        ):
            check_planned_preparation(tmp_path, "la", {**how, "downsample": 2})


def test_the_process_that_notes_the_plan_is_the_one_that_is_at_work(tmp_path):
    plan = plan_of_quick()
    write_planned(tmp_path, Layout(plan).runs(), plan, {}, 1)
    assert f"Snakemake is at work, as process {os.getpid()}." in status(tmp_path)


def test_a_record_of_another_version_is_named_in_one_line(results, tmp_path):
    folder = folder_of(tmp_path, "finished")
    shutil.copytree(folder_of(results, "finished"), folder)
    record = json.loads((folder / "record.json").read_text())
    record["run"]["training"]["later"] = 1
    (folder / "record.json").write_text(json.dumps(record))
    found = read_trace({**planned("finished"), "digest": "any"}, tmp_path)
    assert found.state == "failed"
    assert found.reason.startswith(f"{folder / 'record.json'}: of another version (training.")
    assert "\n" not in found.reason
