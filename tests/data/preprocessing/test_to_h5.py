import h5py
import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.preprocessing.to_h5 import copy_prepared, prepare_original, reduce
from sgrs_core.data.volumes import Volume, read_volume, write_volume
from sgrs_core.phantoms.la import write_phantom_la


def test_a_raw_scan_becomes_a_z_scored_volume_with_its_provenance(tmp_path):
    write_phantom_la(tmp_path / "raw", "case", (48, 48, 16), seed=0)
    prepare_original("la", tmp_path / "raw", "case", {}, 1, tmp_path / "case.h5")
    volume = read_volume(tmp_path / "case.h5")
    assert abs(volume.image.mean()) < 0.5
    assert volume.label.any()
    assert len(volume.provenance["sha256 lgemri.nrrd"]) == 64


def test_a_mirrored_scan_without_geometry_gets_the_data_sets_spacing(tmp_path):
    image = np.random.default_rng(0).normal(size=(8, 6, 4)).astype(np.float32)
    write_volume(tmp_path / "source.h5", Volume(image, (image > -1).astype(np.uint8)))
    with h5py.File(tmp_path / "source.h5", "a") as file:
        for name in list(file.attrs):
            del file.attrs[name]
    copy_prepared(tmp_path / "source.h5", (0.625,) * 3, "xyz", 2, tmp_path / "half.h5")
    half = read_volume(tmp_path / "half.h5")
    assert half.image.shape == (4, 3, 2)
    assert half.spacing == (1.25,) * 3
    np.testing.assert_allclose(half.image[0, 0, 0], image[:2, :2, :2].mean(), rtol=1e-5)


def test_a_label_that_downsampling_would_lose_is_refused_by_name(tmp_path):
    image = np.random.default_rng(0).normal(size=(8, 6, 4)).astype(np.float32)
    label = np.zeros(image.shape, np.uint8)
    label[3, 3, 1:3] = 1
    write_volume(tmp_path / "thin.h5", Volume(image, label))
    with pytest.raises(ValueError, match=r"thin\.h5: .* downsampled by 2: .* too thin"):
        copy_prepared(tmp_path / "thin.h5", (1.0,) * 3, "xyz", 2, tmp_path / "half.h5")
    copy_prepared(tmp_path / "thin.h5", (1.0,) * 3, "xyz", 1, tmp_path / "whole.h5")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spacing": (0.0, 1.0, 1.0)}, "gives voxels of 0 x 1 x 1 mm"),
        ({"spacing": (1.0, float("nan"), 1.0)}, "gives voxels of 1 x nan x 1 mm"),
        ({"origin": (0.0, float("inf"), 0.0)}, "puts the scan at"),
        ({"direction": (1.0, 0.6, 0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 1.0)}, "not at right angles"),
        ({"direction": (2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0)}, "three unit vectors"),
    ],
)
def test_a_prepared_volume_passes_the_gate_for_geometry_too(fields, message, tmp_path):
    image = np.random.default_rng(0).normal(size=(8, 6, 4)).astype(np.float32)
    with pytest.raises(ValueError, match=rf"one\.h5: .*{message}"):
        write_volume(tmp_path / "one.h5", Volume(image, (image > 0).astype(np.uint8), **fields))
    assert not (tmp_path / "one.h5").exists()


def test_absurd_and_complex_values_of_others_prepared_files_are_refused(tmp_path):
    image = np.random.default_rng(0).normal(size=(8, 6, 4))
    far = np.where(np.arange(image.size).reshape(image.shape) == 7, 1e200, image)
    for values in (far, np.where(far > 9, 1e6, image), image.astype(complex)):
        with h5py.File(tmp_path / "theirs.h5", "w") as file:
            file["image"], file["label"] = values, (image > 0).astype(np.uint8)
        with pytest.raises(ValueError, match=r"theirs\.h5: .*(NaN or inf|run from|complex)"):
            copy_prepared(tmp_path / "theirs.h5", (1.0,) * 3, "xyz", 1, tmp_path / "out.h5")


@pytest.mark.parametrize(("voxels", "foreground"), [(1, 0), (3, 0), (4, 1), (8, 1)])
def test_a_block_is_foreground_from_one_half_on(voxels, foreground):
    label = np.ones((2, 2, 4), np.uint8)
    label[:, :, :2] = (np.arange(8) < voxels).reshape(2, 2, 2)
    coarse = reduce(Volume(label.astype(np.float32), label), 2)
    assert (coarse.image.dtype, coarse.label.dtype) == (np.float32, np.uint8)
    assert coarse.label.tolist() == [[[foreground, 1]]]


def test_factor_1_leaves_a_volume_as_it_is():
    volume = Volume(np.zeros((3, 4, 5), np.float32), None)
    assert reduce(volume, 1) is volume


def test_a_coarser_grid_lies_at_the_same_place_in_space():
    direction = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    image = np.zeros((8, 8, 8), np.float32)
    volume = Volume(image, image.astype(np.uint8), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0), direction)
    coarse = reduce(volume, 2)
    pictures = []
    for one in (volume, coarse):
        picture = SimpleITK.Image(*one.image.shape, SimpleITK.sitkFloat32)
        picture.SetSpacing(one.spacing)
        picture.SetOrigin(one.origin)
        picture.SetDirection(one.direction)
        pictures.append(picture)
    fine, rough = pictures
    for voxel in ((0, 0, 0), (1, 2, 3)):
        middle = [2 * index + 0.5 for index in voxel]
        np.testing.assert_allclose(
            rough.TransformIndexToPhysicalPoint(voxel),
            fine.TransformContinuousIndexToPhysicalPoint(middle),
        )


def test_a_bad_mirrored_scan_is_named_and_leaves_nothing(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"not h5")
    with pytest.raises(ValueError, match=r"bad\.h5"):
        copy_prepared(tmp_path / "bad.h5", (1.0,) * 3, "xyz", 1, tmp_path / "out/scan.h5")
    assert not (tmp_path / "out").exists()
