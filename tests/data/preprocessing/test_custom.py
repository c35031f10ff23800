"""A data set of one's own in NIfTI files."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.preprocessing.custom import prepare
from sgrs_core.experiment.settings import NiftiSettings

SPACING, ORIGIN = (1.0, 1.5, 2.0), (10.0, -20.0, 30.0)
WHOLE = NiftiSettings(foreground=(2, 4), margin=None)


def write(root: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    for folder, array in (("images", image), ("labels", label)):
        picture = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
        picture.SetSpacing(SPACING)
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


def test_voxels_can_be_resampled(scan, tmp_path):
    settings = NiftiSettings(foreground=(2, 4), voxel=1.0, margin=None)
    volume = prepare(tmp_path, "scan é 1", settings)
    assert volume.image.shape == (12, 15, 16)
    assert volume.spacing == (1.0, 1.0, 1.0)


def test_a_label_without_foreground_is_named_with_the_values_it_has(scan, tmp_path):
    settings = NiftiSettings(foreground=(9,))
    with pytest.raises(ValueError, match=r"labels/scan é 1.nii.gz: none of .*\[0, 1, 2, 3, 4\]"):
        prepare(tmp_path, "scan é 1", settings)


def test_a_label_on_another_grid_is_refused(scan, tmp_path):
    file = tmp_path / "labels/scan é 1.nii.gz"
    picture = SimpleITK.ReadImage(str(file))
    picture.SetOrigin((11.0, -20.0, 30.0))
    SimpleITK.WriteImage(picture, str(file))
    with pytest.raises(ValueError, match="scan é 1: origin of"):
        prepare(tmp_path, "scan é 1", WHOLE)


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
