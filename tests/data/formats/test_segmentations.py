"""DICOM segmentation objects come to the voxels of their CT, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.formats.images import from_itk, to_itk
from sgrs_core.data.formats.segmentations import read_segmentation, segmentation_file
from sgrs_core.phantoms.pancreas import phantom_pancreas, write_phantom_pancreas
from tests.data.segmentations import write_segmentation

SHAPE, SPACING, SEED = (40, 36, 20), (0.8, 0.7, 1.2), 3
SCAN, PATIENT = "image0001", "PANCREAS_0001"


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> Path:
    """The folder of a CT's files, whose rows run to the front."""
    root = tmp_path_factory.mktemp("CT é")
    write_phantom_pancreas(root, SCAN, SHAPE, SPACING, SEED)
    return root / PATIENT


def as_stored(mask):
    """A phantom's mask (X, Y, Z) with its slices' rows as the CT's files have them."""
    return np.ascontiguousarray(mask[:, ::-1].transpose(2, 1, 0))


@pytest.fixture
def label():
    return phantom_pancreas(SCAN, SHAPE, SPACING, SEED)[1]


@pytest.fixture
def written(ct, label, tmp_path) -> Path:
    """A segmentation in a folder of its own."""
    write_segmentation(tmp_path / "seg" / "a.dcm", ct, as_stored(label)[None])
    return tmp_path / "seg" / "a.dcm"


def stored_as(image: PlacedImage, order: str) -> PlacedImage:
    return from_itk(SimpleITK.DICOMOrient(to_itk(image), order))


@pytest.mark.parametrize("order", ["LPS", "LAI", "RAS", "SLP"])
def test_a_mask_lies_on_the_cts_voxels_in_whatever_order_they_are_wanted(order, ct, label, written):
    like = stored_as(read_scan(ct), order)
    mask = read_segmentation(written, like)
    found = stored_as(mask, "LPS").array
    np.testing.assert_array_equal(found, label)
    assert mask.direction == like.direction
    assert mask.origin == like.origin


def test_slices_that_the_file_leaves_out_are_empty(ct, tmp_path):
    mask = np.zeros(SHAPE[::-1], bool)
    mask[4, 3:9, 5:20] = mask[7, 10:12, 30:] = True  # and nothing between them
    write_segmentation(tmp_path / "a.dcm", ct, mask[None])
    found = read_segmentation(tmp_path / "a.dcm", stored_as(read_scan(ct), "LAS"))
    np.testing.assert_array_equal(found.array.T, mask)


def test_each_segment_has_its_number(ct, tmp_path):
    masks = np.zeros((2, *SHAPE[::-1]), bool)
    masks[0, 4:6, 3:9, 5:20] = masks[1, 8, 3:9, 5:20] = True
    write_segmentation(tmp_path / "a.dcm", ct, masks)
    found = read_segmentation(tmp_path / "a.dcm", read_scan(ct)).array
    counts = np.bincount(found.ravel()).tolist()
    assert counts == [found.size - masks.sum(), masks[0].sum(), masks[1].sum()]


def moved(image: PlacedImage) -> PlacedImage:
    return image._replace(origin=image.position((0.5, 0, 0)))


def stretched(image: PlacedImage) -> PlacedImage:
    return image._replace(spacing=(0.8, 0.7, 1.25))


def cropped(image: PlacedImage) -> PlacedImage:
    return image._replace(array=image.array[: SHAPE[0] // 2])


@pytest.mark.parametrize("change", [moved, stretched, cropped])
def test_another_scans_segmentation_is_refused(change, ct, written):
    with pytest.raises(ValueError, match=r"a\.dcm: does not lie on the voxels of its CT"):
        read_segmentation(written, change(read_scan(ct)))


@pytest.mark.parametrize("kept", [0, 10, 200, 0.6, 0.95])
def test_a_damaged_segmentation_is_named(kept, ct, written):
    content = written.read_bytes()
    written.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(ValueError, match=r"a\.dcm: no readable DICOM segmentation"):
        read_segmentation(written, read_scan(ct))


def test_a_ct_slice_is_no_segmentation(ct):
    file = next(ct.glob("*.dcm"))
    with pytest.raises(ValueError, match=rf"{file.name}: no readable DICOM segmentation"):
        read_segmentation(file, read_scan(ct))


def test_a_folder_must_hold_one_segmentation(written):
    assert segmentation_file(written.parent) == written
    with pytest.raises(FileNotFoundError, match=r"none: no DICOM segmentation"):
        segmentation_file(written.parent / "none")
    (written.parent / "b.dcm").write_bytes(b"")
    with pytest.raises(ValueError, match="seg: expected one DICOM segmentation, found 2"):
        segmentation_file(written.parent)
