"""Masks of prepared scans, and of many at a time."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from sgrs_core.command_line import main
from sgrs_core.data.formats.image_files import read_label, write_image
from sgrs_core.data.preprocessing.to_h5 import prepare_original
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation import many_scans
from sgrs_core.evaluation.many_scans import devices_for
from sgrs_core.evaluation.mask_maker import MaskMaker
from sgrs_core.evaluation.model import load_model
from sgrs_core.evaluation.prediction import ModelFile, Predictor
from sgrs_core.evaluation.scoring import evaluate, write_scores
from tests.small_run import LEARNT_FROM, train_on_phantoms


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("run")
    train_on_phantoms(root)
    (root / "prepared").mkdir()
    for scan in LEARNT_FROM:
        (root / f"{scan}.h5").rename(root / f"prepared/{scan}.h5")
    return root


@pytest.fixture
def folder(trained, monkeypatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def predict(*arguments: str) -> int:
    return main(["predict", "--model", "run", *arguments])


def test_prepared_scans_get_the_workflows_masks_and_scores(folder, tmp_path):
    assert predict("prepared", "-o", str(tmp_path / "masks")) == 0
    assert main(["evaluate", f"{tmp_path}/masks", "prepared", "-o", f"{tmp_path}/ours.csv"]) == 0
    run, method, _ = load_model(folder / "run/model.pt")
    lines = {}
    for scored in evaluate(
        run, method, sorted(LEARNT_FROM), lambda name: read_volume(Path(f"prepared/{name}.h5"))
    ):
        mask = scored.volume.placed(scored.prediction.astype("uint8"))
        write_image(tmp_path / "theirs.nii.gz", mask)
        ours, theirs = (
            read_label(tmp_path / name) for name in (f"masks/{scored.name}.nii.gz", "theirs.nii.gz")
        )
        assert ours.array.any()
        assert (ours.array == theirs.array).all()
        assert ours[1:] == theirs[1:]
        lines[scored.name] = scored.scores
    write_scores(tmp_path / "theirs.csv", lines)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "theirs.csv").read_bytes()


@pytest.mark.parametrize(("factor", "spacing"), [(2, "1.25 x 1.25 x 1.25"), (1, "1 x 1 x 1")])
def test_a_scan_prepared_on_another_grid_is_refused(factor, spacing, folder, tmp_path, capsys):
    file = tmp_path / "x.h5"
    prepare_original("la", folder / "raw", "one", {}, factor, file)
    if factor == 1:
        with h5py.File(file, "r+") as content:
            content.attrs["spacing"] = (1.0, 1.0, 1.0)
    assert predict(str(file), "-o", str(tmp_path / "mask.nii")) == 1
    assert f"{file}: prepared with {spacing} mm, downsampled by {factor}; the training's scans" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "mask.nii").exists()


def test_a_scan_prepared_in_another_way_is_refused(folder, tmp_path, capsys):
    file = tmp_path / "x.h5"
    prepare_original("la", folder / "raw", "one", {}, 1, file)
    with h5py.File(file, "r+") as content:
        content.attrs["provenance"] = '{"preprocessing": "BraTS2019: crop"}'
    assert predict(str(file), "-o", str(tmp_path / "mask.nii")) == 1
    assert f"{file}: prepared in another way (BraTS2019: crop) than the training's scans (LA: " in (
        capsys.readouterr().err
    )


def test_others_prepared_scans_are_read_in_the_order_of_axes_that_the_training_read(
    folder, tmp_path
):
    theirs = read_volume(folder / "prepared/one.h5")
    with h5py.File(tmp_path / "theirs.h5", "w") as content:
        content["image"] = theirs.image.T
    maker = MaskMaker(Predictor.from_file(ModelFile(folder / "run/model.pt")), "m")
    spec = replace(maker.predictor.input_spec, axes="zyx")
    maker.predictor = replace(maker.predictor, input_spec=spec)
    image, _ = maker._read(tmp_path / "theirs.h5")
    np.testing.assert_array_equal(image.array, theirs.image)


@pytest.mark.slow
def test_several_at_a_time_give_the_masks_of_one_after_the_other(folder, tmp_path, capsys):
    (tmp_path / "bad.h5").write_text("no h5")
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    assert predict("prepared", "-o", one) == 0
    capsys.readouterr()
    assert predict("prepared", str(tmp_path / "bad.h5"), "-o", two, "--jobs", "2") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert f"sgrs: error: {tmp_path}/bad.h5: not a readable h5 file" in err
    for scan in LEARNT_FROM:
        masks = [Path(place, f"{scan}.nii.gz").read_bytes() for place in (one, two)]
        assert masks[0] == masks[1]


@pytest.mark.slow
def test_a_scan_whose_process_is_killed_is_named_and_the_others_get_masks(
    folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(many_scans, "_make", make_or_die)
    assert predict("prepared", "-o", str(tmp_path), "--jobs", "2") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.nii.gz", "three.nii.gz"]
    assert "prepared/two.h5: its process was killed; is there memory enough?" in (
        capsys.readouterr().err
    )


def make_or_die(scan: Path, mask: Path) -> many_scans.Outcome:
    if scan.stem == "two":
        os.kill(os.getpid(), signal.SIGKILL)
    assert many_scans._maker is not None
    return many_scans._maker.make(scan, mask)


def test_every_gpu_gets_one_process_and_a_cpu_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert devices_for(gpu, None) == ["cuda:0", "cuda:1", "cuda:2"]
    assert devices_for(gpu, 2) == ["cuda:0", "cuda:1"]
    assert devices_for(gpu, 9) == devices_for(gpu, None)
    assert [len(devices_for(cpu, jobs)) for jobs in (None, 1, 5)] == [1, 1, 5]
