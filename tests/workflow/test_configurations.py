"""The shipped experiments plan, and a mistake stops the workflow in one line before any job."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sgrs_core.experiment.configuration import Files, load_sheet
from sgrs_core.experiment.schema import Table
from tests.places import CONFIG
from tests.workflow.conftest import ENVIRONMENT, PROJECT
from tests.workflow.warm_start import working

pytestmark = pytest.mark.slow


def brats2019_folder(folder: Path) -> Path:
    """The organisers' layout with a name for every file and nothing in any."""
    for file in (PROJECT / "config/splits/brats2019").glob("*.txt"):
        for scan in file.read_text().split():
            for part in ("flair", "seg"):
                (folder / "LGG" / scan).mkdir(parents=True, exist_ok=True)
                (folder / "LGG" / scan / f"{scan}_{part}.nii.gz").touch()
    return folder


def dry_run(folder: Path, *files: Path, config: str = "") -> subprocess.CompletedProcess[str]:
    where = ("--directory", str(folder), "--snakefile", str(PROJECT / "Snakefile"))
    values = ("--config", config) if config else ()
    named = ("--configfile", *map(str, files)) if files else ()
    options = ("--dry-run", "--quiet", "host", *where, *values, *named)
    with working([*options], ENVIRONMENT) as planning:
        return planning.end()


@pytest.mark.parametrize(
    "names",
    [["config"], ["la_half"], ["la"], ["equations"], ["ablations"], ["paper", "without_brats2019"]],
    ids=str,
)
def test_a_shipped_experiment_plans_all_its_jobs(names, tmp_path):
    run = dry_run(tmp_path, *(PROJECT / f"config/{name}.yaml" for name in names))
    assert run.returncode == 0, run.stderr[-2000:]
    assert re.search(r"^train +\d+$", run.stdout, re.MULTILINE)


def test_the_experiment_of_no_name_plans_in_any_folder(tmp_path):
    run = dry_run(tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "output: results/demo_full/" in run.stdout


@pytest.mark.parametrize(
    ("config", "trainings"),
    [
        ("seeds=[4, 5]", "8"),
        ("datasets={la: {training: {iterations: 9}}}", "4"),
        ("report_3d=false", "4"),
        ('experiment="2024"', "4"),
    ],
)
def test_what_the_command_line_says_is_read_as_in_a_file(config, trainings, tmp_path):
    run = dry_run(tmp_path, PROJECT / "config/demo.yaml", config=config)
    assert re.search(rf"^train +{trainings}$", run.stdout, re.MULTILINE), run.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("seeds=[a]", "--config: seeds.0 = 'a': allowed are"),
        ("seed=4", "--config: seed = 4: unknown key; allowed are"),
        ("tables={table5: {labelled: [5]}}", "--config: tables.table5.labelled = 5: allowed are 4"),
        ("headline=[table2]", "--config: headline = 'table2': allowed are table5"),
        ("datasets={la: {source: local, folder: /no}}", "--config: datasets.la.folder = '/no': no"),
        ("note=a: b: c", "--config: note = a: b: c, line 1: not readable as YAML: mapping values"),
        ("seeds=[010]", "--config: seeds = [010], line 1: not readable as YAML: 010 is read in"),
        (
            "datasets={la: {downsample: 2, downsample: 1}}",
            "--config: datasets = {la: {downsample: 2, downsample: 1}}, line 1: not readable as "
            "YAML: the key 'downsample' stands there twice",
        ),
        (
            "datasets={la: {training: {iterations: -9}}}",
            "--config: datasets.la.training.iterations",
        ),
    ],
)
def test_a_mistake_on_the_command_line_is_said_of_that(config, said, tmp_path):
    run = dry_run(tmp_path, PROJECT / "config/ablations.yaml", config=config)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(said)


def test_the_papers_experiment_needs_nothing_but_the_folder_of_brats2019(tmp_path):
    mine = tmp_path / "mine.yaml"
    folder = str(brats2019_folder(tmp_path / "brats 2019"))
    mine.write_text(yaml.safe_dump({"datasets": {"brats2019": {"folder": folder}}}))
    run = dry_run(tmp_path, PROJECT / "config/paper.yaml", mine)
    assert run.returncode == 0, run.stderr[-2000:]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", run.stdout, re.MULTILINE))
    assert counts["prepare"] == str(100 + 82 + 335)
    assert counts["download_mirror"] == "2"
    for dataset, table in (("pancreas", "table3"), ("brats2019", "table4")):
        rows = load_sheet(Table, "tables", table, {}, Files([CONFIG / "paper.yaml"], CONFIG))[
            0
        ].rows
        runs = sum(len(row.labelled) + row.all_labelled for row in rows)
        trained = re.findall(rf"output: results/paper/{dataset}/\S+/model\.pt", run.stdout)
        assert len(trained) == runs * 3  # three seeds


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
