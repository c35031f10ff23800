"""Every source of a data set leads to prepared scans through the workflow's own rules."""

import re
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
import yaml

from sgrs_core.data.preprocessing import brats2019, la, pancreas
from sgrs_core.data.volumes import read_volume
from sgrs_core.phantoms.brats2019 import write_phantom_brats2019
from sgrs_core.phantoms.la import write_phantom_la
from sgrs_core.phantoms.pancreas import phantom_pancreas, write_phantom_pancreas
from tests.data.bucket import Bucket
from tests.data.nbia import Nbia
from tests.data.segmentations import write_segmentation
from tests.data.server import cut, error_page, status
from tests.places import PROJECT
from tests.workflow.conftest import QUICK, planned

pytestmark = pytest.mark.slow

SHAPE, SPACING, SEED = (40, 36, 20), (0.8, 0.8, 1.2), 1
PANCREAS = {"train": ["image0001", "image0002", "image0070"], "test": ["image0025", "image0003"]}
WITHDRAWN = {"scans": ["image0025", "image0070"], "why": "withdrawn by their owner"}


def only(dataset: str, **keys) -> dict:
    """An experiment with one data set from another source, and no table."""
    others = dict.fromkeys({"la", "pancreas", "brats2019"} - {dataset})
    quick = yaml.safe_load(QUICK.read_text())
    tables, figures = dict.fromkeys(quick["tables"]), dict.fromkeys(quick["figures"])
    return {"datasets": {dataset: keys, **others}, "tables": tables, "figures": figures}


def volumes(dataset: str, scans: list[str]) -> list[str]:
    return [f"results/quick/volumes/{dataset}/{scan}.h5" for scan in scans]


def output(run: subprocess.CompletedProcess) -> str:
    return run.stdout + run.stderr


@pytest.fixture
def tcia(tmp_path, monkeypatch):
    """The archive with four patients, one of them in nobody's lists, and an experiment's keys."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for number in (1, 2, 3, 4):
        write_phantom_pancreas(tmp_path / "held", f"image{number:04d}", SHAPE, SPACING, SEED)
    with Nbia(tmp_path / "held").running() as server:
        keys = {
            "source": "tcia",
            "tcia": {"api": server.api},
            "labels": {"url": server.labels, "sha256": None},
            "splits": {**PANCREAS, "counts": {"train": 3, "test": 2}},
            "withdrawn": WITHDRAWN,
        }
        yield server, only("pancreas", **keys)


def test_pancreas_ct_comes_from_tcia_without_the_withdrawn_patients(tcia, tmp_path, snakemake):
    _, changes = tcia
    scans = ["image0001", "image0002", "image0003"]
    run = snakemake(*volumes("pancreas", scans), folder=tmp_path, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "2 of 5 scans are left out, image0025, image0070: withdrawn" in output(run)
    for scan, file in zip(scans, volumes("pancreas", scans), strict=True):
        expected = pancreas.prepare(tmp_path / "held", scan)
        np.testing.assert_array_equal(read_volume(tmp_path / file).image, expected.image)
    assert not (tmp_path / "data/pancreas/tcia/PANCREAS_0004").exists()


def test_a_broken_download_keeps_what_is_whole_and_goes_on(tcia, tmp_path, snakemake):
    server, changes = tcia
    server.fails("PANCREAS_0002", *[error_page] * 10)
    server.fails("PANCREAS_0003", status(503), cut)
    (target,) = volumes("pancreas", ["image0001"])
    run = snakemake(target, folder=tmp_path, changes=changes)
    assert run.returncode != 0
    assert "1 of 4 downloads failed" in output(run)
    folder = tmp_path / "data/pancreas/tcia"
    kept = {path.name for path in folder.iterdir()}
    assert kept - {"lock"} == {"PANCREAS_0001", "PANCREAS_0003", "TCIA_pancreas_labels-02-05-2017"}
    asked = server.asked["PANCREAS_0001"]
    server.fails("PANCREAS_0002")
    run = snakemake(target, folder=tmp_path, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    assert server.asked["PANCREAS_0001"] == asked


def test_experiments_that_share_downloads_leave_each_others_scans_alone(tcia, tmp_path, snakemake):
    server, changes = tcia
    fewer = {"train": ["image0001"], "test": ["image0003"], "counts": {"train": 1, "test": 1}}
    other = only("pancreas", **{**changes["datasets"]["pancreas"], "splits": fewer})
    (target,) = volumes("pancreas", ["image0001"])
    experiments = {
        target: changes,
        target.replace("quick", "other"): {**other, "experiment": "other"},
    }
    for file, keys in experiments.items():
        run = snakemake(file, folder=tmp_path, changes=keys)
        assert run.returncode == 0, run.stderr[-3000:]
    for file, keys in experiments.items():
        assert planned(snakemake(file, folder=tmp_path, changes=keys, options=["-n"])) == {}
    assert all(server.asked[f"PANCREAS_{number:04d}"] == 1 for number in (1, 2, 3))


@pytest.fixture
def idc(tcia, tmp_path):
    """The bucket with the patients of `tcia` and their labels, and an experiment's keys."""
    nbia, changes = tcia
    with Bucket().running() as server:
        for number in (1, 2, 3):
            patient = f"PANCREAS_{number:04d}"
            label = phantom_pancreas(f"image{number:04d}", SHAPE, SPACING, SEED)[1]
            file = tmp_path / "held/Pancreas-CT-SEG" / patient / "label.dcm"
            write_segmentation(
                file, tmp_path / "held" / patient, label[:, ::-1].transpose(2, 1, 0)[None]
            )
            server.hold_folder("CT", tmp_path / "held" / patient)
            server.hold_folder("SEG", file.parent)
        listed = server.write_list(tmp_path / "series.csv")
        changes["datasets"]["pancreas"] |= {
            "source": "idc",
            "label_files": "dicom_seg",
            "idc": {"bucket": server.url, "series": str(listed)},
        }
        yield server, nbia, changes


