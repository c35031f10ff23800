"""Values that no scan and no label has are refused in every format, before a library hides them."""

import gzip
import logging
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.values import as_classes, check_image
from tests.data.formats.writing import affine_of, edit_nifti, write_itk, write_nifti

AFFINE = affine_of((1, 1, 2), (0, 0, 0), np.eye(3))
NAMES = ["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha"]


def scan(kind=np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (12, 11, 10)).astype(kind)


def write(file: Path, array: np.ndarray) -> Path:
    return (write_nifti if ".nii" in file.name else write_itk)(file, array, AFFINE)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("much", [1, 600])
@pytest.mark.parametrize("read", [read_scan, read_label])
def test_values_that_are_no_numbers_are_refused_with_their_count(name, value, much, read, tmp_path):
    array = scan()
    array.ravel()[50 : 50 + much] = value
    with pytest.raises(ValueError, match=rf"{name}: {much} of 1320 voxels are NaN or infinite"):
        read(write(tmp_path / name, array))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("kind", "value"), [(np.float64, 1e200), (np.float32, -3e38), (np.int32, 2**31 - 1)]
)
@pytest.mark.parametrize("read", [read_scan, read_label])
def test_one_absurd_voxel_is_refused(name, kind, value, read, tmp_path):
    array = scan(kind)
    array[3, 4, 5] = value
    with pytest.raises(ValueError, match=rf"{name}: .* run from"):
        read(write(tmp_path / name, array))


@pytest.mark.parametrize(("value", "doubtful"), [(900, False), (75 * 200, True)])
def test_one_voxel_far_too_bright_is_warned_of(value, doubtful, tmp_path, caplog):
    array = scan()
    array[3, 4, 5] = value
    with caplog.at_level(logging.WARNING):
        read_scan(write(tmp_path / "scan.nii", array))
    told = f"scan.nii: values run from 0 to {value}, but 99%"
    assert (told in caplog.text) == doubtful


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e6])
def test_what_scanners_measure_passes_whatever_its_unit(factor):
    ct = np.full((30, 30, 30), -1000.0)
    ct[5:20, 5:20, 5:20] = np.random.default_rng(0).normal(40, 20, (15, 15, 15))
    ct[10, 10, 10] = 30_000  # metal
    brain = np.where(ct > -1000, ct, 0)
    for array in (ct, brain, np.zeros((4, 4, 4)), brain > 0):
        check_image(array * factor, "scan")


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("complex64", "values are complex64"),
        ("RGB", "several channels"),
        ("vector", "it has 3 volumes"),
    ],
)
def test_a_nifti_image_of_other_than_one_real_number_is_refused_by_its_cause(kind, cause, tmp_path):
    if kind == "complex64":
        array = scan(np.complex64)
    elif kind == "RGB":
        array = np.zeros((4, 4, 4), np.dtype([(one, "u1") for one in "RGB"]))
    else:
        array = np.zeros((4, 4, 4, 1, 3), np.float32)
    file = tmp_path / "scan.nii"
    nibabel.Nifti1Image(array, np.eye(4)).to_filename(file)
    for read in (read_scan, read_label):
        with pytest.raises(ValueError, match=rf"scan\.nii: .* 3D image of one channel: .*{cause}"):
            read(file)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_colours_are_refused_by_their_cause(name, tmp_path):
    image = SimpleITK.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / name))
    with pytest.raises(
        ValueError, match=r"\(6, 5, 4\) is not a 3D image of one channel: .*colours"
    ):
        read_scan(tmp_path / name)


def test_four_dimensions_are_refused_unless_the_fourth_has_one_volume(tmp_path):
    for count in (1, 4):
        nibabel.Nifti1Image(scan()[..., None].repeat(count, 3), np.eye(4)).to_filename(
            tmp_path / f"{count}.nii"
        )
    np.testing.assert_array_equal(read_scan(tmp_path / "1.nii").array, scan())
    with pytest.raises(ValueError, match=r"4\.nii: .*it has 4 volumes"):
        read_scan(tmp_path / "4.nii")


