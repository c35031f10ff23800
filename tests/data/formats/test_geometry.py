"""Every voxel is read where it was written, in mm, whatever the format; what cannot be is said."""

import gzip
import logging
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan, write_image
from sgrs_core.data.formats.images import from_itk, in_orientation, oriented_as, to_itk
from tests.data.formats.writing import (
    affine_of,
    edit_nifti,
    write_dicom,
    write_itk,
    write_nifti,
)

SHAPE = (5, 4, 3)
ARRAY = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
PLAIN = affine_of((0.8, 0.7, 2.0), (-20.0, 15.0, 30.0), np.eye(3))
WRITERS = {
    "dicom": lambda folder, affine: write_dicom(folder / "series", ARRAY, affine)[0].parent,
    "mha": lambda folder, affine: write_itk(folder / "scan.mha", ARRAY, affine),
    "mhd": lambda folder, affine: write_itk(folder / "scan.mhd", ARRAY, affine),
    "nrrd": lambda folder, affine: write_itk(folder / "scan.NRRD", ARRAY, affine),
    "nhdr": lambda folder, affine: write_itk(folder / "scan.nhdr", ARRAY, affine),
    "nifti by ITK": lambda folder, affine: write_itk(folder / "scan.nii.gz", ARRAY, affine),
    "both forms": lambda folder, affine: write_nifti(folder / "scan.nii", ARRAY, affine),
    "qform": lambda folder, affine: write_nifti(folder / "scan.nii", ARRAY, affine, 1, 0),
    "sform": lambda folder, affine: write_nifti(folder / "scan.nii.gz", ARRAY, affine, 0, 2),
}


@st.composite
def affines(draw) -> np.ndarray:
    """A right-handed grid in any orientation, stored in any of 24 orders of axes."""
    length = st.floats(0.3, 6.0)
    spacing = draw(st.tuples(length, length, length))
    origin = draw(st.tuples(*[st.floats(-900.0, 900.0)] * 3))
    turn = draw(st.tuples(*[st.sampled_from([0.0, 0.0, 3.0, 45.0, 90.0, 180.0, 271.3])] * 3))
    return affine_of(spacing, origin, Rotation.from_euler("xyz", turn, degrees=True).as_matrix())


def places(placed: PlacedImage) -> dict[int, np.ndarray]:
    """Where each value lies, in mm (LPS)."""
    image = to_itk(placed)
    array = SimpleITK.GetArrayFromImage(image)
    return {
        int(array[index]): np.array(image.TransformIndexToPhysicalPoint(index[::-1]))
        for index in (tuple(map(int, one)) for one in np.ndindex(array.shape))
    }


def check_places(found: dict[int, np.ndarray], affine: np.ndarray, mm: float = 1e-3) -> None:
    for index in np.ndindex(SHAPE):
        np.testing.assert_allclose(found[int(ARRAY[index])], (affine @ [*index, 1])[:3], atol=mm)


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=25, deadline=None)
@given(affine=affines(), mirrored=st.booleans())
def test_every_voxel_is_read_where_it_was_written(kind, affine, mirrored):
    if mirrored and kind != "dicom":  # whose slices have no order of their own
        affine = affine @ np.diag([1.0, -1.0, 1.0, 1.0])
    with tempfile.TemporaryDirectory() as folder:
        image = read_scan(WRITERS[kind](Path(folder), affine))
        # A quaternion keeps three of its four numbers, in single precision: of half a turn the
        # fourth, sqrt(1 - b² - c² - d²), has half as many digits.
        mm = 2e-2 if kind == "qform" else 1e-3
        check_places(places(image), affine, mm)
        check_places(places(in_orientation(image, "LPS")), affine, mm)


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz", "M.NII.GZ", "m.nrrd"])
@settings(max_examples=25, deadline=None)
@given(affine=affines(), mirrored=st.booleans())
def test_what_is_written_is_read_at_the_same_place_by_other_readers(name, affine, mirrored):
    if mirrored:
        affine = affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        write_image(
            file, PlacedImage(ARRAY, spacing, affine[:3, 3], (affine[:3, :3] / spacing).ravel())
        )
        assert [one.name for one in Path(folder).iterdir()] == [name]
        check_places(places(read_scan(file)), affine)
        kind = "NrrdImageIO" if name.endswith("nrrd") else "NiftiImageIO"
        lower = file.rename(file.with_name(name.lower()))
        image = SimpleITK.ReadImage(str(lower), imageIO=kind)
        check_places(places(from_itk(image)), affine)
        if kind == "NiftiImageIO":
            image = nibabel.load(lower)
            in_lps = np.diag([-1, -1, 1, 1]) @ image.affine
            corner = [4, 3, 2, 1]
            np.testing.assert_allclose(in_lps @ corner, affine @ corner, atol=1e-3)
            np.testing.assert_array_equal(np.asanyarray(image.dataobj), ARRAY)
            assert image.header["qform_code"] > 0
            np.testing.assert_allclose(image.get_qform(), image.get_sform(), atol=1e-3)