def test_pancreas_ct_comes_from_the_imaging_data_commons_with_its_labels_or_with_tcias(
    idc, tmp_path, snakemake
):
    server, nbia, changes = idc
    broken = f"{server.rows[2][2]}/1-007.dcm"  # of PANCREAS_0002's CT
    server.fails(broken, status(503), status(404))
    (target,) = volumes("pancreas", ["image0001"])
    run = snakemake(target, folder=tmp_path, changes=changes)
    assert run.returncode != 0
    assert "1 of 6 downloads failed" in output(run)
    assert f"PANCREAS_0002, series {server.url}/{server.rows[2][2]}" in output(run)
    asked = server.asked.copy()

    run = snakemake(target, folder=tmp_path, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    missing = {name for name in server.asked - asked if name.endswith(".dcm")}
    assert broken in missing
    assert {name.split("/")[0] for name in missing} == {server.rows[2][2]}
    expected = pancreas.prepare(tmp_path / "held", "image0001", "dicom_seg")
    np.testing.assert_array_equal(read_volume(tmp_path / target).label, expected.label)
    assert not nbia.asked

    changes["datasets"]["pancreas"]["label_files"] = "nifti"
    asked = server.asked.copy()
    run = snakemake(target, folder=tmp_path, changes=changes)
    assert run.returncode == 0, run.stderr[-3000:]
    expected = pancreas.prepare(tmp_path / "held", "image0001")
    np.testing.assert_array_equal(read_volume(tmp_path / target).label, expected.label)
    assert (server.asked, nbia.asked) == (asked, {"labels": 1})


def test_a_label_beside_its_tissue_is_a_warning_that_the_user_sees(tmp_path, snakemake):
    scans = ["image0001", "image0002"]
    for scan in scans:
        write_phantom_pancreas(tmp_path / "raw", scan, (80, 72, 40), SPACING, 7)
    file = tmp_path / "raw/TCIA_pancreas_labels-02-05-2017/label0001.nii.gz"
    picture = SimpleITK.ReadImage(str(file))
    upside_down = SimpleITK.GetImageFromArray(SimpleITK.GetArrayFromImage(picture)[::-1])
    upside_down.CopyInformation(picture)
    SimpleITK.WriteImage(upside_down, str(file))
    splits = {"train": scans[:1], "test": scans[1:], "counts": None}
    keys = {"source": "raw", "folder": str(tmp_path / "raw"), "splits": splits, "withdrawn": None}
    run = snakemake(*volumes("pancreas", scans), folder=tmp_path, changes=only("pancreas", **keys))
    assert run.returncode == 0, run.stderr[-3000:]
    assert "WARNING image0001: the label" in output(run)
    assert "image0002: the label" not in output(run)


def write_la(root: Path, scan: str) -> None:
    write_phantom_la(root, scan, SHAPE, SEED)


def write_pancreas(root: Path, scan: str) -> None:
    write_phantom_pancreas(root, scan, SHAPE, SPACING, SEED)


def write_brats2019(root: Path, scan: str) -> None:
    grade = "LGG" if scan.endswith("2") else "HGG"
    write_phantom_brats2019(root, scan, SHAPE, SEED, grade=grade)


@pytest.mark.parametrize(
    ("dataset", "write", "module"),
    [
        ("la", write_la, la),
        ("pancreas", write_pancreas, pancreas),
        ("brats2019", write_brats2019, brats2019),
    ],
)
def test_a_folder_of_original_files_is_prepared(dataset, write, module, tmp_path, snakemake):
    root, scans = tmp_path / "raw é", ["scan 1", "scan 2", "scan 3"]
    for scan in scans:
        write(root, scan)
    splits = {"train": scans[:2], "test": scans[2:], "validation": None, "counts": None}
    keys = {"source": "raw", "folder": str(root), "splits": splits, "withdrawn": None}
    run = snakemake(
        *volumes(dataset, scans),
        folder=tmp_path,
        changes=only(dataset, selections=["last"], **keys),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    for scan, file in zip(scans, volumes(dataset, scans), strict=True):
        expected = module.prepare(root, scan)
        found = read_volume(tmp_path / file)
        np.testing.assert_array_equal(found.image, expected.image)
        assert found.provenance == expected.provenance


def test_prepared_files_of_others_are_read_from_a_folder(tmp_path, snakemake):
    """BraTS2019 as SSL4MIS stores it: one file a scan, z first, no geometry."""
    image = np.random.default_rng(0).normal(size=(20, 24, 28)).astype(np.float32)
    for scan in ("a", "b"):
        with h5py.File(tmp_path / f"{scan}.h5", "w") as file:
            file["image"], file["label"] = image, (image > 1).astype(np.uint8)
    splits = {"train": ["a"], "test": ["b"], "validation": None, "counts": None}
    keys = {"source": "local", "folder": str(tmp_path), "splits": splits, "selections": ["last"]}
    (target,) = volumes("brats2019", ["a"])
    run = snakemake(target, folder=tmp_path, changes=only("brats2019", **keys))
    assert run.returncode == 0, run.stderr[-3000:]
    np.testing.assert_array_equal(read_volume(tmp_path / target).image, image.T)


def test_brats2019_without_a_folder_says_how_to_get_it_in_one_message(tmp_path, snakemake):
    changes = only("brats2019", source="raw", selections=["last"])
    run = snakemake(folder=tmp_path, changes=changes)
    assert run.returncode != 0
    (line,) = [line for line in output(run).splitlines() if "brats2019.folder = None" in line]
    assert "is never downloaded from here" in line
    assert "kaggle.com/datasets/aryashah2k/brain-tumor-segmentation-brats-2019" in line
    assert "config/without_brats2019.yaml" in line


def test_scans_missing_from_a_folder_are_named_before_any_job(tmp_path, snakemake):
    write_la(tmp_path / "raw", "here")
    splits = {"train": ["here", "gone"], "test": ["lost"], "counts": None}
    changes = only("la", source="raw", folder=str(tmp_path / "raw"), splits=splits)
    run = snakemake(folder=tmp_path, changes=changes)
    assert run.returncode != 0
    assert "2 of 3 scans of the lists are not there: gone, lost; looked for" in output(run)


def test_the_page_on_ones_own_data_holds(tmp_path, snakemake):
    """The YAML file of docs/own-data.md, with fewer iterations."""
    page = (PROJECT / "docs/own-data.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(# spleen.yaml.*?)```", page, re.DOTALL)
    values = yaml.safe_load(text)
    values["datasets"]["spleen"]["training"] |= {
        "iterations": 2, "base_filters": 2, "ramp_iterations": 2, "ramp_block": 1,
    }  # fmt: skip
    splits = values["datasets"]["spleen"]["splits"]
    for number, scan in enumerate(splits["train"] + splits["test"]):
        generator = np.random.default_rng(number)
        label = generator.integers(0, 4, (20, 18, 16)).astype(np.uint8)
        image = (label * 50 + generator.normal(0, 10, label.shape)).astype(np.int16)
        for folder, array in (("images", image), ("labels", label)):
            picture = SimpleITK.GetImageFromArray(array)
            picture.SetSpacing((1.5, 1.5, 2.0))
            (tmp_path / "scans" / folder).mkdir(parents=True, exist_ok=True)
            SimpleITK.WriteImage(picture, str(tmp_path / "scans" / folder / f"{scan}.nii.gz"))
    run = snakemake(folder=tmp_path, experiment=values)
    assert run.returncode == 0, run.stderr[-3000:]
    table = (tmp_path / "results/spleen/tables/spleen.md").read_text(encoding="utf-8")
    assert table.startswith("# Spleen from two labelled scans")
    assert (tmp_path / "results/spleen/figures/spleen_cases.png").stat().st_size > 10_000
    prepared = read_volume(tmp_path / "results/spleen/volumes/spleen/scan_01.h5")
    assert prepared.provenance["foreground"] == "1 3"
    assert prepared.spacing == (1.0, 1.0, 1.0)
