"""A model of the workflow knows by itself how to predict a scan of no data set."""

import subprocess

import numpy as np
import pytest

from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.evaluation.model import load_model
from tests import warm_python
from tests.workflow.conftest import ENVIRONMENT, PROJECT

RUN = "results/quick/pancreas/labelled-3/vnet/seed-0"
MODEL = f"{RUN}/model.pt"


@pytest.mark.slow
def test_a_model_that_the_workflow_trained_predicts_a_dicom_series(snakemake, tmp_path):
    changes = {"datasets": {"pancreas": {"downsample": 2}}}
    trained = snakemake(MODEL, folder=tmp_path, changes=changes)
    assert trained.returncode == 0, trained.stderr
    spec = load_model(tmp_path / MODEL).input_spec
    assert spec in [
        InputSpec("pancreas", orientation, True, (1.0,) * 3, 2, preprocessing=spec.preprocessing)
        for orientation in ("LPS", "LAI")  # the phantoms have both
    ]
    assert spec.preprocessing.startswith("Pancreas-CT: 1 mm by B-spline")

    scan = next((tmp_path / "results/quick/phantoms/pancreas").glob("PANCREAS_*"))
    command = ["predict", str(scan), "--model", RUN, "-o", "mask.nii.gz"]
    run = subprocess.run(
        [warm_python.python(), "-m", "sgrs_core.command_line", *command],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 0, run.stderr
    mask, series = read_scan(tmp_path / "mask.nii.gz"), read_scan(scan)
    assert mask.array.shape == series.array.shape
    for of_mask, of_series in (
        (mask.spacing, series.spacing),
        (mask.origin, series.origin),
        (mask.direction, series.direction),
    ):
        np.testing.assert_allclose(of_mask, of_series, atol=1e-3)
