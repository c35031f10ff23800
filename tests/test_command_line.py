"""`sgrs` as users call it: a process, files in, files and one-line errors out."""

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from medpy.metric.binary import asd
from pydicom import dcmread

from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.formats.images import to_itk
from sgrs_core.phantoms.dicom import Series, write_series
from tests import warm_python
from tests.places import PROJECT
from tests.recompute import read
from tests.small_run import NEW, train_on_phantoms

pytestmark = pytest.mark.slow

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}


def sgrs(
    *arguments: object, folder: Path, to: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_python.python(), "-m", "sgrs_core.command_line", *map(str, arguments)],
        cwd=folder,
        stdout=to,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """run/, and scans/a.nii.gz, b.nrrd, and the DICOM series c without suffixes."""
    root = tmp_path_factory.mktemp("Ordner é 1")
    train_on_phantoms(root)
    scan = read_scan(root / "raw" / NEW / "lgemri.nrrd")
    (root / "scans").mkdir()
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(to_itk(scan), "RAS"), str(root / "scans/a.nii.gz"))
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(to_itk(scan), "PIR"), str(root / "scans/b.nrrd"))
    array = scan.array.astype(np.int16)
    series = Series("c", "key", scan.spacing, scan.origin, 1, 0, True)
    write_series(root / "scans/c", array, series)
    for file in (root / "scans/c").glob("*.dcm"):
        slice_ = dcmread(file)
        slice_.Modality = "MR"  # as the training's
        slice_.save_as(file.with_suffix(""))
        file.unlink()
    return root


def test_several_scans_of_all_kinds_get_the_same_mask_in_space(folder):
    scans = ["scans/a.nii.gz", "scans/b.nrrd", "scans/c"]
    run = sgrs("predict", *scans, "--model", "run", "-o", "masks", folder=folder)
    assert run.returncode == 0, run.stderr
    assert "crops around the label" in run.stderr
    masks = [f"masks/{name}.nii.gz" for name in "abc"]
    assert [line.split(":")[0] for line in run.stdout.splitlines()] == masks
    pictures = []
    for scan, mask in zip(scans, masks, strict=True):
        before, after = read_scan(folder / scan), read_scan(folder / mask)
        assert after.array.shape == before.array.shape
        np.testing.assert_allclose(after.origin, before.origin, atol=1e-3)
        np.testing.assert_allclose(after.direction, before.direction, atol=1e-6)
        pictures.append(SimpleITK.DICOMOrient(to_itk(after), "LPS"))
    first, *others = map(SimpleITK.GetArrayFromImage, pictures)
    assert first.any()
    assert set(np.unique(first)) == {0, 1}
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_one_scan_fails_and_the_others_are_predicted(folder, tmp_path):
    (folder / "scans/damaged.nii.gz").write_bytes(b"not NIfTI")
    run = sgrs(
        *("predict", "scans/damaged.nii.gz", "scans/a.nii.gz", "--model", "run/model.pt"),
        *("-o", tmp_path / "masks", "--stride", 8, 8, 8, "--device", "cpu"),
        folder=folder,
    )
    assert run.returncode == 1
    errors = [line for line in run.stderr.splitlines() if line.startswith("sgrs: error:")]
    assert len(errors) == 1
    assert "scans/damaged.nii.gz" in errors[0]
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["a.nii.gz"]


def test_a_ct_for_an_mri_model_is_refused_by_name_and_leaves_no_mask(folder, tmp_path):
    image = SimpleITK.GetImageFromArray(np.arange(8000, dtype=np.int16).reshape(20, 20, 20) - 1000)
    SimpleITK.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    run = sgrs(
        *("predict", tmp_path / "ct.nii.gz", "--model", "run", "-o", tmp_path / "mask.nii"),
        folder=folder,
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        f"sgrs: error: {tmp_path}/ct.nii.gz: its intensities run from -1000 to 6999, but "
        "training is on MRI, which has none below 0; is it a CT, or standardised already?"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nii.gz"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scans/gone.nii", "--model", "run", "-o", "m.nii"], "scans/gone.nii: no such file"),
        (["scans/a.nii.gz", "--model", "lost", "-o", "m.nii"], "lost: no such file or folder"),
        (["scans/a.nii.gz", "--model", "scans/b.nrrd", "-o", "m.nii"], "b.nrrd: not a model"),
        (["scans/a.nii.gz", "--model", "run", "-o", "scans/a.nii.gz"], "would replace a scan"),
        (["one.txt", "--model", "run", "-o", "m.nii"], "one.txt: no such file"),
        (["raw", "--model", "run", "-o", "m.nii"], "raw: no scan in this folder"),
        (["scans/a.nii.gz", "--model", "run", "-o", "m.nii", "--stride", "8", "0", "8"], "stride"),
        (["scans/a.nii.gz", "--model", "run", "-o", "m", "--selection", "best_on_test"], "last"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments, message, folder):
    run = sgrs("predict", *arguments, folder=folder)
    assert run.returncode == 1
    assert message in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
    assert not (folder / "m.nii").exists()


