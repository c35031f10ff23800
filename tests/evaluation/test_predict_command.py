"""`sgrs predict` and `sgrs evaluate` on files as they come; the model is a stand-in."""

import os
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
import torch

from sgrs_core.command_line import main
from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_label, write_image
from sgrs_core.data.volumes import Volume, write_volume
from sgrs_core.evaluation import prediction
from sgrs_core.evaluation.folders import scans_of
from sgrs_core.evaluation.units import FACTORS, METRICS, PERCENT
from sgrs_core.reporting.scores import read_scores
from tests.data.formats.writing import affine_of, write_dicom, write_itk, write_nifti

AFFINE = affine_of((0.8, 0.7, 2.0), (5.0, -6.0, 7.0), np.eye(3))
ARRAY = np.random.default_rng(0).integers(-900, 900, (8, 7, 6)).astype(np.int16)


class Bright:
    """Finds what is above 0; of a scan of a certain size it raises what it is told to."""

    raises: Exception | None = None
    device = torch.device("cpu")
    calls = 0

    def warning(self) -> str:
        return ""

    def predict(self, image, watch) -> PlacedImage:
        self.calls += 1
        if self.raises is not None and len(image.array) == 5:
            raise self.raises
        return image._replace(array=(image.array > 0).astype(np.uint8))


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path) -> Bright:
    stand_in = Bright()
    monkeypatch.setattr(prediction.Predictor, "from_file", lambda *arguments: stand_in)
    monkeypatch.chdir(tmp_path)
    Path("model.pt").touch()
    return stand_in


def predict(*scans: object, output: str = "masks", model: str = "model.pt") -> int:
    return main(["predict", *map(str, scans), "--model", model, "-o", output])


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
    first, summary, last = capsys.readouterr().err.splitlines()
    assert first.startswith("sgrs: error: b.nii: ")
    if not isinstance(error, ValueError):
        assert type(error).__name__ in first
    assert summary == "sgrs: 2 masks written, 0 there before"
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
    assert [line.split(": ")[2] for line in lines[:-2]] == scans[:-1]
    assert lines[-1].startswith("sgrs: 5 of 6 scans have no mask: dangling.nii, ")


def test_a_name_that_is_not_utf8_costs_the_others_nothing(capfd):
    good = Path("good.nii")
    for folder in (".", "a folder"):
        bad = Path(folder) / os.fsdecode(b"caf\xe9.nii")
        bad.parent.mkdir(exist_ok=True)
        write_nifti(good, ARRAY, AFFINE)
        good.rename(bad)
        write_nifti(good, ARRAY, AFFINE)
        assert predict(bad, good) == 1
        assert "its name is not UTF-8; rename it" in capfd.readouterr().err
    series = Path(os.fsdecode(b"s\xe9rie"))
    write_dicom(Path("serie"), ARRAY, AFFINE)[0].parent.rename(series)
    assert predict(series, output="mask.nii") == 1
    assert "its name is not UTF-8; rename it" in capfd.readouterr().err
    assert [path.name for path in Path("masks").iterdir()] == ["good.nii.gz"]


def test_in_a_folder_a_link_to_nowhere_is_a_scan_that_is_missing(capfd):
    Path("scans").mkdir()
    write_nifti(Path("scans/good.nii"), ARRAY, AFFINE)
    Path("scans/gone.nii").symlink_to("nowhere.nii")
    assert predict("scans") == 1
    assert "scans/gone.nii: no such file" in capfd.readouterr().err
    assert [path.name for path in Path("masks").iterdir()] == ["good.nii.gz"]


def test_two_scans_of_one_name_are_refused_and_the_others_predicted(capsys):
    Path("other").mkdir()
    for name in ("a.nii", "b.nii", "other/a.nii.gz"):
        write_nifti(Path(name), ARRAY, AFFINE)
    assert predict("a.nii", "b.nii", "other/a.nii.gz") == 1
    assert [path.name for path in Path("masks").iterdir()] == ["b.nii.gz"]
    named, _, last = capsys.readouterr().err.splitlines()
    assert "a.nii and other/a.nii.gz have one name, so one mask" in named
    assert last == "sgrs: 2 of 3 scans have no mask: a.nii, other/a.nii.gz"


