"""TCIA's formats: CT and label meet in physical space, and a misplaced label is refused by name."""

import json
import shutil
from itertools import chain, combinations
from pathlib import Path

import h5py
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from sgrs_core.data.formats.image_files import read_label
from sgrs_core.data.preprocessing.common import prepare_pancreas
from sgrs_core.data.preprocessing.pancreas import prepare
from sgrs_core.data.volumes import write_volume
from sgrs_core.phantoms.pancreas import phantom_pancreas, write_phantom_pancreas
from tests.data.segmentations import write_segmentation

SHAPE, SPACING, SEED = (80, 72, 40), (0.8, 0.8, 1.2), 7
SCAN = "image0003"
LABEL = "TCIA_pancreas_labels-02-05-2017/label0003.nii.gz"


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("Pancreas CT é")
    for number in range(8):
        write_phantom_pancreas(root, f"image{number:04d}", SHAPE, SPACING, SEED)
    return root


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """One scan, to be damaged."""
    shutil.copytree(written / "PANCREAS_0003", tmp_path / "PANCREAS_0003")
    (tmp_path / LABEL).parent.mkdir()
    shutil.copy(written / LABEL, tmp_path / LABEL)
    return tmp_path


def change_label(root: Path, change) -> None:
    picture = SimpleITK.ReadImage(str(root / LABEL))
    array = change(SimpleITK.GetArrayFromImage(picture))
    changed = SimpleITK.GetImageFromArray(array)
    changed.CopyInformation(picture)
    SimpleITK.WriteImage(changed, str(root / LABEL))


def slices(root: Path) -> list[Path]:
    return sorted((root / "PANCREAS_0003").glob("*.dcm"))


@pytest.mark.parametrize("number", range(8))
def test_a_scan_is_the_published_preparation_of_its_arrays_whatever_its_files_store(
    number, written
):
    name = f"image{number:04d}"
    volume = prepare(written, name)

    hu, label = phantom_pancreas(name, SHAPE, SPACING, SEED)
    file = written / f"TCIA_pancreas_labels-02-05-2017/label{number:04d}.nii.gz"
    stored = read_label(file)
    turned = [axis for axis in range(3) if stored.direction[4 * axis] < 0]
    expected = prepare_pancreas(np.flip(hu, turned), np.flip(label, turned), stored.spacing)
    np.testing.assert_array_equal(volume.label, expected.label)
    np.testing.assert_allclose(volume.image, expected.image, atol=1e-4)


def test_the_phantoms_have_labels_of_both_orders_and_series_of_both_directions(written):
    directions = {
        read_label(file).direction for file in (written / Path(LABEL).parent).glob("*.nii.gz")
    }
    assert len(directions) == 2


@pytest.mark.parametrize("number", range(4))
def test_a_prepared_voxel_lies_where_the_label_has_it(number, written):
    volume = prepare(written, f"image{number:04d}")
    label = SimpleITK.ReadImage(
        str(written / f"TCIA_pancreas_labels-02-05-2017/label{number:04d}.nii.gz")
    )
    prepared = SimpleITK.GetImageFromArray(volume.label.transpose(2, 1, 0))
    prepared.SetSpacing(volume.spacing)
    prepared.SetOrigin(volume.origin)
    prepared.SetDirection(volume.direction)
    inside = np.argwhere(volume.label).tolist()
    places = [prepared.TransformIndexToPhysicalPoint(voxel) for voxel in inside]
    hits = [label[label.TransformPhysicalPointToIndex(place)] for place in places]
    # Others lie half-way between two voxels, and rounding says which is nearer.
    assert np.mean(hits) > 0.9
    stored = np.argwhere(SimpleITK.GetArrayFromImage(label))[:, ::-1].tolist()
    middle = np.mean([label.TransformIndexToPhysicalPoint(voxel) for voxel in stored], axis=0)
    np.testing.assert_allclose(np.mean(places, axis=0), middle, atol=0.4)  # mm


FLIPS = list(chain.from_iterable(combinations(range(3), count) for count in (1, 2, 3)))