def test_the_four_metrics_are_printed_whichever_way_the_label_is_stored(tmp_path):
    mask = np.zeros((12, 11, 10), np.uint8)
    mask[2:8, 2:8, 2:8] = 1
    label = np.zeros_like(mask)
    label[2:8, 2:8, 4:10] = 3
    label[0, 0, 0] = 7
    for name, array in (("mask.nii.gz", mask), ("label.nrrd", label)):
        picture = SimpleITK.GetImageFromArray(array)
        picture.SetSpacing((0.8, 0.8, 1.2))
        turned = SimpleITK.DICOMOrient(picture, "PIR" if name == "mask.nii.gz" else "LPS")
        SimpleITK.WriteImage(turned, str(tmp_path / name))
    run = sgrs("evaluate", "mask.nii.gz", "label.nrrd", "--foreground", 3, folder=tmp_path)
    assert run.returncode == 0, run.stderr
    lines = [line.split() for line in run.stdout.splitlines()]
    # Two cubes of 6 voxels, 2 apart: 4/6 in common; values by hand but asd, which is by medpy.
    assert lines[0] == ["dice", "66.67", "%"]
    assert lines[1] == ["jaccard", "50.00", "%"]
    assert lines[2][:2] == ["hd95", "2.00"]
    assert run.stdout.splitlines()[2].endswith(" voxels of 0.8 x 0.8 x 1.2 mm")
    assert lines[3][:2] == ["asd", f"{asd(mask, label == 3):.2f}"]
    assert "count as one structure" not in run.stderr
    run = sgrs("evaluate", "mask.nii.gz", "label.nrrd", folder=tmp_path)
    assert "count as one structure; --foreground says which of a label do" in run.stderr


def test_masks_that_cannot_be_scored_are_refused_by_name(tmp_path):
    cube = np.zeros((9, 9, 9), np.uint8)
    label, other = cube.copy(), np.zeros((9, 9, 8))
    label[2:5], other[2:5] = 1, 1
    for name, array in (("empty", cube), ("label", label), ("other", other)):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(tmp_path / f"{name}.nrrd"))
    for arguments, message in (
        (("label.nrrd", "empty.nrrd"), "empty.nrrd: no voxel is foreground"),
        (("other.nrrd", "label.nrrd"), "other.nrrd: shape of the mask is (8, 9, 9)"),
        (("gone.nrrd", "label.nrrd"), "gone.nrrd: no such file"),
    ):
        run = sgrs("evaluate", *arguments, folder=tmp_path)
        assert run.returncode == 1
        (line,) = run.stderr.splitlines()
        assert message in line
    run = sgrs("evaluate", "empty.nrrd", "label.nrrd", folder=tmp_path)
    assert run.returncode == 0
    assert "empty.nrrd: empty, so distances are not defined" in run.stderr
    assert "hd95         nan" in run.stdout


def test_a_reader_that_reads_no_further_costs_no_file_and_no_message(tmp_path):
    cube = np.zeros((9, 9, 9), np.uint8)
    cube[2:5] = 1
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(cube), str(tmp_path / "cube.nrrd"))
    reader, writer = os.pipe()
    os.close(reader)
    run = sgrs("evaluate", "cube.nrrd", "cube.nrrd", "-o", "t.csv", folder=tmp_path, to=writer)
    os.close(writer)
    assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, "")
    assert len(read(tmp_path / "t.csv")) == 1
