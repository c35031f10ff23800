"""Names and configuration files are data: they run nothing, whatever stands in them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
import yaml

from sgrs_core.command_line import main
from tests.recompute import check_table, read
from tests.workflow.conftest import ENVIRONMENT, PROJECT, QUICK, copy_project, in_full

pytestmark = pytest.mark.slow

NAMES = [
    "a;touch HACKED",
    "$(touch HACKED)",
    "`touch HACKED`",
    "a&&touch HACKED",
    "a b",
    "ä",
    "-n",
    "$^$",
    "a&b|c>HACKED",
    "~",
    "%s",
]
FOLDER = 'it\'s a "pröjekt"; $(touch HACKED) `touch HACKED`'
SETTINGS = {
    "training": {
        "iterations": 4, "patch": [16, 16, 16], "base_filters": 2, "ramp_iterations": 2,
        "ramp_block": 1, "checkpoint_every": 2, "log_every": 2,
    },
    "inference": {"stride": [16, 16, 16], "selection_stride": [16, 16, 16]},
}  # fmt: skip


def hacked(folder: Path) -> list[Path]:
    """What a command hidden in a name would have left, wherever a command may have run."""
    places = [*folder.rglob("HACKED*"), *PROJECT.glob("HACKED*"), *Path.home().glob("HACKED*")]
    return [*places, *Path.cwd().glob("HACKED*")]


def write_scans(folder: Path) -> None:
    """Each name as NIfTI image and label, and as a prepared h5 file."""
    for number, name in enumerate(NAMES):
        generator = np.random.default_rng(number)
        image = generator.normal(size=(20, 20, 20)).astype(np.float32)
        label = (image > 1).astype(np.uint8)
        for kind, array in (("images", image), ("labels", label)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            path = folder / kind / f"{name}.nii.gz"
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))
        (folder / "prepared" / name).mkdir(parents=True)
        with h5py.File(folder / "prepared" / name / "scan.h5", "w") as file:
            file["image"], file["label"] = image, label


def experiment(scans: Path) -> dict:
    """The quick one with Table 2's V-Net alone, and two data sets with those names."""
    values = yaml.safe_load(QUICK.read_text(encoding="utf-8"))
    values["datasets"]["la"]["phantom"] |= {"train_scans": 5, "test_scans": 1}
    splits = {"train": NAMES[:9], "test": NAMES[9:], "validation": None, "counts": None}
    row = {"variant": "$(touch HACKED) | `x`", "method": "vnet", "labelled": [9]}
    sheet = {"title": "$(touch HACKED)", "dataset": "own", "rows": [row]}
    local = {"source": "local", "folder": str(scans / "prepared"), "splits": splits}
    return {
        **values,
        "selections": ["last"],
        "datasets": {
            "la": values["datasets"]["la"],
            "pancreas": {**local, "prepared_file": "{scan}/scan.h5", "withdrawn": None},
            "own": {
                "title": "$(touch HACKED)", "format": "nifti", "source": "raw",
                "folder": str(scans), "nifti": {"margin": None}, "splits": splits, **SETTINGS,
            },
        },
        "tables": {"table2": {"labelled": [4], "methods": ["vnet"]}, "own": sheet},
        "figures": {"cases": {**sheet, "kind": "segmentations"}},
        "headline": ["table2"],
    }  # fmt: skip


def without_network() -> list[str]:
    """What to put before a command so that it sees no network; nothing where that is forbidden."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = (
        shutil.which("unshare")
        and not subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    )
    return prefix if allowed else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A copy of the project in which everything has run, without network where that can be had."""
    project = tmp_path_factory.mktemp("names") / FOLDER
    copy_project(project)
    scans = project.parent / "scäns 'here'; touch HACKED"
    write_scans(scans)
    (project / "my experiment.yaml").write_text(in_full(experiment(scans)))
    volumes = [f"results/quick/volumes/pancreas/{name}.h5" for name in NAMES]
    run = subprocess.run(
        [*without_network(), sys.executable, "-m", "snakemake", "--cores", "1",
         "--configfile", "my experiment.yaml", "--", "all", *volumes],
        cwd=project, capture_output=True, encoding="utf-8", check=False,
        env={**ENVIRONMENT, "PYTHONPATH": str(project)},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-5000:]
    return project


def test_scans_with_the_strangest_names_go_all_the_way_to_tables_and_figures(folder):
    results = folder / "results/quick"
    for dataset in ("own", "pancreas"):
        volumes = (results / "volumes" / dataset).iterdir()
        assert {path.name for path in volumes} == {f"{name}.h5" for name in NAMES}
    (scores,) = results.glob("own/*/*/*/last/scores.csv")
    assert [row["scan"] for row in read(scores)] == NAMES[9:]
    assert len(list(scores.parent.glob("predictions/*.nii.gz"))) == len(NAMES[9:])
    assert (results / "figures/cases.pdf").stat().st_size > 10_000
    assert (results / "tables/own.tex").stat().st_size > 100


def test_the_quick_workflow_runs_whole_in_a_folder_with_the_strangest_name(folder):
    assert check_table(folder / "results/quick/tables/table2.csv") == 2  # scorings
    assert (folder / "results/quick/tables/cost.md").is_file()


def test_no_name_has_run_as_a_command(folder):
    assert hacked(folder.parent) == []


