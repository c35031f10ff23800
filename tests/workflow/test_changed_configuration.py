"""Jobs of a cluster read the configuration again when they start: a changed one stops them."""

import shutil

import pytest

from tests.workflow.conftest import one_run

pytestmark = pytest.mark.slow

RUN = "results/quick/la/labelled-4/sgrs/seed-0"
PLANNED = one_run(iterations=4, checkpoint_every=2)
JOBS = {
    "train": ("dataset=la,labelled=4,variant=sgrs,seed=0", f"{RUN}/model.pt"),
    "evaluate": (
        "dataset=la,labelled=4,variant=sgrs,seed=0,selection=last", f"{RUN}/last/scores.csv"
    ),
    "prepare": (
        "dataset=la,scan=phantom_train_000", "results/quick/volumes/la/phantom_train_000.h5"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def experiment(finished):
    return finished("planned", f"{RUN}/last/scores.csv", changes=PLANNED)


@pytest.mark.parametrize(
    ("rule", "group", "change", "refused"),
    [
        ("train", "training", {"learning_rate": 0.02}, "run"),
        ("train", "training", {"log_every": 1}, None),
        ("train", "inference", {"stride": [8, 8, 8]}, None),
        ("train", "downsample", 2, "preparation of la"),
        ("evaluate", "inference", {"stride": [8, 8, 8]}, "run"),
        ("evaluate", "inference", {"largest_component": True}, "run"),
        ("evaluate", "inference", {"batch": 1}, None),
        ("prepare", "downsample", 2, "preparation of la"),
        ("prepare", "training", {"learning_rate": 0.02}, None),
    ],
)
def test_a_job_that_waited_while_the_files_were_changed_makes_what_was_planned_or_nothing(
    rule, group, change, refused, experiment, snakemake, tmp_path
):
    folder = shutil.copytree(experiment, tmp_path / "copy")
    wildcards, result = JOBS[rule]
    (folder / result).unlink()
    la = PLANNED["datasets"]["la"]
    value = {**la.get(group, {}), **change} if isinstance(change, dict) else change
    changes = PLANNED | {"datasets": {"la": la | {group: value}}}
    submitted = ["--mode", "remote", "--no-hooks", "--nolock", "--force", "--allowed-rules", rule]
    options = [*submitted, "--target-jobs", f"{rule}:{wildcards}"]
    run = snakemake(result, folder=folder, changes=changes, options=options)
    assert (folder / result).exists() is (refused is None), run.stderr[-3000:]
    after = "results/quick/runs.json: the configuration was changed after this "
    assert (after in run.stderr) is (refused is not None)
    assert refused is None or f"{after}{refused} was planned: start" in run.stderr