@pytest.mark.parametrize("axes", FLIPS)
def test_a_flipped_label_is_refused_and_the_axes_are_named(axes, root):
    change_label(root, lambda array: np.flip(array.transpose(2, 1, 0), axes).transpose(2, 1, 0))
    names = " and ".join("xyz"[axis] for axis in axes)
    with pytest.raises(ValueError, match=f"{SCAN}: the label seems flipped along {names}:"):
        prepare(root, SCAN, label_placement="checked")


@pytest.mark.parametrize("axis", range(3))
def test_a_label_whose_header_puts_it_beside_the_scan_is_refused(axis, root):
    picture = SimpleITK.ReadImage(str(root / LABEL))
    origin = list(picture.GetOrigin())
    origin[axis] += 1.5
    picture.SetOrigin(origin)
    SimpleITK.WriteImage(picture, str(root / LABEL))
    with pytest.raises(ValueError, match=rf"{SCAN}: .* beside the CT.*label_origin: ignored"):
        prepare(root, SCAN)
    assert prepare(root, SCAN, label_origin="ignored").label.any()


@pytest.mark.parametrize("label_origin", ["checked", "ignored"])
def test_a_label_whose_header_turns_it_is_said_to_be_turned(label_origin, root):
    picture = SimpleITK.ReadImage(str(root / LABEL))
    turn = Rotation.from_euler("z", 1, degrees=True).as_matrix()
    picture.SetDirection((turn @ np.reshape(picture.GetDirection(), (3, 3))).ravel())
    picture.SetOrigin(turn @ picture.GetOrigin())
    SimpleITK.WriteImage(picture, str(root / LABEL))
    with pytest.raises(ValueError, match=rf"{SCAN}: direction of PANCREAS_0003 is"):
        prepare(root, SCAN, label_origin=label_origin)


@pytest.mark.parametrize("shift", [(12, 0, 0), (0, 10, 0), (0, 0, 8), (-10, 8, 0)])
def test_a_label_whose_voxels_are_shifted_is_refused(shift, root):
    change_label(root, lambda array: np.roll(array, shift[::-1], (0, 1, 2)))
    with pytest.raises(ValueError, match=rf"{SCAN}: the label (does not lie|seems)"):
        prepare(root, SCAN, label_placement="checked")


def test_a_label_off_its_tissue_is_a_line_in_the_log_unless_it_is_to_be_checked(root, caplog):
    change_label(root, lambda array: array[::-1])
    assert prepare(root, SCAN).label.any()
    assert "image0003: the label seems flipped" in caplog.text


@pytest.fixture
def segmentation(root) -> Path:
    """The label once more, as a DICOM segmentation object."""
    label = phantom_pancreas(SCAN, SHAPE, SPACING, SEED)[1]
    file = root / "Pancreas-CT-SEG/PANCREAS_0003/seg.dcm"
    write_segmentation(file, root / "PANCREAS_0003", label[:, ::-1].transpose(2, 1, 0)[None])
    return file


def test_a_dicom_label_is_prepared_as_the_nifti_file_it_was_made_of(root, segmentation):
    """Its axes run as the collection's NIfTI files do, which this phantom's file does, too."""
    expected = prepare(root, SCAN)
    (root / LABEL).unlink()

    found = prepare(root, SCAN, label_files="dicom_seg")

    np.testing.assert_array_equal(found.image, expected.image)
    np.testing.assert_array_equal(found.label, expected.label)
    assert found.direction == expected.direction
    np.testing.assert_allclose(found.origin, expected.origin, atol=1e-3)
    assert {"sha256 seg.dcm", "sha256 PANCREAS_0003"} <= found.provenance.keys()
    assert found.provenance["label_files"] == "dicom_seg"


def test_where_both_labels_are_there_the_log_says_whether_they_agree(root, segmentation, caplog):
    with caplog.at_level("INFO"):
        prepare(root, SCAN, label_files="dicom_seg")
    assert f"{SCAN}: 0 voxels differ from the label in {root / LABEL}" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]

    def without_a_voxel(array):
        array[tuple(np.argwhere(array)[0])] = 0
        return array

    change_label(root, without_a_voxel)
    prepare(root, SCAN, label_files="dicom_seg")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [one.getMessage() for one in warnings] == [
        f"{SCAN}: 1 voxels differ from the label in {root / LABEL}"
    ]


