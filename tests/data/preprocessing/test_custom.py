"""A data set of one's own in NIfTI files."""

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.preprocessing.custom import prepare
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.new_scan import NewScan
from sgrs_core.data.preprocessing.reading import provenance
from sgrs_core.experiment.settings import NiftiSettings
from tests.data.formats.writing import affine_of, write_dicom, write_itk, write_nifti

SPACING, ORIGIN = (1.0, 1.5, 2.0), (10.0, -20.0, 30.0)
WHOLE = NiftiSettings(foreground=(2, 4), margin=None)


def write(
    root: Path,
    name: str,
    image: np.ndarray,
    label: np.ndarray,
    spacing: tuple[float, ...] = SPACING,
) -> None:
    for folder, array in (("images", image), ("labels", label)):
        picture = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
        picture.SetSpacing(spacing)
        picture.SetOrigin(ORIGIN)
        (root / folder).mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(picture, str(root / folder / f"{name}.nii.gz"))


@pytest.fixture
def scan(tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    image = generator.normal(100, 20, (12, 10, 8)).astype(np.float32)
    label = generator.integers(0, 5, image.shape).astype(np.uint8)
    write(tmp_path, "scan é 1", image, label)
    return image, label


def test_the_named_classes_are_the_foreground(scan, tmp_path):
    volume = prepare(tmp_path, "scan é 1", WHOLE)
    np.testing.assert_array_equal(volume.label, np.isin(scan[1], (2, 4)))
    np.testing.assert_allclose(volume.image.mean(), 0, atol=1e-5)
    np.testing.assert_allclose(volume.image.std(), 1, atol=1e-4)
    assert (volume.spacing, volume.origin) == (SPACING, ORIGIN)


ORDERS = [
    "".join(pair[sign] for pair, sign in zip(order, signs, strict=True))
    for order in permutations(("LR", "PA", "SI"))
    for signs in product((0, 1), repeat=3)
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_label_stored_in_any_order_of_axes_is_put_back(order, scan, tmp_path):
    file = tmp_path / "labels/scan é 1.nii.gz"
    turned = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(file)), order)
    SimpleITK.WriteImage(turned, str(file))
    volume = prepare(tmp_path, "scan é 1", WHOLE)
    np.testing.assert_array_equal(volume.label, np.isin(scan[1], (2, 4)))


def test_stored_values_of_a_ct_without_its_intercept_are_refused(scan):
    stored = PlacedImage((scan[0] + 1024).clip(0, 4095))
    check_modality(stored, "nifti", (0.0, 2000.0))
    with pytest.raises(ValueError, match=r"window from -125 to 275 .* begins below 0; is it in HU"):
        check_modality(stored, "nifti", (-125.0, 275.0))


def test_provenance_tells_files_apart_by_as_many_folders_as_it_takes(tmp_path):
    files = [tmp_path / part / "case/scan.nii.gz" for part in ("images", "labels")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    names = [name for name in provenance(files, "none") if name.startswith("sha256")]
    assert names == ["sha256 images/case/scan.nii.gz", "sha256 labels/case/scan.nii.gz"]


def test_provenance_has_image_and_label_though_their_names_are_one(scan, tmp_path):
    told = prepare(tmp_path, "scan é 1", WHOLE).provenance
    digests = {told[f"sha256 {folder}/scan é 1.nii.gz"] for folder in ("images", "labels")}
    assert len(digests) == 2


def test_voxels_can_be_resampled(scan, tmp_path):
    settings = NiftiSettings(foreground=(2, 4), voxel=1.0, margin=None)
    volume = prepare(tmp_path, "scan é 1", settings)
    assert volume.image.shape == (12, 15, 16)
    assert volume.spacing == (1.0, 1.0, 1.0)


def test_a_label_without_foreground_is_named_with_the_values_it_has(scan, tmp_path):
    settings = NiftiSettings(foreground=(9,))
    message = r"scan é 1.nii.gz: none of .*\[0, 1, 2, 3, 4\] is among nifti.foreground = \[9\]; "
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path, "scan é 1", settings)


def test_a_label_on_another_grid_is_refused(scan, tmp_path):
    file = tmp_path / "labels/scan é 1.nii.gz"
    picture = SimpleITK.ReadImage(str(file))
    picture.SetOrigin((11.0, -20.0, 30.0))
    SimpleITK.WriteImage(picture, str(file))
    with pytest.raises(ValueError, match="scan é 1: origin of"):
        prepare(tmp_path, "scan é 1", WHOLE)


def turn(file: Path, order: str) -> None:
    image = SimpleITK.ReadImage(str(file))
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(image, order), str(file))


@pytest.mark.parametrize("order", ORDERS)
def test_a_scan_is_prepared_alike_in_whatever_order_its_axes_are_stored(order, scan, tmp_path):
    settings = NiftiSettings(foreground=(2, 4), voxel=0.9, margin=1, minimum_side=4)
    before = prepare(tmp_path, "scan é 1", settings)
    turn(tmp_path / "images/scan é 1.nii.gz", order)
    after = prepare(tmp_path, "scan é 1", settings)
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_array_equal(after.label, before.label)
    np.testing.assert_allclose(after.origin, before.origin, atol=1e-4)
    assert after.direction == before.direction