def test_where_a_geometry_comes_from_is_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        read_scan(write_nifti(tmp_path / "scan.nii", ARRAY, PLAIN, 1, 0))
        read_scan(WRITERS["dicom"](tmp_path, PLAIN))
    assert "scan.nii: spacing, origin, direction" in caplog.text
    assert "from qform" in caplog.text
    assert "from ImagePositionPatient of 3 slices" in caplog.text


@pytest.mark.parametrize("degrees", [44.0, 45.0, 46.0, 90.0])
@pytest.mark.parametrize("orders", [("PLS", "LPS"), ("RAI", "SPL")])
def test_a_scan_between_two_axes_is_turned_alike_however_it_is_stored(degrees, orders):
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    image = PlacedImage(ARRAY, (0.8, 0.7, 2.0), (1.0, 2.0, 3.0), tuple(turn.ravel()))
    stored = to_itk(image)
    for one in (SimpleITK.PermuteAxes(stored, [1, 0, 2]), stored[::-1, :, ::-1], stored):
        permuted = from_itk(one)
        again = oriented_as(permuted, image)
        np.testing.assert_array_equal(again.array, ARRAY)
        np.testing.assert_allclose(again.origin, image.origin, atol=1e-9)
        for code in orders:
            one, two = in_orientation(permuted, code), in_orientation(image, code)
            np.testing.assert_array_equal(one.array, two.array)
            np.testing.assert_allclose(one.direction, two.direction, atol=1e-9)


# NIfTI


def nifti(tmp_path: Path, **codes: int) -> Path:
    return write_nifti(tmp_path / "scan.nii", ARRAY, PLAIN, **codes)


@pytest.mark.parametrize("side", [0.0, np.nan, np.inf, -1.0, 1e9, 1e-9])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1)])
def test_a_nifti_spacing_that_is_none_is_refused_by_its_number(side, codes, tmp_path):
    def change(header):
        header["pixdim"][2] = side

    file = edit_nifti(write_nifti(tmp_path / "scan.nii", ARRAY, PLAIN, *codes), change)
    with pytest.raises(ValueError, match=r"scan\.nii: pixdim gives voxels of") as told:
        read_scan(file)
    assert f"x {side:g} x 2 mm" in str(told.value)


@pytest.mark.parametrize("field", ["srow_x", "qoffset_y", "quatern_c"])
@pytest.mark.parametrize("value", [np.nan, 1e9])
def test_a_nifti_form_of_no_number_or_a_place_far_away_is_refused(field, value, tmp_path):
    def change(header):
        header[field] = value

    codes = {"qform": 0} if field == "srow_x" else {"sform": 0}
    with pytest.raises(ValueError, match=r"scan\.nii: .*([qs]form|header)"):
        read_scan(edit_nifti(nifti(tmp_path, **codes), change))


@pytest.mark.parametrize("codes", [(1, 4), (1, 2)])
@pytest.mark.parametrize("what", ["moved", "turned", "another spacing"])
def test_qform_and_sform_that_differ_are_refused_with_the_distance(codes, what, tmp_path):
    def change(header):
        if what == "moved":
            header["qoffset_x"] += 10
        elif what == "turned":
            header["srow_x"], header["srow_y"] = header["srow_y"].copy(), header["srow_x"].copy()
        else:
            header["srow_z"][2] = 4.0

    file = edit_nifti(write_nifti(tmp_path / "scan.nii", ARRAY, PLAIN, *codes), change)
    message = r"ambiguous: .* up to 10\.00 mm apart" if what == "moved" else "ambiguous"
    with pytest.raises(ValueError, match=rf"scan\.nii: {message}"):
        read_scan(file)