def test_a_mask_made_here_is_no_scan(capsys):
    write_nifti(Path("a.nii"), ARRAY, AFFINE)
    assert predict("a.nii") == 0
    assert predict("masks/a.nii.gz", output="again") == 1
    assert "a mask that was predicted here, not a scan" in capsys.readouterr().err


def test_labels_given_as_scans_get_their_masks_with_a_warning_and_are_counted(capsys, caplog):
    classes = np.random.default_rng(0).integers(0, 14, ARRAY.shape)
    write_nifti(Path("image.nii"), ARRAY, AFFINE)
    write_nifti(Path("binary.nii"), (ARRAY > 0).astype(np.uint8), AFFINE)
    write_nifti(Path("classes.nii"), classes.astype(np.float32), AFFINE)
    write_nifti(Path("fractions.nii"), (classes / 10).astype(np.float32), AFFINE)
    scans = ["image.nii", "binary.nii", "classes.nii", "fractions.nii"]
    for summary in ("4 masks written, 0 there before", "0 masks written, 4 there before"):
        assert predict(*scans) == 0
        assert caplog.messages == [
            f"{name}: few values, all whole numbers: is it a label?"
            for name in ("binary.nii", "classes.nii")
        ]
        assert capsys.readouterr().err.splitlines()[-2:] == [
            f"sgrs: {summary}", "sgrs: 2 of 4 scans look like labels: binary.nii, classes.nii"
        ]  # fmt: skip
        caplog.clear()


@pytest.mark.parametrize("output", ["MASK.NII.GZ", "Mask.Nii", "mask.NRRD"])
@pytest.mark.parametrize("scan", ["X.NII.GZ", "x.NRRD", "x.MHA", "series"])
def test_suffixes_are_known_in_any_case_and_masks_lie_where_scans_do(output, scan):
    if scan == "series":
        write_dicom(Path(scan), ARRAY, AFFINE)
    else:
        write_itk(Path(scan.lower()), ARRAY, AFFINE).rename(scan)
    assert predict(scan, output=output) == 0
    mask = read_label(Path(output))
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


# Folders, and a second start


@pytest.fixture
def images() -> Path:
    """a, b and c in three formats, the series d, and what lies beside scans."""
    write_itk(Path("images/a.nii.gz"), ARRAY, AFFINE)
    write_itk(Path("images/b.nrrd"), ARRAY, AFFINE).rename("images/B.NRRD")
    write_itk(Path("images/c.mha"), ARRAY, AFFINE)
    write_dicom(Path("images/d/series"), ARRAY, AFFINE)
    for name in (".hidden.nii", "notes.txt"):
        Path("images", name).write_text("no scan")
    Path("images/empty").mkdir()
    return Path("images")


def times() -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in Path("masks").iterdir()}


def test_every_scan_of_a_folder_gets_a_mask_of_its_name(images, capsys, caplog):
    assert predict(images) == 0
    out, err = capsys.readouterr()
    names = ["B.nii.gz", "a.nii.gz", "c.nii.gz", "d.nii.gz"]
    assert sorted(path.name for path in Path("masks").iterdir()) == names
    assert [line.split(":")[0] for line in out.splitlines()] == [f"masks/{n}" for n in names]
    assert out.splitlines()[-1].endswith(" [4/4]")
    assert caplog.messages == [
        "images: left out, for their names: notes.txt",
        "images: folders in it are not looked into: empty",
    ]
    assert err == "sgrs: 4 masks written, 0 there before\n"
    for name in names:
        assert read_label(Path("masks", name)).array.sum() == (ARRAY > 0).sum()


