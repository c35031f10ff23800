"""The organisers' format of BraTS2019."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.preprocessing.brats2019 import prepare
from sgrs_core.data.preprocessing.common import brain_box, prepare_brats
from sgrs_core.phantoms.brats2019 import phantom_brats2019, write_phantom_brats2019

SHAPE, SEED = (40, 48, 36), 3
SCAN = "BraTS19_CBICA_AAP_1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_phantom_brats2019(tmp_path, SCAN, shape=SHAPE, seed=SEED)
    return tmp_path


@pytest.mark.parametrize("grade", ["HGG", "LGG"])
def test_a_scan_of_either_grade_is_the_published_preparation_of_its_arrays(grade, tmp_path):
    write_phantom_brats2019(tmp_path / "a b", SCAN, shape=SHAPE, seed=SEED, grade=grade)
    volume = prepare(tmp_path / "a b", SCAN)
    modalities, segmentation = phantom_brats2019(SCAN, SHAPE, SEED)
    expected = prepare_brats(modalities["flair"], segmentation)
    np.testing.assert_array_equal(volume.image, expected.image)
    np.testing.assert_array_equal(volume.label, segmentation[brain_box(modalities["flair"])] > 0)
    assert volume.spacing == (1.0, 1.0, 1.0)


ARCHIVE = "MICCAI_BraTS_2019_Data_Training"


@pytest.mark.parametrize("grade", ["HGG", "LGG"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("folder", [".", ARCHIVE, f"{ARCHIVE}/{ARCHIVE}"])
def test_copies_of_the_archive_are_read_as_people_have_them(
    folder, suffix, grade, root, tmp_path_factory
):
    """Kaggle's copy has the archive's folder twice, and its files are not always packed."""
    other = tmp_path_factory.mktemp("copy")
    scan = other / folder / grade / SCAN
    scan.mkdir(parents=True)
    for file in (root / "HGG" / SCAN).glob("*.nii.gz"):
        content = file.read_bytes()
        content = content if suffix == ".nii.gz" else gzip.decompress(content)
        (scan / file.name.replace(".nii.gz", suffix)).write_bytes(content)
    expected, found = prepare(root, SCAN), prepare(other, SCAN)
    np.testing.assert_array_equal(found.image, expected.image)
    np.testing.assert_array_equal(found.label, expected.label)


def test_of_a_file_that_is_there_packed_and_unpacked_one_is_read_and_recorded(root):
    """ITK takes the unpacked one's voxels, even with the packed one's header."""
    packed = root / "HGG" / SCAN / f"{SCAN}_flair.nii.gz"
    content = gzip.decompress(packed.read_bytes())
    packed.with_suffix("").write_bytes(content)
    told = prepare(root, SCAN).provenance
    assert told[f"sha256 {SCAN}_flair.nii"] == hashlib.sha256(content).hexdigest()
    packed.with_suffix("").write_bytes(content[:-500])
    with pytest.raises(ValueError, match=rf"{SCAN}_flair\.nii: .*cut off"):
        prepare(root, SCAN)


def test_the_crop_keeps_its_place_in_the_patient(root):
    volume = prepare(root, SCAN)
    picture = SimpleITK.ReadImage(str(root / "HGG" / SCAN / f"{SCAN}_seg.nii.gz"))
    flair = phantom_brats2019(SCAN, SHAPE, SEED)[0]["flair"]
    start = [side.start for side in brain_box(flair)]
    np.testing.assert_allclose(volume.origin, picture.TransformIndexToPhysicalPoint(start))
    assert volume.direction == picture.GetDirection()


def test_the_histogram_is_that_of_the_files_own_number_type(root):
    """As floating point the image has 256 bins, as whole numbers one bin a value."""
    flair, segmentation = phantom_brats2019(SCAN, SHAPE, SEED)
    as_float = prepare_brats(flair["flair"].astype(np.float32), segmentation)
    assert not np.array_equal(prepare(root, SCAN).image, as_float.image)


@pytest.mark.parametrize("part", ["flair", "seg"])
def test_a_missing_or_truncated_file_is_named(part, root):
    file = root / "HGG" / SCAN / f"{SCAN}_{part}.nii.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-500]))
    with pytest.raises(ValueError, match=rf"{file.name}: .*cut off"):
        prepare(root, SCAN)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=file.name):
        prepare(root, SCAN)


def test_a_segmentation_of_another_scan_is_refused(root):
    file = root / "HGG" / SCAN / f"{SCAN}_seg.nii.gz"
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(file))[:-1], str(file))
    with pytest.raises(ValueError, match=rf"{SCAN}: shape of {SCAN}_flair"):
        prepare(root, SCAN)


@pytest.mark.parametrize("other", [3, 7])
def test_a_segmentation_of_other_classes_is_refused(other, root):
    file = root / "HGG" / SCAN / f"{SCAN}_seg.nii.gz"
    segmentation = SimpleITK.ReadImage(str(file))
    segmentation[20, 20, 20] = other
    SimpleITK.WriteImage(segmentation, str(file))
    with pytest.raises(ValueError, match=rf"{SCAN}_seg.nii.gz: label values .* 0 and 1, 2, 4; is"):
        prepare(root, SCAN)


def test_a_scan_without_a_brain_is_refused_by_name(root):
    file = root / "HGG" / SCAN / f"{SCAN}_flair.nii.gz"
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(file)) * 0, str(file))
    with pytest.raises(ValueError, match=rf"{SCAN}: the FLAIR image is zero everywhere"):
        prepare(root, SCAN)


def change_flair(root: Path, change) -> None:
    file = root / "HGG" / SCAN / f"{SCAN}_flair.nii.gz"
    image = SimpleITK.ReadImage(str(file))
    array = change(SimpleITK.GetArrayFromImage(image).astype(np.int32))
    changed = SimpleITK.GetImageFromArray(array)
    changed.CopyInformation(image)
    SimpleITK.WriteImage(changed, str(file))


def test_a_scan_with_a_skull_is_refused_as_prediction_refuses_it(root):
    change_flair(root, lambda array: array + 5)
    with pytest.raises(ValueError, match=rf"{SCAN}: 0.0% of its voxels are 0, .* strip the skull"):
        prepare(root, SCAN)


def test_one_voxel_of_the_largest_integer_is_refused_before_its_histogram(root):
    def change(array):
        array[5, 6, 7] = 2**31 - 1
        return array

    change_flair(root, change)
    with pytest.raises(ValueError, match=rf"{SCAN}_flair.nii.gz: values run from"):
        prepare(root, SCAN)


def test_integers_too_many_to_count_each_are_clipped_as_floating_point_is(root):
    flair, segmentation = phantom_brats2019(SCAN, SHAPE, SEED)
    change_flair(root, lambda array: array * 400_000)
    expected = prepare_brats(flair["flair"].astype(np.float64), segmentation).image
    np.testing.assert_allclose(prepare(root, SCAN).image, expected, atol=1e-4)


def test_provenance_names_both_files(root):
    told = prepare(root, SCAN).provenance
    assert {f"sha256 {SCAN}_flair.nii.gz", f"sha256 {SCAN}_seg.nii.gz"} <= told.keys()