def test_forms_that_differ_by_rounding_are_one(tmp_path):
    def change(header):
        header["qoffset_x"] += 1e-3
        header["srow_x"][1] += 1e-4

    found = read_scan(edit_nifti(nifti(tmp_path), change))
    np.testing.assert_allclose(found.origin, PLAIN[:3, 3], atol=2e-3)


def test_a_qform_that_single_precision_rounds_near_half_a_turn_is_not_ambiguous(tmp_path):
    turn = Rotation.from_euler("xyz", [0.05, 0, 0.05], degrees=True).as_matrix()
    affine = affine_of((0.8, 0.8, 0.8), (0, 0, 0), turn)
    read_scan(write_nifti(tmp_path / "scan.nii", np.zeros((512, 512, 1), np.uint8), affine))


def test_an_sform_a_little_off_right_angles_is_read_and_a_sheared_one_refused(tmp_path):
    def shear(header, by):
        header["srow_x"][2] += by

    read_scan(edit_nifti(nifti(tmp_path, qform=0), lambda header: shear(header, 1e-4)))
    with pytest.raises(ValueError, match=r"scan\.nii: sform gives axes that are not at right"):
        read_scan(edit_nifti(nifti(tmp_path, qform=0), lambda header: shear(header, 0.5)))


def test_a_nifti_file_without_orientation_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"scan\.nii: neither qform nor sform is set"):
        read_scan(nifti(tmp_path, qform=0, sform=0))


@pytest.mark.parametrize(("unit", "scale"), [("meter", 1e-3), ("micron", 1e3), ("unknown", 1)])
def test_units_of_nifti_are_brought_to_mm(unit, scale, tmp_path):
    file = write_nifti(tmp_path / "scan.nii", ARRAY, np.diag([scale] * 3 + [1]) @ PLAIN)
    check_places(
        places(read_scan(edit_nifti(file, lambda header: header.set_xyzt_units(unit)))), PLAIN
    )


def test_nifti_2_and_big_endian_files_are_read(tmp_path):
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ PLAIN
    nibabel.Nifti2Image(ARRAY, to_ras).to_filename(tmp_path / "two.nii")
    big = nibabel.Nifti1Image(ARRAY.astype(">i2"), to_ras, nibabel.Nifti1Header(endianness=">"))
    big.to_filename(tmp_path / "big.nii.gz")
    for name in ("two.nii", "big.nii.gz"):
        check_places(places(read_scan(tmp_path / name)), PLAIN)


def test_whether_a_nifti_file_is_compressed_is_not_told_by_its_name(tmp_path):
    content = nifti(tmp_path).read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(content)
    (tmp_path / "packed.NII").write_bytes(
        gzip.compress(content[:100]) + gzip.compress(content[100:])
    )
    for name in ("plain.nii.gz", "packed.NII"):
        check_places(places(read_scan(tmp_path / name)), PLAIN)


def test_what_is_no_single_nifti_file_is_named_as_what_it_is(tmp_path):
    pair = nibabel.Nifti1Pair(ARRAY, np.eye(4))
    nibabel.save(pair, tmp_path / "pair.hdr")
    (tmp_path / "half.nii").write_bytes((tmp_path / "pair.hdr").read_bytes())
    (tmp_path / "page.nii.gz").write_bytes(b"<html>404: Not Found</html>" * 99)
    for name, message in (
        ("half.nii", "half of a pair"),
        ("page.nii.gz", "no NIfTI, whatever its name says: it begins with b'<html>404"),
        ("pair.hdr", "allowed are files"),
    ):
        with pytest.raises(ValueError, match=message):
            read_scan(tmp_path / name)