def test_a_second_start_makes_only_what_is_missing_or_damaged(images, model, capsys):
    assert predict(images) == 0
    Path("masks/a.nii.gz").unlink()
    whole = Path("masks/c.nii.gz").read_bytes()
    Path("masks/c.nii.gz").write_bytes(whole[:-20])
    Path("masks/d.nii.gz").write_bytes(b"")
    before = times()
    capsys.readouterr()
    assert predict(images) == 0
    out, err = capsys.readouterr()
    assert model.calls == 4 + 3
    assert "masks/B.nii.gz: skipped, this model's mask of this scan is there [1/4]" in out
    assert err.splitlines()[-1] == "sgrs: 3 masks written, 1 there before"
    assert times()["B.nii.gz"] == before["B.nii.gz"]
    assert Path("masks/c.nii.gz").read_bytes() == whole


@pytest.mark.parametrize("output", ["masks", "masks/a.nrrd"])
def test_a_mask_of_another_model_or_scan_or_origin_is_left_as_it_is(output, capsys):
    scan = write_nifti(Path("a.nii.gz"), ARRAY, AFFINE)
    mask = Path("masks/a.nii.gz" if output == "masks" else output)
    assert predict(scan, output=output) == 0
    content = mask.read_bytes()
    Path("other.pt").write_text("other weights")
    assert predict(scan, output=output, model="other.pt") == 1
    assert (
        f"{mask}: there already, and of another model, scan or stride;" in capsys.readouterr().err
    )
    write_nifti(scan, ARRAY + np.int16(1), AFFINE)
    assert predict(scan, output=output) == 1
    assert (
        f"{mask}: there already, and of another model, scan or stride;" in capsys.readouterr().err
    )
    assert mask.read_bytes() == content
    mask.unlink()
    write_itk(mask, (ARRAY > 5).astype(np.uint8), AFFINE)
    assert predict(scan, output=output) == 1
    assert f"{mask}: there already, and of unknown origin;" in capsys.readouterr().err
    assert main(["predict", "a.nii.gz", "--model", "model.pt", "-o", output, "--overwrite"]) == 0
    np.testing.assert_array_equal(read_label(mask).array, ARRAY + 1 > 0)


def test_files_in_the_masks_places_are_counted_apart_with_the_way_out(images, capsys):
    assert predict(images) == 0
    Path("masks/c.nii.gz").unlink()
    write_itk(Path("masks/c.nii.gz"), (ARRAY > 5).astype(np.uint8), AFFINE)
    write_nifti(Path("images/flat.nii"), ARRAY * 0, AFFINE)
    Path("images/flat.nii").write_bytes(b"")
    Path("masks/d.nii.gz").unlink()
    Path("other.pt").write_text("other weights")
    capsys.readouterr()
    assert predict(images, model="other.pt") == 1
    out, err = capsys.readouterr()
    assert out.endswith(" [4/5]\n")
    assert err.splitlines()[-3:] == [
        "sgrs: 1 masks written, 0 there before",
        "sgrs: 3 of 5 scans have another file, of another model, scan or stride or of unknown "
        "origin, where their mask belongs: images/B.NRRD, images/a.nii.gz, images/c.mha; "
        "--overwrite replaces them, another folder after -o keeps both",
        "sgrs: 1 of 5 scans have no mask: images/flat.nii",
    ]


@pytest.mark.parametrize("jobs", ["0", "-1", "x"])
def test_a_number_of_jobs_that_is_none_is_refused(jobs, capsys):
    with pytest.raises(SystemExit):
        main(["predict", "a.nii", "--model", "model.pt", "-o", "masks", "--jobs", jobs])
    assert "--jobs" in capsys.readouterr().err


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


# evaluate folders


@pytest.fixture
def pairs() -> tuple[Path, Path]:
    """Masks and labels of one, two and three; three's mask is empty."""
    for name, threshold in (("one", 0), ("two", 300), ("three", 2000)):
        write_itk(Path(f"masks/{name}.nii.gz"), (threshold < ARRAY).astype(np.uint8), AFFINE)
        write_itk(Path(f"labels/{name}.nrrd"), (ARRAY > 100).astype(np.uint8), AFFINE)
    return Path("masks"), Path("labels")


