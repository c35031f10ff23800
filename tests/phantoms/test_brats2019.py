import numpy as np
import pytest
import SimpleITK
from scipy.ndimage import label as components

from sgrs_core.phantoms.brats2019 import phantom_brats2019, write_phantom_brats2019

SHAPE = (64, 64, 40)
MODALITIES = ("flair", "t1", "t1ce", "t2")
NAMES = ("BraTS19_CBICA_AAP_1", "phantom_train_000", "c", "d")


def test_a_phantom_follows_from_seed_and_name():
    modalities, segmentation = phantom_brats2019("a", SHAPE, seed=1)
    again = phantom_brats2019("a", SHAPE, seed=1)
    assert tuple(modalities) == MODALITIES
    for modality in MODALITIES:
        assert modalities[modality].dtype == np.int16
        assert np.array_equal(modalities[modality], again[0][modality])
    assert np.array_equal(segmentation, again[1])
    for name, seed in (("b", 1), ("a", 2)):
        assert not np.array_equal(segmentation, phantom_brats2019(name, SHAPE, seed)[1])


@pytest.mark.parametrize(("options", "grade"), [({}, "HGG"), ({"grade": "LGG"}, "LGG")])
def test_a_phantom_is_written_in_the_challenges_layout(tmp_path, options, grade):
    write_phantom_brats2019(tmp_path, "é_1", SHAPE, seed=1, **options)
    modalities, segmentation = phantom_brats2019("é_1", SHAPE, seed=1)
    for part, expected in (modalities | {"seg": segmentation}).items():
        picture = SimpleITK.ReadImage(str(tmp_path / grade / "é_1" / f"é_1_{part}.nii.gz"))
        stored = SimpleITK.GetArrayFromImage(picture).transpose(2, 1, 0)
        assert picture.GetPixelID() == SimpleITK.sitkInt16
        assert np.array_equal(stored, expected)
        assert picture.GetSpacing() == (1, 1, 1)
        assert picture.GetOrigin() == (0, -239, 0)
        np.testing.assert_array_equal(picture.GetDirection(), np.eye(3).ravel())
    assert len(list(tmp_path.rglob("*.*"))) == 5


@pytest.mark.parametrize("name", NAMES)
def test_the_tumour_is_mostly_one_piece_of_3_to_12_per_cent_of_the_brain(name):
    modalities, segmentation = phantom_brats2019(name, SHAPE, seed=3)
    pieces, _ = components(segmentation > 0)
    brain = modalities["flair"] > 0
    assert set(np.unique(segmentation)) == {0, 1, 2, 4}
    assert 0.03 < (segmentation > 0).sum() / brain.sum() < 0.12
    assert np.bincount(pieces.ravel())[1:].max() > 0.8 * (segmentation > 0).sum()
    assert not (segmentation[~brain] > 0).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_background_is_exactly_zero_in_every_modality(name):
    modalities, _ = phantom_brats2019(name, SHAPE, seed=3)
    brain = modalities["flair"] > 0
    assert 0.1 < brain.mean() < 0.3
    for image in modalities.values():
        assert image.min() == 0
        assert np.array_equal(image > 0, brain)


@pytest.mark.parametrize("name", NAMES)
def test_the_classes_differ_as_in_patients(name):
    modalities, segmentation = phantom_brats2019(name, SHAPE, seed=3)
    flair, t1ce = modalities["flair"], modalities["t1ce"]
    healthy = (flair > 0) & (segmentation == 0)
    assert np.median(flair[segmentation == 2]) > 1.2 * np.median(flair[healthy])
    assert np.median(t1ce[segmentation == 4]) > 1.2 * np.median(t1ce[healthy])
    assert np.median(t1ce[segmentation == 1]) < 0.9 * np.median(t1ce[healthy])


@pytest.mark.parametrize("name", NAMES)
def test_other_tissue_is_as_bright_as_the_tumour(name):
    modalities, segmentation = phantom_brats2019(name, SHAPE, seed=3)
    flair, tumour = modalities["flair"], segmentation > 0
    for threshold in np.quantile(flair[flair > 0], np.linspace(0.5, 0.99, 50)):
        bright = flair > threshold
        assert 2 * (bright & tumour).sum() / (bright.sum() + tumour.sum()) < 0.85


@pytest.mark.parametrize("name", NAMES)
def test_the_brightest_voxels_are_few_and_far_above_the_rest(name):
    flair = phantom_brats2019(name, SHAPE, seed=3)[0]["flair"]
    clipped = np.quantile(flair, 0.999)
    assert flair.max() > 1.4 * clipped
    assert 0 < (flair > 1.2 * clipped).mean() < 0.001


def test_tumours_grow_on_either_side():
    middles = [
        np.nonzero(phantom_brats2019(f"scan {number}", (32, 32, 20), seed=3)[1])[0].mean()
        for number in range(8)
    ]
    assert min(middles) < 15.5 < max(middles)