def test_beyond_the_last_thick_slice_there_is_what_the_scan_has_there(tmp_path):
    image = np.full((12, 10, 8), -1000, np.int16)
    image[3:9, 3:8, 2:6] = 40
    label = (image == 40).astype(np.uint8)
    label[4, 4, :] = 1
    write(tmp_path, "air", image, label, (1.0, 1.0, 5.0))
    settings = NiftiSettings(voxel=1.0, margin=None, window=(-1100.0, 300.0))
    volume = prepare(tmp_path, "air", settings)
    assert volume.image.shape[2] == 40
    np.testing.assert_allclose(volume.image[0, 0], volume.image[0, 0, 0], atol=1e-3)
    assert volume.label[4, 4, :].all()


def test_a_scan_may_be_a_dicom_series_with_a_label_in_nrrd(scan, tmp_path):
    array = scan[0].astype(np.int16)
    affine = affine_of(SPACING, ORIGIN, np.eye(3))
    files = write_dicom(tmp_path / "images/one", array, affine)
    write_itk(tmp_path / "labels/one.nrrd", scan[1], affine)
    settings = NiftiSettings(
        images="images/{scan}", labels="labels/{scan}.nrrd", foreground=(2, 4), margin=None
    )
    volume = prepare(tmp_path, "one", settings)
    np.testing.assert_array_equal(volume.label, np.isin(scan[1], (2, 4)))
    assert "sha256 one.nrrd" in volume.provenance
    before = volume.provenance["sha256 one"]
    files[-1].write_bytes(files[-1].read_bytes() + b"\0\0")
    assert prepare(tmp_path, "one", settings).provenance["sha256 one"] != before


def test_a_label_of_fractions_is_what_is_at_least_one_half(scan, tmp_path, caplog):
    soft = np.linspace(0, 1, scan[0].size).reshape(scan[0].shape).astype(np.float32)
    write(tmp_path, "scan é 1", scan[0], soft)
    volume = prepare(tmp_path, "scan é 1", NiftiSettings(margin=None))
    np.testing.assert_array_equal(volume.label, soft >= 0.5)
    assert "at least 0.5" in caplog.text


def test_a_scan_for_which_memory_does_not_suffice_is_named(scan, tmp_path):
    write(tmp_path, "large", *scan, (90.0, 90.0, 90.0))
    with pytest.raises(ValueError, match=r"large\.nii\.gz: .*[Mm]emory") as told:
        prepare(tmp_path, "large", NiftiSettings(voxel=0.02, margin=None))
    assert "\n" not in str(told.value)


def test_voxels_so_small_that_they_cannot_be_counted_are_refused(scan, tmp_path):
    write(tmp_path, "large", *scan)
    with pytest.raises(ValueError, match=r"large\.nii\.gz: in voxels of 1e-09 mm .*; choose"):
        prepare(tmp_path, "large", NiftiSettings(voxel=1e-9, margin=None))


def test_a_structure_thinner_than_the_new_voxels_is_said_to_be_lost(scan, tmp_path):
    thin = np.zeros(scan[0].shape, np.uint8)
    thin[1, 1, 1] = 1
    write(tmp_path, "scan é 1", scan[0], thin)
    with pytest.raises(ValueError, match=r"scan é 1\.nii\.gz: .* resampled to 4 mm: .* thinner"):
        prepare(tmp_path, "scan é 1", NiftiSettings(voxel=4.0))


def test_a_label_that_is_not_used_may_be_missing_or_mark_nothing(scan, tmp_path, caplog):
    write(tmp_path, "empty", scan[0], np.zeros_like(scan[1]))
    write(tmp_path, "none", scan[0], scan[1])
    (tmp_path / "labels/none.nii.gz").unlink()
    told = (
        "marks nothing, so the scan is cropped to the body, unlike those that are cropped to their "
        "labels; nifti.crop: body crops all alike"
    )
    for name in ("empty", "none"):
        volume = prepare(tmp_path, name, NiftiSettings(margin=2), label_is_used=False)
        assert volume.label is None
        assert caplog.messages == [f"empty: {tmp_path}/labels/empty.nii.gz {told}"]
        with pytest.raises((ValueError, FileNotFoundError), match=rf"labels/{name}\.nii\.gz"):
            prepare(tmp_path, name, NiftiSettings(margin=2))


def body(shape=(40, 36, 12)) -> np.ndarray:
    """Tissue in air, with something small and bright beside it that is no part of the body."""
    image = np.random.default_rng(0).normal(-1000, 10, shape)
    image[12:26, 10:30] += 1050
    image[2:4, 2:4, 2:4] = 500
    return image.astype(np.float32)


