import hashlib

import numpy as np
import SimpleITK
from scipy.ndimage import label as components

from sgrs_core.phantoms.la import SPACING, phantom_la, write_phantom_la

SHAPE = (64, 64, 32)


def test_a_phantom_follows_from_seed_and_name():
    image, label = phantom_la("a", SHAPE, seed=1)
    again = phantom_la("a", SHAPE, seed=1)
    assert np.array_equal(image, again[0])
    assert np.array_equal(label, again[1])
    for other in (phantom_la("b", SHAPE, seed=1), phantom_la("a", SHAPE, seed=2)):
        assert not np.array_equal(label, other[1])


def test_the_demos_phantoms_stay_what_they_were():
    _, label = phantom_la("phantom_train_000", (48, 48, 24), seed=2025)
    digest = hashlib.sha256(np.packbits(label).tobytes()).hexdigest()
    assert digest == "20412e7de1698a34975076641068ed95c15d54ecf9b687e8db21c804f5b5aa71"


def test_a_phantom_is_written_in_the_challenges_layout(tmp_path):
    write_phantom_la(tmp_path, "ΑΒ case", SHAPE, seed=1)
    image, label = phantom_la("ΑΒ case", SHAPE, seed=1)
    for file, array in {"lgemri.nrrd": image, "laendo.nrrd": label * np.uint8(255)}.items():
        picture = SimpleITK.ReadImage(str(tmp_path / "ΑΒ case" / file))
        assert picture.GetPixelID() == SimpleITK.sitkUInt8
        assert picture.GetSpacing() == SPACING
        assert np.array_equal(SimpleITK.GetArrayFromImage(picture).transpose(2, 1, 0), array)


def test_the_atrium_is_mostly_one_piece_of_a_few_per_cent_of_the_scan():
    for number in range(5):
        _, label = phantom_la(f"scan {number}", SHAPE, seed=3)
        pieces, _ = components(label)
        assert 0.01 < label.mean() < 0.1
        assert np.bincount(pieces.ravel())[1:].max() > 0.8 * label.sum()


def test_other_chambers_are_as_bright_as_the_atrium():
    image, label = phantom_la("scan", SHAPE, seed=3)
    atrium = np.median(image[label])
    similar = np.abs(image[~label].astype(float) - atrium) < 10
    assert similar.sum() > 0.5 * label.sum()  # a threshold does not find the atrium