def test_a_folder_of_masks_is_scored_by_name_and_both_scorings_are_told(pairs, capsys):
    code, out, err = evaluate(capsys, *pairs, "-o", "scores.csv")
    assert (code, err) == (0, "")
    heading, one, three, two, published, strict = out.splitlines()
    assert heading.split("  ")[-1].strip() == "ASD (voxels)"
    assert [line.split()[0] for line in (one, three, two)] == ["one", "three", "two"]
    assert three.split()[1:] == ["0.00", "0.00", "nan", "nan"]
    scores = read_scores("scores.csv")
    assert list(scores["scan"]) == ["one", "three", "two"]
    for line, scoring, distance in (
        (published, "published", 0.0), (strict, "strict", scores["diagonal"])
    ):  # fmt: skip
        instead = {metric: 0.0 if metric in PERCENT else distance for metric in METRICS}
        values = {
            metric: FACTORS[metric] * scores[metric].mask(scores["empty"], instead[metric])
            for metric in METRICS
        }
        expected = [f"{values[m].mean():.2f} ± {values[m].std():.2f}" for m in METRICS]
        assert line.startswith(f"mean ± sd, {scoring} ")
        assert re.findall(r"[\d.]+ ± [\d.]+", line) == expected


def test_without_an_empty_mask_there_is_one_line_of_means(pairs, capsys):
    Path("masks/three.nii.gz").unlink()
    Path("labels/three.nrrd").unlink()
    _, out, _ = evaluate(capsys, *pairs)
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == ["one", "two", "mean ± sd"]


def test_a_bad_pair_and_missing_partners_are_named_and_the_others_scored(pairs, capsys):
    moved = AFFINE.copy()
    moved[0, 3] += 1
    write_itk(Path("labels/one.nrrd"), (ARRAY > 100).astype(np.uint8), moved)
    Path("labels/three.nrrd").rename("labels/four.nrrd")
    code, out, err = evaluate(capsys, *pairs, "-o", "scores.csv")
    assert code == 1
    assert [line.split("  ")[0] for line in out.splitlines()[1:]] == ["two", "mean ± sd"]
    assert list(read_scores("scores.csv")["scan"]) == ["two"]
    assert [line.split("; ")[0] for line in err.splitlines()] == [
        "sgrs: error: labels/four.nrrd: no mask four in masks",
        "sgrs: error: masks/three.nii.gz: no label three in labels",
        "sgrs: error: masks/one.nii.gz: origin of the mask is (5.0, -6.0, 7.0), of the label "
        "(6.0, -6.0, 7.0)",
    ]


@pytest.mark.parametrize("channel", ["_0000", "_0001"])
def test_masks_of_nnunets_images_meet_the_labels_without_the_channel(channel, pairs, capsys):
    for mask in Path("masks").iterdir():
        mask.rename(mask.with_name(mask.name.replace(".", f"{channel}.", 1)))
    code, out, _ = evaluate(capsys, *pairs)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["one", "three", "two"]
    write_itk(Path("masks/one.mha"), (ARRAY > 0).astype(np.uint8), AFFINE)
    code, _, err = evaluate(capsys, *pairs)
    assert code == 1
    several = f"masks/one.mha, masks/one{channel}.nii.gz, labels/one.nrrd"
    assert f"{several}: more than one mask or label of one" in err


def test_a_mask_of_several_structures_is_not_scored_against_one_of_them(tmp_path, capsys):
    several = write_itk(tmp_path / "several.nii.gz", (ARRAY % 3).astype(np.uint8), AFFINE)
    code, _, err = evaluate(capsys, several, several, "--foreground", 2)
    assert code == 1
    assert f"{several}: its values 1, 2 would all count, but --foreground names 2" in err
    assert evaluate(capsys, several, several, "--foreground", 1, 2)[0] == 0


@pytest.mark.parametrize(
    ("names", "are_channels"),
    [
        (("a_0000", "a_0001", "b_0000", "b_0001"), True),
        (("a_0000", "b_0000"), False),
        (("spleen_0001", "spleen_0002", "spleen_0012"), False),
    ],
)
def test_a_folder_with_several_channels_of_a_scan_is_warned_of(names, are_channels, caplog):
    Path("images").mkdir()
    for name in names:
        Path(f"images/{name}.nii.gz").touch()
    assert len(scans_of(Path("images"))) == len(names)
    told = "images: a_0000 and a_0001 are channels of one scan"
    assert [message.startswith(told) for message in caplog.messages] == [True] * are_channels