def test_no_rule_but_the_downloads_touches_the_network(folder):
    prefix = without_network()
    if not prefix:
        pytest.skip("needs the right to make a network namespace (unshare --net)")
    connect = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    run = subprocess.run(
        [*prefix, sys.executable, "-c", connect], capture_output=True, text=True, check=False
    )
    assert "Network is unreachable" in run.stderr  # so the fixture's run had none either
    assert (folder / "results/quick/tables/table2.csv").is_file()


REFUSED = [
    ("splits", ["..", "b"], "splits.train: '..' cannot be a scan's name"),
    ("splits", ["a\nb", "b"], r"splits.train: 'a\nb' cannot be a scan's name"),
    ("splits", ["../../a", "b"], "splits.train: '../../a' cannot be a scan's name"),
    ("splits", ["a'b", "b"], """splits.train: "a'b" cannot be a scan's name"""),
    ("splits", ['a"b', "b"], """splits.train: 'a"b' cannot be a scan's name"""),
    ("splits", ["'$(touch HACKED)", "b"], "$(touch HACKED)\" cannot be a scan's name"),
    ("splits", ["x" * 201, "b"], "cannot be a scan's name"),
    ("experiment", "$(touch HACKED)", "experiment = '$(touch HACKED)'"),
    ("experiment", "..", "experiment = '..'"),
    ("data_folder", "{dataset}", "data_folder = '{dataset}'"),
    ("data_folder", "", "data_folder = ''"),
    ("folder", "{scan}", "datasets.la.folder = '{scan}'"),
    ("prepared_file", "{scan}/{dataset}.h5", "datasets.la.prepared_file = '{scan}/{dataset}.h5'"),
    ("dataset", "`touch HACKED`", "[key] = '`touch HACKED`': allowed are 1 to 100 letters"),
    ("table", "a;touch HACKED", "a;touch HACKED"),
    ("method", "../methods/vnet", "rows.0.method = '../methods/vnet'"),
    ("settings", {"../x": "`touch HACKED`"}, "settings.../x = '`touch HACKED`': unknown key"),
]


@pytest.mark.parametrize(("place", "value", "message"), REFUSED)
def test_a_name_that_would_leave_its_place_is_refused(place, value, message, tmp_path, capsys):
    changes = tmp_path / "changes.yaml"
    changes.write_text(in_full(with_name_in(place, value, tmp_path)), encoding="utf-8")
    assert main(["check", str(QUICK), str(changes)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert ".yaml: " in line
    assert hacked(tmp_path) == []


def test_a_name_that_is_refused_stops_the_workflow_before_any_job(tmp_path, snakemake):
    place, value, message = REFUSED[0]
    run = snakemake(folder=tmp_path, changes=with_name_in(place, value, tmp_path))
    assert run.returncode != 0
    assert message in run.stderr
    assert not (tmp_path / "results").exists()


def with_name_in(place: str, value: object, folder: Path) -> dict:
    """Changes of the quick experiment in which a value stands in a place."""
    la: dict = {"source": "local", "folder": str(folder), "splits": {
        "train": ["a", "b", "c", "d", "e"], "test": ["f"], "counts": None,
    }}  # fmt: skip
    row = {"variant": "vnet", "method": "vnet", "labelled": [1]}
    sheet = {"title": "Mine", "dataset": "la", "rows": [row]}
    quick = yaml.safe_load(QUICK.read_text(encoding="utf-8"))
    over: dict = {
        "datasets": {"la": la, "pancreas": None, "brats2019": None},
        "tables": {**dict.fromkeys(quick["tables"]), "mine": sheet},
        "figures": dict.fromkeys(quick["figures"]),
        "headline": [],
    }
    match place:
        case "splits":
            la["splits"]["train"] = value
        case "folder" | "prepared_file":
            la[place] = value
        case "experiment" | "data_folder":
            over[place] = value
        case "dataset":
            over["datasets"][value] = la
        case "table":
            over["tables"][value] = sheet
        case "method" | "settings":
            row[place] = value
    return over


@pytest.mark.parametrize(
    "text",
    [
        "note: !!python/object/apply:os.system ['touch HACKED']",
        "note: !!python/name:os.system",
        "note: !!python/object/new:os.system ['touch HACKED']",
    ],
)
def test_a_configuration_file_cannot_name_a_function_to_call(text, tmp_path, command):
    (tmp_path / "evil.yaml").write_text(text)
    call = command("headline", folder=tmp_path)
    call.insert(call.index("--", 3), str(tmp_path / "evil.yaml"))
    run = subprocess.run(
        call, cwd=tmp_path, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert run.returncode != 0
    # The first is Snakemake's reader, the second ours.
    said = r"not valid JSON or YAML|evil\.yaml(, line \d+)?: not readable as YAML"
    assert re.search(said, run.stderr), run.stderr
    assert not (tmp_path / "results").exists()
    assert hacked(tmp_path) == []


def test_a_template_in_a_configuration_file_is_refused(tmp_path, snakemake):
    run = snakemake("headline", folder=tmp_path, changes={"__use_yte__": True})
    assert run.returncode != 0
    assert "changes.yaml: __use_yte__ = True: templates run code" in run.stderr
    assert not (tmp_path / "results").exists()
