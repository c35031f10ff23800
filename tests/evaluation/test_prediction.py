"""New scans: what the network sees is what training showed it, and the mask lies where they lie."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan, write_image
from sgrs_core.data.formats.images import from_itk, in_orientation, to_itk
from sgrs_core.data.masks import largest_component
from sgrs_core.data.preprocessing.common import (
    la_margins,
    prepare_brats,
    prepare_custom,
    prepare_la,
    prepare_pancreas,
)
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.data.preprocessing.new_scan import NewScan
from sgrs_core.data.preprocessing.to_h5 import prepare_original
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation.metrics import dice
from sgrs_core.evaluation.model import load_model, save_model
from sgrs_core.evaluation.prediction import ModelFile, Predictor, mask_files, model_file
from sgrs_core.evaluation.scoring import evaluate
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import NiftiSettings
from sgrs_core.methods.base import Method
from sgrs_core.phantoms.brats2019 import phantom_brats2019
from sgrs_core.phantoms.la import phantom_la
from sgrs_core.phantoms.pancreas import phantom_pancreas
from tests.small_run import NEW, train_on_phantoms

CPU = torch.device("cpu")
ORIENTATIONS = [
    "".join(pair[sign] for pair, sign in zip(order, signs, strict=True))
    for order in permutations(("LR", "PA", "SI"))
    for signs in product((0, 1), repeat=3)
]
LA = InputSpec("la", "LPS", True, (0.625,) * 3)
PANCREAS = InputSpec("pancreas", "LPS", True, (1.0,) * 3)
BRATS = InputSpec("brats2019", "LPS", True, (1.0,) * 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("Läufe 1")
    train_on_phantoms(root)
    return root


@pytest.fixture(scope="module")
def trained(folder) -> Predictor:
    return Predictor.from_file(ModelFile(folder / "run/model.pt"))


@pytest.fixture(scope="module")
def phantom(folder) -> PlacedImage:
    return read_scan(folder / "raw" / NEW / "lgemri.nrrd")


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    return Run("vnet", {}, tiny_training, tiny_inference, 0, ("a",), (), {"last": ()})


class Threshold(Method):
    """Finds what is brighter than so many standard deviations above the mean."""

    def __init__(self, run: Run, level: float) -> None:
        super().__init__(run.training)
        self.level = level

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return (images[:, 0] > self.level).float()


def picture(array, spacing=(1.0, 1.0, 1.0), origin=(-30.5, 12.0, 7.25)) -> PlacedImage:
    return PlacedImage(array, spacing, origin)


def stored_as(image: PlacedImage, order: str) -> PlacedImage:
    return from_itk(SimpleITK.DICOMOrient(to_itk(image), order))


def same_grid(one: PlacedImage, other: PlacedImage) -> bool:
    return one.array.shape == other.array.shape and one[1:] == other[1:]


def in_space(mask: PlacedImage) -> np.ndarray:
    """The mask as it lies in the patient, however it is stored."""
    return in_orientation(mask, "LPS").array


@pytest.mark.slow
def test_a_scan_that_training_would_not_crop_gets_the_workflows_own_prediction(
    trained, folder, phantom
):
    """The phantoms are narrower than the least crop, so nothing but the label is missing."""
    prepare_original("la", folder / "raw", NEW, {}, 1, folder / "prepared.h5")
    volume = read_volume(folder / "prepared.h5")
    assert volume.image.shape == phantom.array.shape
    (scored,) = evaluate(trained.run, trained.method, [NEW], lambda name: volume)
    np.testing.assert_array_equal(trained.predict(phantom).array, scored.prediction)


# Orientation


def test_the_trained_network_tells_orientations_apart(trained, phantom):
    """Without this, the tests of orientation below could not fail."""
    mask = trained.predict(phantom).array
    assert 0.02 < mask.mean() < 0.9
    flipped = phantom._replace(array=phantom.array[::-1])
    assert dice(trained.predict(flipped).array[::-1], mask) < 0.99


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_scan_stored_in_any_orientation_gets_the_same_mask_in_space(
    orientation, trained, phantom
):
    stored = stored_as(phantom, orientation)
    mask = trained.predict(stored)
    assert same_grid(mask, stored)
    np.testing.assert_array_equal(in_space(mask), in_space(trained.predict(phantom)))


def test_a_tilted_scan_gets_its_mask_on_its_own_grid(trained, phantom):
    cosine, sine = np.cos(0.4), np.sin(0.4)
    direction = (0.0, 0.0, 1.0, cosine, -sine, 0.0, sine, cosine, 0.0)
    tilted = phantom._replace(direction=direction)
    mask = trained.predict(tilted)
    assert same_grid(mask, tilted)
    for code in ("RAI", "PSR"):
        again = stored_as(trained.predict(stored_as(tilted, code)), "LPS")
        np.testing.assert_array_equal(again.array, stored_as(mask, "LPS").array)


def test_the_axes_of_training_are_the_ones_the_network_sees(run):
    array = np.random.default_rng(0).normal(50, 9, (18, 20, 24)).astype(np.float32)
    seen = NewScan(picture(array), replace(LA, orientation="RSA", spacing=None)).first_input().array
    expected = array.transpose(0, 2, 1)[::-1, :, ::-1]
    np.testing.assert_allclose(seen, (expected - array.mean()) / array.std(), atol=1e-4)


# What the network sees, against the training's own preparation


def test_la_has_the_trainings_numbers():
    image, label = phantom_la("case", (130, 128, 12), 0)
    prepared = prepare_la(image, label, la_margins("case"))
    x, y, z = (
        slice(first, first + side)
        for first, side in zip(prepared.start, prepared.image.shape, strict=True)
    )
    seen = NewScan(picture(image, (0.625,) * 3), LA).first_input()
    np.testing.assert_array_equal(seen.array[x, y, z], prepared.image)


def test_brats_has_the_trainings_numbers_and_place():
    pictures, label = phantom_brats2019("case", (48, 56, 40), 0)
    flair = pictures["flair"]
    prepared = prepare_brats(flair, label.astype(np.uint8))
    scan = picture(flair)
    seen = NewScan(scan, BRATS).first_input()
    np.testing.assert_array_equal(seen.array, prepared.image)
    place = to_itk(scan).TransformIndexToPhysicalPoint(prepared.start)
    np.testing.assert_allclose(seen.origin, place)


def test_a_brain_of_another_spacing_is_still_cut_out_of_an_empty_background():
    flair = phantom_brats2019("case", (48, 56, 40), 0)[0]["flair"]
    fine = NewScan(picture(flair), BRATS).first_input()
    coarse = NewScan(picture(flair, (1.25, 1.25, 1.25)), BRATS).first_input()
    ratio = np.divide(coarse.array.shape, fine.array.shape)
    np.testing.assert_allclose(ratio, 1.25, atol=0.06)
    empty = [(one.array == one.array.min()).mean() for one in (fine, coarse)]
    assert empty[0] > 0.2
    assert empty[1] == pytest.approx(empty[0], abs=0.06)


def test_an_mri_that_resampling_took_a_little_below_zero_is_no_ct():
    image = phantom_la("case", (24, 24, 16), 0)[0].astype(np.float32)
    image[3, 3, 3] = -2.5
    NewScan(picture(image), LA)


def test_pancreas_has_the_trainings_numbers_once_it_is_found():
    spacing = (1.7, 1.7, 2.5)
    hu, label = phantom_pancreas("case", (120, 110, 24), spacing, 0)
    prepared = prepare_pancreas(hu, label, spacing)
    assert prepared.start[0] > 0  # the crop is smaller than the scan
    scan = NewScan(picture(hu, spacing), PANCREAS)
    whole_label = SimpleITK.Resample(
        to_itk(picture(label.astype(np.uint8), spacing)),
        [int(side * step) for side, step in zip(label.shape, spacing, strict=True)],
        SimpleITK.Transform(),
        SimpleITK.sitkNearestNeighbor,
        (-30.5, 12.0, 7.25),
        (1.0, 1.0, 1.0),
    )
    found = from_itk(whole_label).array > 0
    seen = scan.second_input(found)
    crop = tuple(
        slice(first, first + side)
        for first, side in zip(prepared.start, prepared.image.shape, strict=True)
    )
    np.testing.assert_allclose(seen.array[crop], prepared.image, atol=2e-3)
    first = scan.first_input().array
    assert np.abs(first[crop] - prepared.image).max() > 0.02  # so the second look was needed


@pytest.mark.parametrize("window", [None, (20.0, 200.0)])
def test_own_data_have_the_trainings_numbers_once_the_structure_is_found(window):
    image, label = phantom_la("case", (64, 60, 16), 0)
    settings = NiftiSettings(margin=4, minimum_side=24, window=window)
    prepared = prepare_custom(image, label, (1.0, 1.0, 1.0), settings)
    own = InputSpec("nifti", "LPS", True, None, nifti=vars(settings))
    seen = NewScan(picture(image), own).second_input(label).array
    crop = tuple(
        slice(first, first + side)
        for first, side in zip(prepared.start, prepared.image.shape, strict=True)
    )
    np.testing.assert_array_equal(seen[crop], prepared.image)


@pytest.mark.parametrize("window", [None, (60.0, 200.0)])
@pytest.mark.parametrize("voxel", [None, 1.5])
def test_own_data_that_were_not_cropped_have_the_trainings_numbers_at_once(window, voxel):
    image, label = phantom_la("case", (40, 36, 20), 0)
    settings = NiftiSettings(margin=None, window=window, voxel=voxel)
    prepared = prepare_custom(image, label, (1.0, 1.2, 2.0), settings)
    own = InputSpec("nifti", "LPS", True, None, nifti=vars(settings))
    scan = NewScan(picture(image, (1.0, 1.2, 2.0)), own)
    np.testing.assert_array_equal(scan.first_input().array, prepared.image)
    assert not scan.spec.is_scored_around_the_label


# Place and size


CASES = {
    "finer": ((0.5, 0.7, 0.9), LA, 1),
    "coarser": ((1.3, 0.9, 2.0), LA, 1),
    "half resolution": ((0.625,) * 3, LA, 2),
    "a third": ((0.9, 0.625, 0.625), LA, 3),
    "HU at 1 mm": ((0.8, 0.8, 1.5), PANCREAS, 1),
    "HU at 2 mm": ((0.8, 0.8, 1.5), PANCREAS, 2),  # the coarsest of all
    "brain": ((1.0, 1.0, 1.0), BRATS, 2),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("orientation", ["LPS", "ARI"])
def test_a_mask_lies_on_the_structure_whatever_the_networks_grid(case, orientation, run):
    spacing, preparation, factor = CASES[case]
    inside = np.zeros((43, 46, 39), bool)
    inside[12:30, 12:36, 6:30] = True  # whole blocks of 2 and 3 voxels
    tissue, air = (-20, -150) if preparation is PANCREAS else (30, 0)
    array = np.where(inside, 150, np.where(np.arange(39) < 34, tissue, air)).astype(np.int16)
    scan = stored_as(picture(array, spacing), orientation)
    truth = stored_as(picture(inside.astype(np.uint8), spacing), orientation)
    predictor = Predictor(run, Threshold(run, 0.9), replace(preparation, downsample=factor), CPU)
    mask = predictor.predict(scan)
    assert same_grid(mask, scan)
    assert dice(mask.array, truth.array) > 0.93
    middles = [np.argwhere(one.array).mean(axis=0) for one in (mask, truth)]
    np.testing.assert_allclose(
        *middles, rtol=0, atol=0.5 if case == "HU at 2 mm" else 0.25
    )  # voxels


def test_structures_at_the_scans_border_are_not_cut_off(run):
    """The coarse grid may end within the last voxels; they take what is nearest."""
    array = np.full((23, 21, 19), 10, np.int16)
    array[12:, 12:, 8:] = 100
    predictor = Predictor(run, Threshold(run, 0.5), replace(LA, downsample=4), CPU)
    mask = predictor.predict(picture(array, (0.625,) * 3)).array
    assert mask[-1, -1, -1] == 1
    assert dice(mask, (array == 100).astype(np.uint8)) > 0.98


def test_outside_the_brains_box_nothing_is_found(run):
    flair = phantom_brats2019("case", (48, 56, 40), 0)[0]["flair"]
    predictor = Predictor(run, Threshold(run, -100.0), BRATS, CPU)
    mask = predictor.predict(picture(flair)).array.astype(bool)
    label_free = np.zeros_like(flair, dtype=np.uint8)
    prepared = prepare_brats(flair, label_free)
    box = np.zeros(flair.shape, bool)
    box[
        tuple(
            slice(first, first + side)
            for first, side in zip(prepared.start, prepared.image.shape, strict=True)
        )
    ] = True
    np.testing.assert_array_equal(mask, box)


def test_the_largest_component_is_found_on_the_scans_own_grid(run):
    run = replace(run, inference=replace(run.inference, largest_component=True))
    array = np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)
    half = replace(LA, downsample=2)
    mask = Predictor(run, Threshold(run, 0.0), half, CPU).predict(picture(array, (0.625,) * 3))
    found = mask.array == 1
    assert found.any()
    np.testing.assert_array_equal(found, largest_component(found))


@pytest.mark.slow
def test_a_stride_wider_than_the_patch_is_refused_before_any_scan(folder):
    with pytest.raises(ValueError, match=r"stride = \[99, 8, 8\]: allowed are at most the sides"):
        Predictor.from_file(ModelFile(folder / "run/model.pt", "cpu", (99, 8, 8)))


# What cannot be predicted


def test_a_scan_of_another_modality_is_refused():
    mri = phantom_la("case", (24, 24, 16), 0)[0]
    flair = phantom_brats2019("c", (24, 24, 24), 0)[0]["flair"]
    hu = phantom_pancreas("case", (40, 36, 20), (0.8, 0.8, 1.2), 0)[0]
    own = InputSpec("nifti", "LPS", True, None, nifti=vars(NiftiSettings(window=(400.0, 900.0))))
    refusals: list[tuple[np.ndarray, InputSpec, str]] = [
        (hu, LA, r"run from -\d+ to \d+, but training is on MRI"),
        (hu, BRATS, "is it a CT"),
        (mri + np.uint8(1), BRATS, "strip the skull"),
        (mri, PANCREAS, "training is on CT in HU"),
        (hu + np.int16(1024), PANCREAS, "slope and intercept"),
        (mri, own, "none lies in the window from 400 to 900"),
        (np.zeros((20, 20, 20)), LA, "constant"),
    ]
    for array, preparation, message in refusals:
        with pytest.raises(ValueError, match=message):
            NewScan(picture(array, (0.8, 0.8, 1.2)), preparation)
    for array, preparation in ((mri, LA), (flair, BRATS), (hu, PANCREAS)):
        NewScan(picture(array, (0.8, 0.8, 1.2)), preparation)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nrrd"])
@pytest.mark.parametrize("shape", [(8, 9), (4, 8, 9, 10)])
def test_scans_of_two_or_four_dimensions_are_refused_by_name(name, shape, tmp_path):
    image = SimpleITK.GetImageFromArray(np.zeros(shape, np.int16), isVector=False)
    SimpleITK.WriteImage(image, str(tmp_path / name))
    with pytest.raises(ValueError, match=rf"{name}: .*(is not a 3D image|no stack of slices)"):
        read_scan(tmp_path / name)


def test_an_older_model_says_what_it_lacks(folder, tmp_path):
    run, method, _ = load_model(folder / "run/model.pt")
    save_model(tmp_path / "model.pt", run, {"last": method.state_dict()})
    with pytest.raises(ValueError, match=r"model\.pt: lacks how its training scans were prepared"):
        Predictor.from_file(ModelFile(tmp_path / "model.pt"))


def test_a_model_file_brings_back_how_its_scans_were_prepared(folder):
    spec = load_model(folder / "run/model.pt").input_spec
    done = "LA: z-score of the whole scan, crop in x and y"
    assert spec == InputSpec("la", "LPS", True, (0.625, 0.625, 0.625), preprocessing=done)


def test_what_a_user_should_know_depends_on_the_preparation(run):
    def warning(spec: InputSpec) -> str:
        return Predictor(run, Threshold(run, 0.0), spec, CPU).warning()

    for centred in (LA, PANCREAS):
        assert "crops around the label" in warning(centred)
    assert warning(BRATS) == ""
    assert "LPS is assumed" in warning(replace(BRATS, orientation_known=False))


# Files


def test_a_runs_folder_and_a_model_file_mean_the_model(folder):
    model = folder / "run/model.pt"
    for path in (folder / "run", model):
        assert model_file(path, "last") == model
    with pytest.raises(ValueError, match=r"model\.pt: .* this run has the selections last"):
        Predictor.from_file(ModelFile(model, selection="best_on_test"))
    with pytest.raises(FileNotFoundError, match="give a run's folder"):
        model_file(folder / "raw", "last")


@pytest.fixture
def scans(tmp_path) -> Callable[..., list[Path]]:
    def make(*names: str) -> list[Path]:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return [tmp_path / name for name in names]

    return make


def test_masks_of_several_scans_are_named_after_them(scans, tmp_path):
    found = mask_files(scans("a.b.nii.gz", "c.nrrd", "D.NII"), tmp_path / "masks")
    assert [path.name for path in found] == ["a.b.nii.gz", "c.nii.gz", "D.nii.gz"]


def test_a_mask_never_replaces_a_scan(scans, tmp_path):
    (scan,) = scans("scan.nii.gz")
    (tmp_path / "link.nii.gz").symlink_to(scan)
    for output in (scan, tmp_path, tmp_path / "link.nii.gz", tmp_path / "masks/../scan.nii.gz"):
        (tmp_path / "masks").mkdir(exist_ok=True)
        with pytest.raises(ValueError, match="would replace a scan"):
            mask_files([scan], output)


def test_places_that_cannot_hold_the_masks_are_refused(scans, tmp_path):
    a, b = scans("a.nii.gz", "b.nii.gz")
    for inputs, output, message in (
        ([a, b], tmp_path / "mask.nii.gz", "2 scans need a folder"),
        ([a, b], b, "2 scans need a folder"),
        ([a], tmp_path / "mask.mha", "allowed are a folder, and files .nii"),
    ):
        with pytest.raises(ValueError, match=message):
            mask_files(inputs, output)


@pytest.mark.parametrize("name", ["mask.nii", "mask.nii.gz", "mask.nrrd"])
def test_a_mask_is_written_with_the_scans_geometry(name, trained, phantom, tmp_path):
    tilted = stored_as(phantom, "PIR")
    mask = trained.predict(tilted)
    write_image(tmp_path / name, mask)
    again = read_scan(tmp_path / name)
    np.testing.assert_array_equal(again.array, mask.array)
    np.testing.assert_allclose(again.origin, tilted.origin, atol=1e-4)
    np.testing.assert_allclose(again.direction, tilted.direction, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [name]