def test_a_missing_dicom_label_is_named(root):
    with pytest.raises(FileNotFoundError, match="Pancreas-CT-SEG/PANCREAS_0003: no DICOM segm"):
        prepare(root, SCAN, label_files="dicom_seg")


def test_a_label_of_another_size_is_refused(root):
    change = SimpleITK.ReadImage(str(root / LABEL))
    SimpleITK.WriteImage(change[:, :, :-1], str(root / LABEL))
    with pytest.raises(ValueError, match=f"{SCAN}: shape of PANCREAS_0003 is .*label0003"):
        prepare(root, SCAN)


def test_other_label_values_and_an_empty_label_are_refused(root):
    change_label(root, lambda array: array * 3)
    with pytest.raises(ValueError, match=r"label0003\.nii\.gz: label values \[0, 3\]"):
        prepare(root, SCAN)
    change_label(root, np.zeros_like)
    with pytest.raises(ValueError, match=f"{SCAN}: the label is zero everywhere"):
        prepare(root, SCAN)


def test_a_missing_slice_is_noticed_though_the_label_lost_it_too(root):
    positions = {file: SimpleITK.ReadImage(str(file)).GetOrigin()[2] for file in slices(root)}
    sorted(positions, key=positions.get)[20].unlink()
    picture = SimpleITK.ReadImage(str(root / LABEL))
    SimpleITK.WriteImage(picture[:, :, :-1], str(root / LABEL))
    with pytest.raises(ValueError, match=r"PANCREAS_0003: the slices are not evenly .* 2\.40 mm"):
        prepare(root, SCAN)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_slice_is_noticed(kept, root):
    file = slices(root)[7]
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"PANCREAS_0003.*damaged or cut off"):
        prepare(root, SCAN)


def test_a_second_series_is_refused(root, written):
    shutil.copytree(written / "PANCREAS_0001", root / "PANCREAS_0003/other")
    with pytest.raises(ValueError, match=r"PANCREAS_0003: expected one DICOM series, found 2"):
        prepare(root, SCAN)


def test_slices_may_lie_in_folders_as_tcias_tools_leave_them(root):
    expected = prepare(root, SCAN)
    nested = root / "PANCREAS_0003/11-24-2015-Pancreas/1.000-NA-80237"
    nested.mkdir(parents=True)
    for file in slices(root):
        file.rename(nested / file.name)
    np.testing.assert_array_equal(prepare(root, SCAN).image, expected.image)


@pytest.mark.parametrize("missing", ["PANCREAS_0003", LABEL])
def test_missing_files_are_named(missing, root):
    target = root / missing
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(FileNotFoundError, match=Path(missing).name):
        prepare(root, SCAN)


def test_the_prepared_file_says_where_it_comes_from_and_reads_as_the_published_loaders_do(root):
    write_volume(root / "prepared.h5", prepare(root, SCAN))
    with h5py.File(root / "prepared.h5") as file:
        image, label = file["image"][:], file["label"][:]
        told = json.loads(file.attrs["provenance"])
        assert list(file.attrs["spacing"]) == [1.0, 1.0, 1.0]
        assert len(file.attrs["origin"]) == 3
        assert len(file.attrs["direction"]) == 9
    assert image.shape == label.shape
    assert (image.dtype, label.dtype) == (np.float32, np.uint8)
    assert len(told["sha256 PANCREAS_0003"]) == len(told["sha256 label0003.nii.gz"]) == 64
    assert told["window_HU"] == "(-125.0, 275.0)"
    assert told["sgrs_core"]
    before = told["sha256 PANCREAS_0003"]
    slices(root)[0].write_bytes(slices(root)[0].read_bytes() + b"\0")
    assert prepare(root, SCAN).provenance["sha256 PANCREAS_0003"] != before
