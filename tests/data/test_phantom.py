import numpy as np
import SimpleITK
from scipy.ndimage import label as components

from sgrs_core.data.left_atrium import read_raw_la
from sgrs_core.data.phantom import SPACING, phantom_la, write_phantom_la

SHAPE = (64, 64, 32)


def test_a_phantom_follows_from_seed_and_name():
    image, label = phantom_la("a", SHAPE, seed=1)
    again = phantom_la("a", SHAPE, seed=1)
    assert np.array_equal(image, again[0])
    assert np.array_equal(label, again[1])
    for other in (phantom_la("b", SHAPE, seed=1), phantom_la("a", SHAPE, seed=2)):
        assert not np.array_equal(label, other[1])


def test_a_phantom_is_written_in_the_challenges_layout(tmp_path):
    folder = tmp_path / "ΑΒ case"
    write_phantom_la(folder, "case", SHAPE, seed=1)
    image, label = phantom_la("case", SHAPE, seed=1)
    read = read_raw_la(folder)
    assert np.array_equal(read.image, image)
    assert np.array_equal(read.label, label)
    assert read.spacing == SPACING
    stored = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "laendo.nrrd")))
    assert set(np.unique(stored)) == {0, 255}


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
