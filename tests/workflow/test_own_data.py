"""Data sets of one's own, from files to tables: without needless labels, and cross-validated."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import SimpleITK

from sgrs_core.command_line import main
from sgrs_core.data.volumes import read_volume

pytestmark = pytest.mark.slow

NEAREST = SimpleITK.sitkNearestNeighbor
SCANS = [f"case_{number}" for number in range(6)]
SMALL = {
    "training": {
        "iterations": 60, "patch": [16, 16, 16], "base_filters": 2, "dropout": 0.0,
        "learning_rate": 0.05, "ramp_iterations": 2, "ramp_block": 1, "augmentation": "none",
    },
    "inference": {"stride": [16, 16, 16], "selection_stride": [16, 16, 16]},
}  # fmt: skip


def write(image_file: Path, label_file: Path | None, seed: int) -> None:
    """Tissue in air, and something bright in it; the label only where there is a file for it."""
    image = np.random.default_rng(seed).normal(0, 5, (18, 44, 40))
    image[:, 8:36, 6:34] += 100
    image[6:12, 16:24, 14:22] += 60
    label = np.zeros(image.shape, np.uint8)
    label[6:12, 16:24, 14:22] = 1
    for file, array in ((image_file, image.astype(np.float32)), (label_file, label)):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(file))


def table_of(folder: Path) -> pandas.DataFrame:
    return pandas.read_csv(folder / "results/own/tables/own.csv")


def test_unlabelled_scans_need_no_labels_and_a_prediction_sees_what_the_table_saw(
    tmp_path, snakemake
):
    for number, scan in enumerate(SCANS):
        label = tmp_path / f"scans/labels/{scan}.nii.gz" if number in (0, 4, 5) else None
        write(tmp_path / f"scans/images/{scan}.nii.gz", label, number)
    dataset = {
        "title": "Own", "format": "nifti", "source": "raw", "folder": "scans",
        "nifti": {"margin": 2, "minimum_side": 16},
        "splits": {"train": SCANS[:4], "test": SCANS[4:]}, **SMALL,
    }  # fmt: skip
    experiment = {
        "experiment": "own", "seeds": [0], "selections": ["last"], "datasets": {"own": dataset},
        "tables": {
            "own": {"title": "Mine", "dataset": "own", "labelled": [1], "rows": ["vnet", "sgrs"]}
        },
    }  # fmt: skip
    run = snakemake(folder=tmp_path, experiment=experiment)
    assert run.returncode == 0, run.stderr[-3000:]
    assert (table_of(tmp_path)["dice_ours"] > 50).all()
    volumes = tmp_path / "results/own/volumes/own"
    assert read_volume(volumes / "case_1.h5").label is None
    assert {read_volume(file).image.shape[:2] for file in volumes.glob("*.h5")} == {(31, 31)}

    place = tmp_path / "results/own/own/labelled-1/sgrs/seed-0"
    file = tmp_path / "mask.nii.gz"
    scan = tmp_path / "scans/images/case_5.nii.gz"
    main(["predict", "--model", str(place), str(scan), "-o", str(file)])
    mask = SimpleITK.ReadImage(str(file))
    saved = SimpleITK.ReadImage(str(place / "last/predictions/case_5.nii.gz"))
    found, expected = (
        SimpleITK.GetArrayFromImage(one)
        for one in (SimpleITK.Resample(mask, saved, SimpleITK.Transform(), NEAREST), saved)
    )
    assert expected.any()
    np.testing.assert_array_equal(found, expected)
    assert SimpleITK.GetArrayFromImage(mask).sum() == expected.sum()


def test_folds_of_a_folder_in_nnu_nets_layout_lead_to_one_table(tmp_path, snakemake):
    root = tmp_path / "Dataset001_Own"
    for number, scan in enumerate(SCANS):
        label = root / f"labelsTr/{scan}.nii.gz" if number < 5 else None
        write(root / f"imagesTr/{scan}_0000.nii.gz", label, number)
    described = {
        "channel_names": {"0": "MRI"}, "labels": {"background": 0, "blob": 1},
        "numTraining": 6, "file_ending": ".nii.gz",
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(described))
    experiment = {
        "experiment": "own", "seeds": [0], "selections": ["last"],
        "datasets": {"own": {"nnunet": "Dataset001_Own", "folds": 3, **SMALL}},
        "tables": {
            "own": {"title": "Mine", "dataset": "own", "labelled": [1], "rows": ["vnet"]}
        },
        "figures": {
            "cases": {
                "title": "Cases", "dataset": "own", "kind": "segmentations", "rows_of": "own"
            }
        },
    }  # fmt: skip
    run = snakemake("report", folder=tmp_path, experiment=experiment)
    assert run.returncode == 0, run.stderr[-3000:]
    found = table_of(tmp_path)
    assert (set(found["scans"]), set(found["folds"]), set(found["seeds"])) == ({5}, {3}, {1})
    assert (found["dice_ours"] > 10).all()
    assert (found["dice_spread"] > 0).all()
    text = (tmp_path / "results/own/tables/own.md").read_text(encoding="utf-8")
    assert "Means over 5 test scans in 3 folds, one seed ± deviation of folds." in text
    folds = pandas.read_csv(tmp_path / "results/own/own/folds.csv", index_col="scan")["fold"]
    assert folds.isna().sum() == 1
    for fold in range(3):
        runs = tmp_path / f"results/own/own/fold-{fold}/labelled-1"
        assert {path.name for path in runs.iterdir()} == {"vnet"}
        scores = pandas.read_csv(runs / "vnet/seed-0/last/scores.csv")
        assert set(scores["scan"]) == set(folds.index[folds == fold])
    assert len(list((tmp_path / "results/own/volumes/own").glob("*.h5"))) == 6
