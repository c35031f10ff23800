"""The challenge's format of LA, checked against SimpleITK's own geometry."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from sgrs_core.data.preprocessing.common import la_margins
from sgrs_core.data.preprocessing.la import prepare
from sgrs_core.data.volumes import read_volume, write_volume

CASE = "PHANTOM01"
SHAPE = (180, 190, 6)
SPACING = (0.625, 0.7, 1.25)
ORIGIN = (-110.5, 32.25, 7.5)
COSINE, SINE = np.cos(0.4), np.sin(0.4)
ROTATED = (COSINE, -SINE, 0.0, SINE, COSINE, 0.0, 0.0, 0.0, 1.0)
TILTED = (0.0, 0.0, 1.0, COSINE, -SINE, 0.0, SINE, COSINE, 0.0)
FILES = ("lgemri.nrrd", "laendo.nrrd")


def picture(array: NDArray[Any], direction: tuple[float, ...] = ROTATED) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction)
    return image


def phantom() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    label = np.zeros(SHAPE, np.uint8)
    label[80:110, 90:130, 2:5] = 255
    return image, label


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A folder of the challenge's layout, with spacing, origin and a rotated direction."""
    folder = tmp_path / CASE
    folder.mkdir()
    for name, array in zip(FILES, phantom(), strict=True):
        SimpleITK.WriteImage(picture(array), str(folder / name), useCompression=True)
    return folder


def replace_label(folder: Path, image: SimpleITK.Image) -> None:
    SimpleITK.WriteImage(image, str(folder / "laendo.nrrd"))


# Reading


def test_spacing_and_direction_are_kept(scan: Path) -> None:
    volume = prepare(scan.parent, CASE)

    np.testing.assert_allclose(volume.spacing, SPACING)
    np.testing.assert_allclose(volume.direction, ROTATED)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named_with_its_scan(scan: Path, name: str) -> None:
    (scan / name).unlink()

    with pytest.raises(FileNotFoundError, match=rf"{CASE}/{name}: no such file"):
        prepare(scan.parent, CASE)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.99])
def test_a_truncated_file_is_named(scan: Path, name: str, kept: float) -> None:
    content = (scan / name).read_bytes()
    (scan / name).write_bytes(content[: int(kept * len(content))])

    with pytest.raises(ValueError, match=rf"{CASE}/{name}: .*cut off"):
        prepare(scan.parent, CASE)


def test_other_label_values_are_an_error(scan: Path) -> None:
    label = phantom()[1]
    label[0, 0, 0] = 1
    replace_label(scan, picture(label))

    with pytest.raises(ValueError, match=rf"{CASE}/laendo.nrrd: label values \[0, 1, 255\]"):
        prepare(scan.parent, CASE)


def test_a_label_of_another_shape_is_an_error(scan: Path) -> None:
    replace_label(scan, picture(phantom()[1][:, :, :-1]))

    with pytest.raises(ValueError, match=rf"{CASE}: shape of lgemri.nrrd"):
        prepare(scan.parent, CASE)


@pytest.mark.parametrize("field", ["spacing", "origin", "direction"])
def test_a_label_on_another_grid_is_an_error(scan: Path, field: str) -> None:
    label = picture(phantom()[1])
    if field == "spacing":
        label.SetSpacing((0.625, 0.7, 1.0))
    elif field == "origin":
        label.SetOrigin((-110.5, 32.25, 8.125))
    else:
        label.SetDirection(TILTED)
    replace_label(scan, label)

    with pytest.raises(ValueError, match=rf"{CASE}: {field} of lgemri.nrrd"):
        prepare(scan.parent, CASE)


def test_a_colour_image_is_an_error(scan: Path) -> None:
    colours = SimpleITK.Compose([picture(phantom()[1])] * 3)
    replace_label(scan, colours)

    with pytest.raises(ValueError, match=r"laendo\.nrrd: .* not a 3D image of one channel"):
        prepare(scan.parent, CASE)


# Preparing


def test_a_prepared_scan_is_the_published_crop(scan: Path) -> None:
    volume = prepare(scan.parent, CASE)

    image, label = phantom()
    x0, x1, y0, y1 = la_margins(CASE)
    x = slice(80 - 41 - x0, 109 + 41 + x1)  # padding (112 - 29) // 2
    y = slice(90 - 36 - y0, 129 + 36 + y1)  # padding (112 - 39) // 2
    np.testing.assert_array_equal(volume.label, label[x, y] == 255)
    np.testing.assert_allclose(
        volume.image, ((image - image.mean()) / image.std())[x, y], atol=1e-5
    )


@pytest.mark.parametrize("direction", [ROTATED, TILTED])
def test_a_voxel_keeps_its_place_in_the_patient(scan: Path, direction: tuple[float, ...]) -> None:
    before = picture(phantom()[1], direction)
    for name, array in zip(FILES, phantom(), strict=True):
        SimpleITK.WriteImage(picture(array, direction), str(scan / name))

    volume = prepare(scan.parent, CASE)

    after = SimpleITK.GetImageFromArray(volume.label.transpose(2, 1, 0))
    after.SetSpacing(volume.spacing)
    after.SetOrigin(volume.origin)
    after.SetDirection(volume.direction)
    corner = tuple(int(index[0]) for index in np.nonzero(volume.label))
    assert volume.label[corner] == 1
    np.testing.assert_allclose(
        after.TransformIndexToPhysicalPoint(corner),
        before.TransformIndexToPhysicalPoint((80, 90, 2)),
        atol=1e-6,
    )


def test_preparing_twice_gives_the_same_scan(scan: Path) -> None:
    first, second = prepare(scan.parent, CASE), prepare(scan.parent, CASE)

    np.testing.assert_array_equal(first.image, second.image)
    assert first.origin == second.origin


def test_provenance_names_sources_and_margins(scan: Path) -> None:
    provenance = prepare(scan.parent, CASE).provenance

    for name in FILES:
        digest = hashlib.sha256((scan / name).read_bytes()).hexdigest()
        assert provenance[f"sha256 {name}"] == digest
    assert provenance["margins"] == " ".join(map(str, la_margins(CASE)))


def test_a_prepared_scan_survives_the_exchange_format(scan: Path, tmp_path: Path) -> None:
    volume = prepare(scan.parent, CASE)
    write_volume(tmp_path / "scan.h5", volume)

    found = read_volume(tmp_path / "scan.h5")

    np.testing.assert_array_equal(found.image, volume.image)
    assert (found.origin, found.direction) == (volume.origin, volume.direction)
    assert found.provenance == volume.provenance


def test_an_empty_label_is_an_error_that_names_the_scan(scan: Path) -> None:
    replace_label(scan, picture(np.zeros(SHAPE, np.uint8)))

    with pytest.raises(ValueError, match=rf"{CASE}: the label is zero everywhere"):
        prepare(scan.parent, CASE)
