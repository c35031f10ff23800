"""The shipped experiments plan, and a mistake stops the workflow in one line before any job."""

import shutil
import subprocess
import sys

import pytest
import yaml

from tests.workflow.conftest import ENVIRONMENT, PROJECT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["config", "la_half", "paper", "equations"])
def test_a_shipped_experiment_plans_all_its_jobs(name, tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run", "--directory", str(tmp_path),
         "--snakefile", str(PROJECT / "Snakefile"),
         "--configfile", str(PROJECT / f"config/{name}.yaml")],
        capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert "train" in run.stdout


def test_a_mistake_stops_everything_in_one_line(snakemake, tmp_path):
    training = {"iterations": "many", "itrations": 3}
    changes = {"datasets": {"la": {"training": training}}}
    run = snakemake("headline", folder=tmp_path, changes=changes)
    assert run.returncode != 0
    (line,) = [line for line in run.stderr.splitlines() if ".iterations" in line]
    assert line.startswith(str(tmp_path / "changes.yaml"))
    assert "datasets.la.training.iterations = 'many'" in line
    assert "itrations = 3: unknown key; allowed are" in run.stdout + run.stderr
    assert not (tmp_path / "results").exists()


def test_a_method_setting_that_does_not_exist_is_found_before_any_job(tmp_path):
    shutil.copytree(PROJECT / "config", tmp_path / "config")
    shutil.copytree(PROJECT / "rules", tmp_path / "rules")
    shutil.copy(PROJECT / "Snakefile", tmp_path)
    method = tmp_path / "config/methods/sgrs.yaml"
    values = yaml.safe_load(method.read_text())
    method.write_text(yaml.safe_dump({**values, "settings": {"thau": 0.2}}))
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--dry-run"],
        cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT, check=False,
    )  # fmt: skip
    assert run.returncode != 0
    assert "sgrs.yaml: settings.thau = 0.2: unknown key; allowed are" in run.stdout + run.stderr
