"""`sgrs predict` and `sgrs evaluate` on files as they come; the model is a stand-in."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.command_line import main
from sgrs_core.data.formats.image_files import read_label
from sgrs_core.data.formats.images import to_array
from sgrs_core.evaluation import prediction
from tests.data.formats.writing import affine_of, write_dicom, write_itk, write_nifti

AFFINE = affine_of((0.8, 0.7, 2.0), (5.0, -6.0, 7.0), np.eye(3))
ARRAY = np.random.default_rng(0).integers(-900, 900, (8, 7, 6)).astype(np.int16)


class Bright:
    """Finds what is above 0; of a scan of a certain size it raises what it is told to."""

    raises: Exception | None = None

    def warnings(self) -> list[str]:
        return []

    def predict(self, image, to_do, on_windows) -> SimpleITK.Image:
        if self.raises is not None and image.GetSize()[0] == 5:
            raise self.raises
        return image > 0


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path) -> Bright:
    stand_in = Bright()
    monkeypatch.setattr(prediction.Predictor, "from_file", lambda *arguments: stand_in)
    monkeypatch.chdir(tmp_path)
    Path("model.pt").touch()
    return stand_in


def predict(*scans: object, output: str = "masks") -> int:
    return main(["predict", *map(str, scans), "--model", "model.pt", "-o", output])


@pytest.mark.parametrize(
    "error", [MemoryError(), TypeError("an integer is required"), ValueError("bad"), KeyError("x"),
              FloatingPointError("nan"), np.exceptions.AxisError("axis")]
)  # fmt: skip
def test_whatever_one_scan_raises_the_others_get_their_masks(error, model, capsys):
    for name in ("a.nii", "b.nii", "c.nii"):
        write_nifti(Path(name), ARRAY[:5] if name == "b.nii" else ARRAY, AFFINE)
    model.raises = error
    assert predict("a.nii", "b.nii", "c.nii") == 1
    assert sorted(path.name for path in Path("masks").iterdir()) == ["a.nii.gz", "c.nii.gz"]
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("sgrs: error: b.nii: ")
    if not isinstance(error, ValueError):
        assert type(error).__name__ in first
    assert last == "sgrs: 1 of 3 scans have no mask: b.nii"


def test_a_missing_or_unfit_scan_costs_the_others_nothing(capfd):
    Path("dangling.nii").symlink_to("nowhere.nii")
    write_nifti(Path("good.nii"), ARRAY, AFFINE)
    write_nifti(Path("flat.nii"), ARRAY.astype(np.float32) * np.nan, AFFINE)
    Path("empty").mkdir()
    Path("notes.txt").write_text("no scan")
    scans = ["dangling.nii", "gone.nii.gz", "flat.nii", "empty", "notes.txt", "good.nii"]
    assert predict(*scans) == 1
    assert [path.name for path in Path("masks").iterdir()] == ["good.nii.gz"]
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(": ")[2] for line in lines[:-1]] == scans[:-1]
    assert lines[-1].startswith("sgrs: 5 of 6 scans have no mask: dangling.nii, ")


def test_two_scans_of_one_name_are_refused_and_the_others_predicted(capsys):
    Path("other").mkdir()
    for name in ("a.nii", "b.nii", "other/a.nii.gz"):
        write_nifti(Path(name), ARRAY, AFFINE)
    assert predict("a.nii", "b.nii", "other/a.nii.gz") == 1
    assert [path.name for path in Path("masks").iterdir()] == ["b.nii.gz"]
    first, second, last = capsys.readouterr().err.splitlines()
    for line in (first, second):
        assert "a.nii and other/a.nii.gz have one name, so one mask" in line
    assert last == "sgrs: 2 of 3 scans have no mask: a.nii, other/a.nii.gz"


@pytest.mark.parametrize("output", ["MASK.NII.GZ", "Mask.Nii", "mask.NRRD"])
@pytest.mark.parametrize("scan", ["X.NII.GZ", "x.NRRD", "x.MHA", "series"])
def test_suffixes_are_known_in_any_case_and_masks_lie_where_scans_do(output, scan):
    if scan == "series":
        write_dicom(Path(scan), ARRAY, AFFINE)
    else:
        write_itk(Path(scan.lower()), ARRAY, AFFINE).rename(scan)
    assert predict(scan, output=output) == 0
    mask = to_array(read_label(Path(output)))
    np.testing.assert_array_equal(mask.array, ARRAY > 0)
    np.testing.assert_allclose(mask.affine(), AFFINE, atol=1e-5)


@pytest.mark.parametrize("output", ["mask.mha", "mask.gz", "mask.img", "mask.h5", "mask.dcm"])
def test_a_wrong_suffix_of_the_output_is_refused_before_predicting(output, model, capsys):
    model.raises = AssertionError("too late")
    write_nifti(Path("a.nii"), ARRAY[:5], AFFINE)
    assert predict("a.nii", output=output) == 1
    assert f"{output}: allowed are a folder, and files .nii" in capsys.readouterr().err
    assert not Path(output).exists()


def test_several_scans_and_an_output_named_as_an_image_are_refused(capsys):
    for name in ("a.nii", "b.nii"):
        write_nifti(Path(name), ARRAY, AFFINE)
    assert predict("a.nii", "b.nii", output="masks.mha") == 1
    assert "masks.mha: a file, but 2 scans need a folder" in capsys.readouterr().err


# evaluate


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_the_background_is_no_foreground(capsys):
    label = write_nifti(Path("label.nii"), (ARRAY > 0).astype(np.uint8), AFFINE)
    code, out, err = evaluate(capsys, label, label, "--foreground", 0, 1)
    assert (code, out) == (1, "")
    assert "foreground = [0, 1]: allowed are label values other than 0" in err


def test_a_probability_is_scored_from_one_half_on_whatever_its_format(capsys):
    truth = write_nifti(Path("truth.nii"), (ARRAY >= 0).astype(np.uint8), AFFINE)
    soft = 0.5 + ARRAY / 2000
    for file in (
        write_nifti(Path("soft.nii"), soft.astype(np.float32), AFFINE),
        write_itk(Path("soft.nrrd"), soft, AFFINE),
        write_itk(Path("soft.mha"), soft, AFFINE),
    ):
        for pair in ((file, truth), (truth, file)):
            code, out, _ = evaluate(capsys, *pair)
            assert code == 0
            assert out.splitlines()[0].split() == ["dice", "100.00", "%"]


@pytest.mark.parametrize("suffix", ["nii", "nrrd", "mha"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_masks_and_labels_with_values_that_are_none_are_refused(suffix, value, capsys):
    truth = write_nifti(Path("truth.nii"), (ARRAY > 0).astype(np.uint8), AFFINE)
    broken = (ARRAY > 0).astype(np.float64)
    broken[3, 3, 3] = value
    file = Path(f"broken.{suffix}")
    (write_nifti if suffix == "nii" else write_itk)(file, broken, AFFINE)
    for pair in ((file, truth), (truth, file)):
        code, out, err = evaluate(capsys, *pair)
        assert (code, out) == (1, "")
        assert err.startswith(f"sgrs: error: {file}: ")


@pytest.mark.parametrize(("shift", "accepted"), [(1e-8, True), (1e-4, True), (1.0, False)])
def test_grids_may_differ_by_rounding_but_not_by_a_millimetre(shift, accepted, capsys):
    label = (ARRAY > 0).astype(np.uint8)
    moved = AFFINE.copy()
    moved[0, 3] += shift
    pair = write_itk(Path("one.nrrd"), label, AFFINE), write_itk(Path("two.nrrd"), label, moved)
    assert (evaluate(capsys, *pair)[0] == 0) == accepted


def test_a_label_stored_along_other_axes_at_45_degrees_is_scored(capsys):
    turn = np.array([[1, -1, 0], [1, 1, 0], [0, 0, np.sqrt(2)]]) / np.sqrt(2)
    image = SimpleITK.ReadImage(
        str(
            write_itk(
                Path("m.nrrd"), (ARRAY > 0).astype(np.uint8), affine_of((1, 1, 1), (0, 0, 0), turn)
            )
        )
    )
    SimpleITK.WriteImage(SimpleITK.PermuteAxes(image, [1, 0, 2])[::-1], "l.nrrd")
    code, out, _ = evaluate(capsys, "m.nrrd", "l.nrrd")
    assert code == 0
    assert out.splitlines()[0].split() == ["dice", "100.00", "%"]