def test_masks_whose_names_end_in_numbers_keep_them(pairs, capsys):
    for file in [*Path("masks").iterdir(), *Path("labels").iterdir()]:
        number = {"one": "_0001", "two": "_0002"}.get(file.name.split(".")[0], "")
        file.rename(file.with_name(file.name.replace(".", f"{number}.", 1)))
    code, out, _ = evaluate(capsys, *pairs)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["one_0001", "three", "two_0002"]


def test_a_runs_own_scores_are_not_replaced(pairs, capsys):
    scores = Path("results/run/last/scores.csv")
    (scores.parent / "predictions").mkdir(parents=True)
    scores.write_text("the run's")
    code, _, err = evaluate(capsys, *pairs, "-o", scores)
    assert code == 1
    assert err.endswith(f"{scores}: a run's own scores are not replaced; write elsewhere\n")
    (scores.parent / "predictions").rmdir()  # as a committed run has none
    (scores.parents[1] / "record.json").touch()
    assert evaluate(capsys, *pairs, "-o", scores)[0] == 1
    assert scores.read_text() == "the run's"
    assert scores.read_text() == "the run's"


@pytest.mark.parametrize("fold", ["", "fold-0/"])
def test_of_a_runs_masks_it_says_which_scans_they_lie_on_and_where_their_scores_are(fold, capsys):
    run = Path(f"results/own/spleen/{fold}labelled-2/vnet/seed-0")
    part = (ARRAY[2:] > 0).astype(np.uint8)
    write_itk(run / "last/predictions/one.nii.gz", part, AFFINE)
    label = write_itk(Path("labels/one.nii.gz"), (ARRAY > 0).astype(np.uint8), AFFINE)
    scan = Path("results/own/volumes/spleen/one.h5").absolute()
    code, _, err = evaluate(capsys, run / "last/predictions", label.parent)
    assert code == 1
    assert "prepared scans" not in err
    place = {"spacing": (0.8, 0.7, 2.0), "origin": (5.0, -6.0, 7.0)}
    write_volume(scan, Volume(part.astype(np.float32), part, **place))
    code, _, err = evaluate(capsys, run / "last/predictions", label.parent)
    assert code == 1
    assert f"its prepared scans: give {scan} as the label; their scores are in {run}/last/" in err
    assert evaluate(capsys, run / "last/predictions/one.nii.gz", scan)[0] == 0
    for folder in (run, run / "last"):
        code, _, err = evaluate(capsys, folder, label.parent)
        assert code == 1
        assert err.endswith(f"; its masks are in {run}/last/predictions\n")


def test_what_cannot_be_scored_together_is_said(pairs, capsys):
    Path("none").mkdir()
    Path("folder.csv").mkdir()
    for arguments, message in (
        (("masks", "labels", "-o", "folder.csv"), "folder.csv: a folder; give the name of a file"),
        (("masks", "labels/one.nrrd"), "give two files, or two folders"),
        (("masks", "none"), "none: no file there whose name ends in .nii"),
        (("masks", "labels", "-o", "labels/one.nrrd"), "allowed are names that end in .csv"),
    ):
        code, out, err = evaluate(capsys, *arguments)
        assert (code, out) == (1, "")
        assert message in err
        assert len(err.splitlines()) == 1


def test_a_label_that_others_stored_z_first_is_read_so_when_told(capsys):
    label = np.zeros((8, 8, 8), np.uint8)
    label[2:6, 1:4, 5:7] = 1
    with h5py.File("label.h5", "w") as file:
        file["image"], file["label"] = np.random.default_rng(0).normal(size=(8, 8, 8)), label.T
    write_image(Path("mask.nii.gz"), PlacedImage(label))
    for options, dice in (((), "12.50"), (("--prepared-axes", "zyx"), "100.00")):
        code, out, _ = evaluate(capsys, "mask.nii.gz", "label.h5", *options)
        assert code == 0
        assert out.split()[:2] == ["dice", dice]
