"""A finished experiment is started again: what was removed or changed is made anew, alone."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.conftest import SHEETS, SMALL, one_run, planned

pytestmark = pytest.mark.slow

RESULTS = "results/quick"
RUNS = [f"{RESULTS}/la/labelled-4/sgrs/seed-{seed}" for seed in (0, 1)]
CHANGES = one_run(iterations=4, checkpoint_every=2) | {"seeds": [0, 1]}


def changed(training: dict | None = None, inference: dict | None = None) -> dict:
    la = {"training": {**CHANGES["datasets"]["la"]["training"], **(training or {})}}
    return CHANGES | {"datasets": {"la": la | {"inference": inference or {}}}}


@pytest.fixture(scope="module")
def experiment(finished) -> Path:
    return finished("finished", "headline", changes=CHANGES)


@pytest.fixture
def folder(experiment, tmp_path) -> Path:
    """The finished experiment, with all its times and what Snakemake knows of it."""
    return shutil.copytree(experiment, tmp_path / "copy")


def times(folder: Path) -> dict[str, int]:
    """When each result was written; logs and locks are none."""
    files = (path for path in (folder / RESULTS).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in files
        if path.suffix != ".log" and path.name not in ("lock", "benchmark.tsv")
    }


def written_again(before: dict[str, int], folder: Path) -> set[str]:
    after = times(folder)
    assert before.keys() <= after.keys()
    return {name for name in after if before.get(name) != after[name]}


def test_settings_that_change_no_result_make_nothing_anew(folder, snakemake):
    before = times(folder)
    training = {"device": "cpu", "log_every": 1, "checkpoint_every": 3}
    changes = changed(training, inference={"batch": 1})
    run = snakemake("headline", folder=folder, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    assert written_again(before, folder) == set()


def test_a_selection_that_is_taken_away_and_wanted_again_trains_nothing_anew(
    small, snakemake, tmp_path
):
    folder = shutil.copytree(small, tmp_path / "copy")

    def of_training() -> dict[Path, bytes]:
        names = ("model.pt", "log.csv", "record.json")  # which says when it was trained
        return {path: path.read_bytes() for name in names for path in folder.rglob(name)}

    before = of_training()
    assert len(before) >= 3 * 4
    for selections in (["last"], ["best_on_test"], SMALL["selections"]):
        changes = SMALL | {"selections": selections}
        run = snakemake("headline", folder=folder, changes=changes)
        assert run.returncode == 0, run.stderr[-3000:]
        again = snakemake("headline", folder=folder, changes=changes, options=["--dry-run"])
        assert planned(again) == {}
        assert of_training() == before


def test_another_stride_evaluates_anew_and_trains_nothing(folder, snakemake):
    before = times(folder)
    changes = changed(inference={"stride": [8, 8, 8]})
    run = snakemake("headline", folder=folder, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    again = written_again(before, folder)
    assert {f"{run}/last/scores.csv" for run in RUNS} <= again
    assert not any(name.endswith(("model.pt", "record.json")) for name in again)
    for run in RUNS:
        assert (folder / run / "last/scores.csv").read_bytes() != b""


def test_another_learning_rate_trains_anew(folder, snakemake):
    before = times(folder)
    changes = changed(training={"learning_rate": 0.02})
    targets = [f"{run}/model.pt" for run in RUNS]
    assert snakemake(*targets, folder=folder, changes=changes).returncode == 0
    assert set(targets) <= written_again(before, folder)


@pytest.mark.parametrize(
    "removed",
    [
        f"{RUNS[0]}/model.pt",
        f"{RUNS[0]}/log.csv",
        f"{RUNS[0]}/last/predictions",
        f"{RESULTS}/tables/table2.csv",
    ],
)
def test_a_result_that_was_removed_is_made_again_and_no_other_run_is_touched(
    removed, folder, snakemake
):
    path = folder / removed
    parts = sorted(path.rglob("*")) if path.is_dir() else [path]
    contents = {part: part.read_bytes() for part in parts}
    before = times(folder)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    run = snakemake("headline", folder=folder, changes=CHANGES)
    assert run.returncode == 0, run.stderr[-3000:]
    for part, content in contents.items():
        assert part.read_bytes() == content
    assert not any(name.startswith(RUNS[1]) for name in written_again(before, folder))


def test_files_that_snakemake_has_no_notes_of_are_kept_unless_they_are_another_runs(
    folder, snakemake
):
    shutil.rmtree(folder / ".snakemake")  # so it is where results are moved, copied or renamed
    run = snakemake("headline", folder=folder, changes=CHANGES, options=["--dry-run"])
    assert "Nothing to be done" in run.stdout + run.stderr
    before = times(folder)
    changes = changed(training={"learning_rate": 0.02})
    run = snakemake("headline", folder=folder, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    made = {f"{run}/{name}" for run in RUNS for name in ("model.pt", "last/scores.csv")}
    assert made | {f"{RESULTS}/tables/table2.csv"} <= written_again(before, folder)


def test_weights_of_another_run_are_not_evaluated(folder, snakemake):
    shutil.copy(folder / RUNS[1] / "model.pt", folder / RUNS[0] / "model.pt")
    run = snakemake("headline", folder=folder, changes=CHANGES)
    assert run.returncode != 0
    assert "the weights are of another run (seed 1, 4 iterations" in run.stderr


def test_score_files_that_were_all_cut_alike_make_no_table(folder, snakemake):
    for run in RUNS:
        scores = folder / run / "last/scores.csv"
        scores.write_text("".join(scores.read_text().splitlines(keepends=True)[:-1]))
    run = snakemake("headline", folder=folder, changes=CHANGES)
    assert run.returncode != 0
    assert "scores of 1 scans, where 2 are tested: a score file was cut" in run.stderr


def test_equal_runs_have_equal_bytes(experiment, finished):
    other = finished("again", "headline", changes=CHANGES)
    says_who_and_when = ("record.json", "runs.json")
    names = [name for name in times(experiment) if not name.endswith(says_who_and_when)]
    assert len(names) > 20
    different = [
        name for name in names if (experiment / name).read_bytes() != (other / name).read_bytes()
    ]
    assert different == []


@pytest.mark.parametrize(
    ("part", "training", "inference", "again"),
    [
        ("train", {"iterations": 6}, {}, "train"),
        ("test", {}, {"stride": [8, 8, 8]}, "evaluate"),
    ],
)
def test_a_prepared_scan_that_was_deleted_is_made_again_when_a_job_is_to_read_it(
    part, training, inference, again, folder, snakemake
):
    scans = sorted((folder / RESULTS / "volumes/la").glob(f"*_{part}_*.h5"))
    for scan in scans[:2]:
        scan.unlink()
    how = {"folder": folder, "options": ["--dry-run"]}
    assert planned(snakemake("headline", changes=CHANGES, **how)) == {}
    jobs = planned(snakemake("headline", changes=changed(training, inference), **how))
    assert (jobs[again], jobs.get("prepare")) == (2, 2)


def test_more_labelled_scans_in_a_table_plan_the_new_runs_alone(folder, snakemake):
    def table(labelled: list[int]) -> dict:
        wanted = {"labelled": labelled, "methods": ["sgrs"]}
        return CHANGES | {"tables": {**dict.fromkeys(SHEETS["tables"]), "table2": wanted}}

    alone = snakemake("headline", folder=folder, changes=table([4]), options=["--dry-run"])
    assert planned(alone).keys() <= {"table", "headline"}
    more = snakemake("headline", folder=folder, changes=table([4, 8]), options=["--dry-run"])
    jobs = planned(more)
    assert (jobs["train"], jobs["evaluate"], jobs.get("list_prepared")) == (2, 2, None)