@pytest.mark.parametrize(
    ("field", "value"),
    [("vox_offset", 0), ("vox_offset", np.nan), ("vox_offset", 352.5), ("datatype", 7),
     ("datatype", 1), ("scl_inter", np.inf), ("pixdim", [3, 0.8, 0.7, 2, 1, 1, 1, 1]),
     ("xyzt_units", 7)],
)  # fmt: skip
def test_a_nifti_header_of_nonsense_is_refused_by_name(field, value, tmp_path):
    def change(header):
        header["scl_slope"], header[field] = 2, value

    with pytest.raises(ValueError, match=r"scan\.nii: "):
        read_scan(edit_nifti(nifti(tmp_path, sform=0), change))


# NRRD and MetaImage


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("scan.nrrd", "space directions"),
        ("scan.nrrd", "space origin"),
        ("scan.nrrd", "space"),
        ("scan.mha", "ElementSpacing"),
        ("scan.mha", "TransformMatrix"),
        ("scan.mha", "Offset"),
    ],
)
def test_a_header_that_does_not_say_where_voxels_lie_is_refused(name, field, tmp_path):
    file = write_itk(tmp_path / name, ARRAY, PLAIN)
    lines = file.read_bytes().split(b"\n")
    dropped = [
        line for line in lines if not line.startswith((f"{field}:".encode(), f"{field} =".encode()))
    ]
    if field == "space":  # which says of how many numbers directions are
        dropped = [
            line.replace(b"dimension: 3", b"dimension: 3\nspace dimension: 3") for line in dropped
        ]
    if field == "space directions":
        dropped = [b"spacings: 1 1 1" if line.startswith(b"space ") else line for line in dropped]
        dropped = [line for line in dropped if not line.startswith(b"space:")]
    file.write_bytes(b"\n".join(dropped))
    with pytest.raises(ValueError, match=rf"{name}: .*{field.split()[0]}.* is missing"):
        read_scan(file)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("scan.nrrd", b"(0,0,2)", b"(0,0,nan)"),
        ("scan.nrrd", b"(0,0,2)", b"none"),
        ("scan.nrrd", b"origin: (-20", b"origin: (inf"),
        ("scan.mha", b"ElementSpacing = 0", b"ElementSpacing = -0"),
        ("scan.mha", b"ElementSpacing = 0", b"ElementSpacing = nan"),
        ("scan.mha", b"Offset = -20", b"Offset = nan"),
        ("scan.mha", b"Matrix = 1", b"Matrix = inf"),
        ("scan.mha", b"Offset = -20 15", b"Offset = -20"),
    ],
)
def test_a_header_of_other_than_numbers_is_refused_with_what_it_says(name, old, new, tmp_path):
    file = write_itk(tmp_path / name, ARRAY, PLAIN)
    assert old in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match=rf"{name}: .* is .*(nan|none|inf|-0\.8|-20 30)"):
        read_scan(file)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
def test_a_sheared_header_and_absurd_numbers_are_refused(name, tmp_path):
    sheared = PLAIN.copy()
    sheared[0, 1] = 0.4
    for affine, message in (
        (sheared, "not at right angles"),
        (PLAIN @ np.diag([1e9, 1, 1, 1]), r"8e\+08 x 0.7 x 2 mm"),
        (affine_of((1, 1, 1), (0, 1e9, 0), np.eye(3)), r"puts the scan at"),
    ):
        with pytest.raises(ValueError, match=rf"{name}: its header .*{message}"):
            read_scan(write_itk(tmp_path / name, ARRAY, affine))


def test_units_and_spaces_that_are_not_read_are_refused(tmp_path):
    content = write_itk(tmp_path / "scan.nrrd", ARRAY, PLAIN).read_bytes()
    for old, new, message in (
        (b"space: left-posterior-superior", b"space: scanner-xyz", "space is scanner-xyz"),
        (b"endian:", b'space units: "um" "um" "um"\nendian:', "space units is"),
    ):
        (tmp_path / "other.nrrd").write_bytes(content.replace(old, new))
        with pytest.raises(ValueError, match=rf"other\.nrrd: {message}"):
            read_scan(tmp_path / "other.nrrd")


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_metaimage_that_is_cut_off_is_named_and_nothing_else_is_printed(kept, tmp_path, capfd):
    file = write_itk(tmp_path / "scan.mha", np.repeat(ARRAY, 20, 0), PLAIN)
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"scan\.mha: .*cut off"):
        read_scan(file)
    assert capfd.readouterr().err == ""
