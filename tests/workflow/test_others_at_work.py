"""Others beside a workflow: readers, second processes, people without permission."""

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import h5py
import numpy as np
import pytest
from filelock import FileLock

from tests.workflow.conftest import DISTURBED, ENVIRONMENT, planned
from tests.workflow.disturbed_run import MODEL, RUN, assert_same_run, has_checkpoint, wait_for

pytestmark = pytest.mark.slow


def test_looking_changes_nothing(undisturbed, disturbed, complete):
    shutil.copytree(undisturbed / "results", disturbed / "results", dirs_exist_ok=True)
    for path in (disturbed / "results").rglob("*"):  # from the future, and one scan is missing
        os.utime(path, (path.stat().st_mtime + 3600,) * 2)
    next((disturbed / "results/quick/volumes/la").glob("*train*.h5")).unlink()
    before = {path: path.stat().st_mtime_ns for path in (disturbed / "results").rglob("*")}
    for verb in ("-n", "--summary"):
        assert complete(verb).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (disturbed / "results").rglob("*")} == before


LOOKING = [
    *("-n", "--lint", "--summary", "--detailed-summary", "--dag", "--rulegraph", "--filegraph"),
    *("--list-rules", "--list-untracked", "--list-input-changes", "--list-params-changes"),
]
CHANGING = ["", "--delete-all-output", "--delete-temp-output", "--touch", "--forceall"]


def everything(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Time and content of all files but Snakemake's notes."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_while_one_works_no_other_verb_changes_a_byte_or_a_time_and_those_that_would_are_refused(
    undisturbed, disturbed, start, complete
):
    first = start()
    wait_for(lambda: has_checkpoint(disturbed))
    os.killpg(first.pid, signal.SIGSTOP)  # so that what changes now is not its doing
    before = everything(disturbed)
    for verb in (*LOOKING, *CHANGING):
        done = complete(*verb.split())
        assert everything(disturbed) == before, verb
        assert (done.returncode == 0) is (verb in LOOKING), (verb, done.stderr[-2000:])
        if verb in CHANGING:
            assert "results/quick: another process works here" in done.stderr, verb
            assert "File " not in done.stderr, verb
    os.killpg(first.pid, signal.SIGCONT)
    ended = first.end()
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert_same_run(undisturbed, disturbed)


def test_an_evaluation_waits_until_one_that_was_left_over_has_ended(undisturbed, begin, tmp_path):
    selected = Path(shutil.copytree(undisturbed, tmp_path / "copy"), RUN, "last")
    selected.mkdir()
    log = selected / "evaluate.log"
    how = {"folder": tmp_path / "copy", "changes": DISTURBED}
    with ExitStack() as working:
        with FileLock(selected / "lock"):
            started = working.enter_context(begin(f"{RUN}/last/scores.csv", **how))
            wait_for(lambda: log.exists() and "waiting until it has ended" in log.read_text(), 60)
            assert not (selected / "predictions").exists()
        ended = started.end()
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert len(list(selected.glob("predictions/*.nii.gz"))) == 2


def test_a_folder_that_may_not_be_written_to_is_named_in_one_line(command, tmp_path):
    without = "-dac_override,-dac_read_search,-fowner"  # what lets root write everywhere
    drop = ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    try:
        os.chown(theirs, 65534, 65534)
        subprocess.run([*drop, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs root, to give a folder to somebody else")
    call = command("-n", MODEL, folder=tmp_path, changes=DISTURBED)
    call = [str(theirs) if one == str(tmp_path) else one for one in call]
    run = subprocess.run(
        [*drop, *call], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert run.returncode != 0
    assert f"{theirs}: no permission to write here" in run.stderr
    assert "Traceback" not in run.stderr
    assert "File " not in run.stderr


def own_data(folder: Path, scans: list[str]) -> dict:
    """An experiment on scans of one's own, prepared h5 files in `folder`."""
    return {
        "experiment": "own",
        "seeds": [0],
        "selections": ["last"],
        "datasets": {
            "mine": {
                "title": "Mine",
                "format": "nifti",
                "nifti": {},
                "source": "local",
                "folder": str(folder),
                "prepared_file": "{scan}.h5",
                "splits": {"train": scans[:-1], "test": scans[-1:]},
                "training": {"iterations": 2, "patch": [16, 16, 16], "base_filters": 2},
                "inference": {"stride": [16, 16, 16], "selection_stride": [16, 16, 16]},
            }
        },
    }


@pytest.fixture
def scans(tmp_path):
    """Four prepared scans in a folder of their own, and their names."""
    folder, names = tmp_path / "scans", ["a", "b", "c", "d"]
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in names:
        image = generator.normal(size=(20, 20, 20)).astype(np.float32)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["image"], file["label"] = image, (image > 1).astype(np.uint8)
    return folder, names


def test_a_data_folder_that_cannot_be_written_to_is_enough(scans, snakemake, tmp_path):
    folder, names = scans
    mount = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (folder / "new").touch()
        work = tmp_path / "work"
        work.mkdir()
        targets = [f"results/own/volumes/mine/{name}.h5" for name in names]
        run = snakemake(*targets, folder=work, experiment=own_data(folder, names))
        assert run.returncode == 0, run.stderr[-3000:]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_scan_removed_between_two_runs_is_named_before_the_first_job(scans, snakemake, tmp_path):
    folder, names = scans
    experiment = own_data(folder, names)
    target = "results/own/volumes/mine/a.h5"
    assert snakemake(target, folder=tmp_path, experiment=experiment).returncode == 0
    (folder / "b.h5").unlink()
    target = "results/own/volumes/mine/c.h5"
    run = snakemake(target, folder=tmp_path, experiment=experiment)
    assert run.returncode != 0
    assert "b.h5" in run.stderr + run.stdout
    assert "rule prepare" not in run.stderr
    assert not (tmp_path / target).exists()
    assert (tmp_path / "results/own/volumes/mine/a.h5").exists()


def test_an_original_that_was_replaced_by_an_older_file_is_prepared_again_once_it_is_touched(
    scans, snakemake, tmp_path
):
    folder, names = scans
    target, how = "results/own/volumes/mine.train.sha256", {"folder": tmp_path}
    how["experiment"] = own_data(folder, names)
    assert snakemake(target, **how).returncode == 0
    before = (folder / "a.h5").stat().st_mtime
    shutil.copy(folder / "b.h5", folder / "a.h5")
    os.utime(folder / "a.h5", (before, before))
    assert planned(snakemake(target, options=["--dry-run"], **how)) == {}
    (folder / "a.h5").touch()
    jobs = planned(snakemake(target, options=["--dry-run"], **how))
    assert jobs == {"prepare": 1, "list_prepared": 1}