@pytest.mark.parametrize(
    ("slope", "intercept"), [(np.nan, 0.0), (0.0, 5.0), (1e6, -3.0), (-2.0, 7.0), (300.0, 30_000.0)]
)
def test_nifti_scaling_is_applied_where_it_is_one(slope, intercept, tmp_path):
    def change(header):
        header["scl_slope"], header["scl_inter"] = slope, intercept

    file = edit_nifti(write(tmp_path / "scan.nii", scan(np.int16)), change)
    is_one = slope == slope and slope != 0
    expected = scan() * slope + intercept if is_one else scan()
    np.testing.assert_allclose(read_scan(file).array, expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "kind", [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)] + ["f4", "f8"]
)
def test_all_number_types_are_read_as_they_are(name, kind, tmp_path):
    array = (scan() % 100).astype(kind)
    found = read_scan(write(tmp_path / name, array)).array
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_damaged_compression_is_noticed(tmp_path):
    content = bytearray(gzip.compress(write(tmp_path / "scan.nii", scan()).read_bytes()))
    for place in (-8, len(content) // 2):
        damaged = content.copy()
        damaged[place] ^= 0xFF
        (tmp_path / "scan.nii.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"scan\.nii\.gz: damaged or cut off"):
            read_scan(tmp_path / "scan.nii.gz")


def test_an_infinite_nifti_scaling_is_refused(tmp_path):
    file = write(tmp_path / "scan.nii", scan(np.int16))
    with pytest.raises(ValueError, match=r"scan\.nii: .*scl_slope is infinite"):
        read_scan(edit_nifti(file, lambda header: header.__setitem__("scl_slope", np.inf)))


@pytest.mark.parametrize("name", ["scan.nii", "scan.mha"])
@pytest.mark.parametrize("offset", [2**31, 2**40, -(2**50)])
def test_values_that_single_precision_blurs_are_refused(name, offset, tmp_path):
    with pytest.raises(ValueError, match=rf"{name}: .* single precision, in steps of .*, blurs"):
        read_scan(write(tmp_path / name, scan(np.int64) + offset))
    read_scan(write(tmp_path / name, scan(np.int64) + 2**15))


def test_a_scan_of_few_values_and_a_label_of_many_are_warned_of(tmp_path, caplog):
    image, label = (write(tmp_path / f"{name}.nii", scan()) for name in ("image", "label"))
    write(label, (scan() > 150).astype(np.uint8))
    read_scan(image)
    read_label(label)
    assert not caplog.text
    read_scan(label)
    assert "label.nii: few values, all whole numbers: is it a label?" in caplog.text
    write(image, scan() + np.arange(10))
    read_label(image)
    assert re.search(r"image\.nii: 20\d different label values; is it an image\?", caplog.text)


# Labels


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("label", [-scan(np.int16) // 199, scan() - 1000, scan(np.int16) - 150])
def test_a_label_below_zero_is_refused(name, label, tmp_path):
    with pytest.raises(ValueError, match=rf"{name}: label values run from -.* no class is below 0"):
        read_label(write(tmp_path / name, label))


def test_a_label_stored_as_floating_point_is_rounded_not_truncated():
    label = np.array([[[0.0, 0.9999978, 2.0000002, 254.9999]]], np.float32)
    assert as_classes(label, "label").tolist() == [[[0, 1, 2, 255]]]
    assert as_classes(label > 0, "label").tolist() == [[[0, 1, 1, 1]]]


@pytest.mark.parametrize("name", NAMES)
def test_fractions_are_foreground_from_one_half_on_and_a_warning_says_so(name, tmp_path, caplog):
    label = np.linspace(0, 1, 1320, dtype=np.float32).reshape(12, 11, 10)
    with caplog.at_level(logging.WARNING):
        found = read_label(write(tmp_path / name, label)).array
    np.testing.assert_array_equal(found, label >= 0.5)
    assert f"{name}: 1316 fractions; foreground is what is at least 0.5" in caplog.text


@pytest.mark.parametrize(("share", "warned"), [(0.96, False), (0.97, True), (1.0, True)])
def test_a_label_that_is_nearly_all_foreground_is_warned_of(share, warned, tmp_path, caplog):
    label = np.zeros(1000, np.uint8)
    label[: round(1000 * share)] = 1
    with caplog.at_level(logging.WARNING):
        read_label(write(tmp_path / "label.nii", label.reshape(10, 10, 10)))
    assert (f"label.nii: {share:.0%} of it is foreground" in caplog.text) == warned


def test_fractions_between_classes_are_refused():
    for label in ([0.0, 1.5, 2.0], [0.0, 127.4, 255.0], [-0.5, 0.0, 1.0]):
        with pytest.raises(ValueError, match="label: label values with fractions, such as"):
            as_classes(np.array([[label]]), "label")