@pytest.mark.parametrize("voxel", [None, 1.3])
@pytest.mark.parametrize("window", [None, (-200.0, 300.0)])
def test_a_crop_to_the_body_is_the_same_for_scans_with_and_without_a_label_and_for_new_ones(
    voxel, window, tmp_path
):
    label = np.zeros((40, 36, 12), np.uint8)
    label[14:17, 12:15, 3:6] = 1
    write(tmp_path, "with", body(), label, (1.0, 1.0, 1.0))
    write(tmp_path, "without", body(), label, (1.0, 1.0, 1.0))
    (tmp_path / "labels/without.nii.gz").unlink()
    settings = NiftiSettings(voxel=voxel, window=window, crop="body", margin=2, minimum_side=4)
    labelled = prepare(tmp_path, "with", settings)
    unlabelled = prepare(tmp_path, "without", settings, label_is_used=False)
    np.testing.assert_array_equal(labelled.image, unlabelled.image)
    assert labelled.mask.any()
    if voxel is None:
        assert labelled.image.shape == (14 - 1 + 2 * 2, 20 - 1 + 2 * 2, 12)

    scan = read_scan(tmp_path / "images/without.nii.gz")
    new = NewScan(scan, InputSpec("nifti", "LPS", True, None, nifti=vars(settings)))
    assert not new.spec.is_scored_around_the_label
    seen = new.first_input()
    np.testing.assert_array_equal(seen.array, labelled.image)
    np.testing.assert_allclose(seen.origin, labelled.origin, atol=1e-5)
    assert not new.is_seen_whole


ROUGH = np.random.default_rng(1).normal(100, 20, (12, 10, 8))
UNFIT = {
    "NaN": np.where(np.indices(ROUGH.shape)[0] == 3, np.nan, ROUGH),
    "one voxel of 1e200": np.where(np.arange(ROUGH.size).reshape(ROUGH.shape) == 77, 1e200, ROUGH),
    "complex": ROUGH.astype(np.complex64),
    "constant": np.full(ROUGH.shape, 7.0),
    "outside the window": ROUGH + 5000,
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_preparation_refuses_prediction_refuses_too(what, scan, tmp_path):
    settings = NiftiSettings(margin=None, window=(0.0, 1000.0))
    file = tmp_path / "images/bad.nii"
    write_nifti(file, UNFIT[what], affine_of(SPACING, ORIGIN, np.eye(3)))
    write_nifti(
        tmp_path / "labels/bad.nii",
        (scan[1] > 2).astype(np.uint8),
        affine_of(SPACING, ORIGIN, np.eye(3)),
    )
    own = replace(settings, images="images/{scan}.nii", labels="labels/{scan}.nii")
    with pytest.raises(ValueError, match="bad"):
        prepare(tmp_path, "bad", own)
    spec = InputSpec("nifti", "LPS", True, None, nifti=vars(settings))
    with pytest.raises(ValueError, match=r"bad|intensities"):
        NewScan(read_scan(file), spec)


@pytest.mark.parametrize("padding", [-32768, -2000])
def test_padding_far_below_all_else_is_refused_where_no_window_clips_it(padding, scan, tmp_path):
    image, label = scan
    image[:2] = padding
    write(tmp_path, "padded", image, label)
    with pytest.raises(ValueError, match=rf"padded\.nii\.gz: 160 of its voxels are {padding}"):
        prepare(tmp_path, "padded", WHOLE)
    prepare(tmp_path, "padded", replace(WHOLE, window=(0.0, 200.0)))
    with pytest.raises(ValueError, match="padding"):
        check_modality(PlacedImage(image), "nifti")


def test_air_around_a_body_in_hu_is_no_padding(scan):
    image, _ = scan
    image[:2] = -1024
    check_modality(PlacedImage(image), "nifti")


def test_a_scan_that_begins_far_below_the_trainings_is_refused(scan):
    mri = np.abs(scan[0])
    ct = np.concatenate([mri, mri - 1000])
    for training, other in ((mri, -mri), (mri, ct), (ct, np.concatenate([ct, 0 * mri - 1500]))):
        least = float(training.min())
        check_modality(PlacedImage(training), "nifti", least=least)
        check_modality(PlacedImage(other), "nifti")
        with pytest.raises(ValueError, match=f"but training's begin at {least:g}; is it padding"):
            check_modality(PlacedImage(other), "nifti", least=least)


def test_a_prepared_scan_says_what_its_intensities_began_at(scan, tmp_path):
    told = prepare(tmp_path, "scan é 1", WHOLE).provenance["least_intensity"]
    assert float(told) == pytest.approx(scan[0].min())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"images": "a.nii"}, r"images\n.*allowed are paths with \{scan\}"),
        ({"foreground": ()}, r"foreground"),
        ({"foreground": (0, 1)}, r"foreground\n.*allowed are label values other than 0"),
        ({"voxel": 0.0}, "voxel"),
        ({"window": (3.0, 1.0)}, r"window\n.*allowed are a lowest and a higher one"),
        ({"margin": -1}, "margin"),
    ],
)
def test_settings_out_of_range_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        NiftiSettings(**keys)
