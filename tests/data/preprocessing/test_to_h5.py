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
    write_volume(tmp_path / "source.h5", Volume(image, (image > 1).astype(np.uint8)))
    with h5py.File(tmp_path / "source.h5", "a") as file:
        for name in list(file.attrs):
            del file.attrs[name]
    copy_prepared(tmp_path / "source.h5", (0.625,) * 3, "xyz", 2, tmp_path / "half.h5")
    half = read_volume(tmp_path / "half.h5")
    assert half.image.shape == (4, 3, 2)
    assert half.spacing == (1.25,) * 3
    np.testing.assert_allclose(half.image[0, 0, 0], image[:2, :2, :2].mean(), rtol=1e-5)


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
