"""NRRD and MetaImage files: what is damaged, or does not say what it holds, is refused by name."""

import gzip
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.formats.images import to_itk
from tests.data.formats.writing import affine_of, write_nifti

ARRAY = np.random.default_rng(0).integers(0, 200, (9, 8, 7)).astype("<i2")
VOXELS = ARRAY.tobytes(order="F")
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "9 8 7",
    "space directions": "(1,0,0) (0,1,0) (0,0,2)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(1,2,3)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "1 2 3",
    "ElementSpacing": "1 1 2",
    "DimSize": "9 8 7",
    "ElementType": "MET_SHORT",
}
PACKED = zlib.compress(VOXELS)
GZIPPED = gzip.compress(VOXELS)


def nrrd(file: Path, voxels: bytes = VOXELS, **changes: str | None) -> Path:
    """changes: a field's name with _ for spaces; None leaves it out. No voxels: in other files."""
    fields = NRRD | {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}\n" for name, value in fields.items() if value is not None]
    file.write_bytes(("NRRD0004\n# made here\n" + "".join(lines)).encode())
    if voxels:
        with file.open("ab") as content:
            content.write(b"\n" + voxels)
    return file


def meta(file: Path, voxels: bytes = VOXELS, data_file: str = "LOCAL", **changes: str) -> Path:
    fields = META | changes | {"ElementDataFile": data_file}
    text = "".join(f"{name} = {value}\n" for name, value in fields.items())
    file.write_bytes(text.encode() + voxels)
    return file


def flipped(content: bytes) -> bytes:
    """One bit in the middle is another."""
    changed = bytearray(content)
    changed[len(changed) * 4 // 5] ^= 1
    return bytes(changed)


def refused(file: Path, *messages: str) -> None:
    with pytest.raises(ValueError, match=re.escape(str(file.parent))) as told:
        read_scan(file)
    for message in messages:
        assert message in str(told.value)
    assert "\n" not in str(told.value)


def check(file: Path) -> None:
    image = read_scan(file)
    np.testing.assert_array_equal(image.array, ARRAY)
    assert image.spacing == (1, 1, 2)
    assert image.origin == (1, 2, 3)


# Sound ones


@pytest.mark.parametrize(
    ("encoding", "voxels"),
    [
        ("raw", VOXELS),
        ("gzip", GZIPPED),
        ("hex", VOXELS.hex().encode()),
        ("ascii", " ".join(map(str, ARRAY.ravel(order="F"))).encode()),
    ],
)
def test_every_encoding_that_itk_knows_is_read(encoding, voxels, tmp_path):
    check(nrrd(tmp_path / "scan.nrrd", voxels, encoding=encoding))
    (tmp_path / "voxels").write_bytes(voxels)
    check(nrrd(tmp_path / "scan.nhdr", b"", encoding=encoding, data_file="voxels"))


def test_compressed_metaimages_that_say_their_size_are_read(tmp_path):
    packed = {"CompressedData": "True", "CompressedDataSize": str(len(PACKED))}
    check(meta(tmp_path / "scan.mha", PACKED, **packed))
    (tmp_path / "é voxels").write_bytes(PACKED)
    check(meta(tmp_path / "scan.mhd", b"", "é voxels", **packed))


@pytest.mark.parametrize("form", ["list", "pattern"])
def test_voxels_of_a_file_for_each_slice_are_read(form, tmp_path):
    names = [f"s{index:02d}.raw" for index in range(1, 8)]
    for index, name in enumerate(names):
        (tmp_path / name).write_bytes(ARRAY[:, :, index].tobytes(order="F"))
    places = "LIST\n" + "\n".join(names) if form == "list" else "s%02d.raw 1 7 1"
    check(nrrd(tmp_path / "scan.nhdr", b"", data_file=places))
    check(meta(tmp_path / "scan.mhd", b"\n", places))
    (tmp_path / "s04.raw").write_bytes(bytes(40))
    refused(tmp_path / "scan.nhdr", "cut off")
    (tmp_path / "s04.raw").unlink()
    refused(tmp_path / "scan.nhdr", "its data file 's04.raw' is missing")
    refused(tmp_path / "scan.mhd", "its data file 's04.raw' is missing")


def test_bytes_that_a_header_says_to_leave_out_are_left_out(tmp_path):
    (tmp_path / "voxels").write_bytes(b"one\ntwo\n" + VOXELS)
    for fields in ({"byte_skip": "8"}, {"byte_skip": "-1"}, {"line_skip": "2"}):
        check(nrrd(tmp_path / "scan.nhdr", b"", data_file="voxels", **fields))
    for size in ("8", "-1"):
        check(meta(tmp_path / "scan.mhd", b"", "voxels", HeaderSize=size))


@pytest.mark.parametrize("last", ["list", "vector", "time", "domain", "none", "???", None])
def test_an_nrrd_axis_of_a_single_volume_may_be_called_anything(last, tmp_path):
    axes = {"dimension": "4", "kinds": last and f"domain domain domain {last}"}
    axes |= {"space_directions": NRRD["space directions"] + " none", "sizes": "9 8 7 1"}
    check(nrrd(tmp_path / "1.nrrd", **axes))
    check(nrrd(tmp_path / "1.nrrd", GZIPPED, encoding="gzip", **axes))
    (tmp_path / "voxels").write_bytes(VOXELS)
    check(nrrd(tmp_path / "1.nhdr", b"", data_file="voxels", **axes))
    refused(nrrd(tmp_path / "cut.nrrd", VOXELS[:-2], **axes), "cut.nrrd: ")
    axes["sizes"] = "9 8 7 2"
    refused(nrrd(tmp_path / "2.nrrd", 2 * VOXELS, **axes), "several channels", "give one alone")
    axes |= {"sizes": "1 9 8 7", "space_directions": "none " + NRRD["space directions"]}
    check(nrrd(tmp_path / "first.nrrd", **axes | {"kinds": last and f"{last}{' domain' * 3}"}))


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".nii"])
@pytest.mark.parametrize("count", [1, 2])
def test_four_dimensions_as_itk_writes_them_are_three_where_there_is_one_volume(
    suffix, count, tmp_path
):
    image = to_itk(PlacedImage(ARRAY, (1, 1, 2), (1, 2, 3)))
    file = tmp_path / f"scan{suffix}"
    SimpleITK.WriteImage(SimpleITK.JoinSeries([image] * count), str(file))
    if count == 1:
        check(file)
    else:
        refused(file, "it has 2 volumes (of time, say); give one alone")


@pytest.mark.parametrize(
    "mixed", ["(1,0,0,5) (0,1,0,0) (0,0,2,0)", "(0,0,0,1) (0,1,0,0) (0,0,2,0)"]
)
def test_four_dimensions_are_refused_where_time_runs_through_space(mixed, tmp_path):
    last = "(0,0,0,1)" if "5" in mixed else "(1,0,0,0)"
    fields = {"sizes": "9 8 7 1", "space": None, "space_directions": f"{mixed} {last}"}
    four = {"dimension": "4\nspace dimension: 4", "kinds": 4 * "domain "}
    file = nrrd(tmp_path / "scan.nrrd", space_origin="(1,2,3,0)", **four, **fields)
    refused(file, "its fourth axis runs through space (space directions)")
    matrix = np.array(re.findall(r"[\d.]+", fields["space_directions"])).reshape(4, 4)
    matrix[2, 2] = "1"
    four = {"NDims": "4", "ElementSpacing": "1 1 2 1", "Offset": "1 2 3 0", "DimSize": "9 8 7 1"}
    file = meta(tmp_path / "scan.mha", TransformMatrix=" ".join(matrix.ravel()), **four)
    refused(file, "its fourth axis runs through space (TransformMatrix)")


def test_a_metaimage_of_four_axes_of_which_one_has_a_single_volume_is_read_as_three(tmp_path):
    four = {"NDims": "4", "ElementSpacing": "1 1 2 1", "Offset": "1 2 3 0"}
    four["TransformMatrix"] = " ".join(str(int(one)) for one in np.eye(4).ravel())
    check(meta(tmp_path / "1.mha", DimSize="9 8 7 1", **four))
    meta(tmp_path / "2.mha", 2 * VOXELS, DimSize="9 8 7 2", **four)
    refused(tmp_path / "2.mha", "it has 2 volumes")


def test_notes_in_an_nrrd_are_no_fields(tmp_path):
    notes = "little\nspace:=RAS\nkinds:=none\ndata file:=/etc/passwd"
    check(nrrd(tmp_path / "scan.nrrd", endian=notes))


# Damaged ones


@pytest.mark.parametrize("voxels", [flipped(GZIPPED), GZIPPED[:-8] + bytes(8), GZIPPED[:-50]])
def test_damaged_gzip_in_nrrd_is_noticed(voxels, tmp_path):
    refused(nrrd(tmp_path / "scan.nrrd", voxels, encoding="gzip"), "damaged or cut off")
    (tmp_path / "voxels.gz").write_bytes(voxels)
    detached = nrrd(tmp_path / "scan.nhdr", b"", encoding="gzip", data_file="voxels.gz")
    refused(detached, "damaged or cut off")


@pytest.mark.parametrize("voxels", [flipped(PACKED), PACKED[:-5], PACKED[:-1] + b"\0"])
def test_damaged_compression_in_metaimage_is_noticed(voxels, tmp_path):
    size = {"CompressedDataSize": str(len(voxels))}
    refused(meta(tmp_path / "scan.mha", voxels, CompressedData="True", **size), "damaged or cut")


@pytest.mark.parametrize("size", [None, len(PACKED) - 100])
def test_a_compressed_metaimage_of_another_size_or_of_none_is_refused(size, tmp_path):
    said = {} if size is None else {"CompressedDataSize": str(size)}
    file = meta(tmp_path / "scan.mha", PACKED, CompressedData="True", **said)
    refused(file, f"CompressedDataSize is {size or 'missing'}, but there are {len(PACKED)} bytes")


def test_more_bytes_than_the_header_says_are_refused(tmp_path):
    longer = VOXELS + bytes(40)
    (tmp_path / "voxels").write_bytes(b"left over" + VOXELS)
    gzipped = gzip.compress(longer)
    packed = zlib.compress(longer)
    size = {"CompressedData": "True", "CompressedDataSize": str(len(packed))}
    for file in (
        nrrd(tmp_path / "raw.nrrd", longer),
        nrrd(tmp_path / "gz.nrrd", gzipped, encoding="gzip"),
        nrrd(tmp_path / "apart.nhdr", b"", data_file="voxels"),
        nrrd(tmp_path / "skip.nhdr", b"", data_file="voxels", byte_skip="3"),
        meta(tmp_path / "raw.mha", longer),
        meta(tmp_path / "packed.mha", packed, **size),
        meta(tmp_path / "apart.mhd", b"", "voxels"),
    ):
        refused(file, f"more than the {len(VOXELS)} bytes that its header says")
    file = write_nifti(tmp_path / "scan.nii", ARRAY, affine_of((1, 1, 2), (1, 2, 3), np.eye(3)))
    file.write_bytes(file.read_bytes() + bytes(40))
    refused(file, "correct the header")


# Headers


def test_a_metaimage_may_say_its_voxels_size_instead_of_their_spacing_or_beside_it(tmp_path):
    file = meta(tmp_path / "scan.mha", DistanceUnits="mm", ElementSize="5 5 5")
    check(file)
    content = file.read_bytes().replace(b"ElementSize = 5 5 5\n", b"")
    file.write_bytes(content.replace(b"ElementSpacing", b"ElementSize"))
    check(file)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("space", None, "space is missing"),
        ("dimension", "2", "dimension is 2, so it is no stack of slices"),
        ("sizes", "9 -8 7", "sizes is 9 -8 7"),
        ("encoding", "bzip2", "encoding is bzip2, so it is not read; write raw, gzip"),
        ("kinds", "vector domain domain", "kinds is vector domain domain"),
        ("kinds", "RGB-color domain domain", "kinds is RGB-color domain domain"),
        ("data_file", "gone.raw", "its data file 'gone.raw' is missing"),
        ("Data_File", "gone.raw", "its data file 'gone.raw' is missing"),
        ("endian", None, "require endian info"),
        ("old_min", "-1", "old min is -1, so its values are not known"),
        ("oldmax", "255", "old max is 255, so its values are not known"),
        ("space", "LPS\nspace: RAS", "space is LPS and RAS, of which readers take one or another"),
    ],
)
def test_what_is_wrong_with_an_nrrd_header_is_named(field, value, message, tmp_path):
    refused(nrrd(tmp_path / "scan.nrrd", **{field: value}), "scan.nrrd: ", message)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("NDims", "2", "NDims is 2, so it is no stack of slices"),
        ("DimSize", "9 -8 7", "DimSize is 9 -8 7"),
        ("TransformMatrix", "2 0 0 0 2 0 0 0 2", "(TransformMatrix): direction = [2.0, 0.0"),
        ("DistanceUnits", "um", "DistanceUnits is um, so where its voxels lie is not known"),
        ("BinaryData", "False", "BinaryData is False, so it is not read; write binary voxels"),
        ("Origin", "9 9 9", "Offset or Origin or Position is 1 2 3 and 9 9 9, of which readers"),
        ("Rotation", "0 1 0 1 0 0 0 0 1", "TransformMatrix or Orientation or Rotation is 0 1 0"),
        ("ElementByteOrderMSB", "True", "ElementByteOrderMSB is False and True"),
        ("DimSize", "9 8 7\nDimSize = 8 9 7", "DimSize is 8 9 7 and 9 8 7"),
        ("ElementToIntensityFunctionSlope", "2", "ElementToIntensityFunctionSlope is 2"),
        ("data_file", "gone.raw", "its data file 'gone.raw' is missing"),
    ],
)
def test_what_is_wrong_with_a_metaimage_header_is_named(field, value, message, tmp_path):
    refused(meta(tmp_path / "scan.mha", **{field: value}), "scan.mha: ", message)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.mha"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_nifti_under_another_suffix_is_called_so(name, pack, tmp_path):
    file = write_nifti(tmp_path / "scan.nii", ARRAY, np.eye(4)).read_bytes()
    (tmp_path / name).write_bytes(pack(file))
    refused(tmp_path / name, "but NIfTI; name it .nii or .nii.gz")


def test_a_negative_side_in_nifti_is_named(tmp_path):
    file = write_nifti(tmp_path / "scan.nii", ARRAY, np.eye(4))
    content = bytearray(file.read_bytes())
    content[42:44] = np.int16(-9).tobytes()
    file.write_bytes(content)
    refused(file, "(-9, 8, 7)", "a side is not positive")


# Trust


@pytest.mark.parametrize("way", ["absolute", "above", "link", "list", "pattern"])
def test_voxels_outside_the_headers_folder_are_refused(way, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    secret = tmp_path / "secret1.raw"
    secret.write_bytes(VOXELS)
    (folder / "link.raw").symlink_to(secret)
    name = {
        "absolute": str(secret), "above": "../secret1.raw", "link": "link.raw",
        "list": "LIST\n../secret1.raw", "pattern": "../secret%d.raw 1 1 1",
    }[way]  # fmt: skip
    for file in (
        nrrd(folder / "scan.nhdr", b"", data_file=name),
        meta(folder / "scan.mhd", b"\n", name),
    ):
        refused(file, "its data file", "lies outside its folder")


def test_a_nifti_file_is_read_though_one_of_its_name_lies_beside_it(tmp_path):
    place = affine_of((1, 1, 2), (1, 2, 3), np.eye(3))
    write_nifti(tmp_path / "scan.nii", ARRAY + np.int16(7), place)
    check(write_nifti(tmp_path / "scan.nii.gz", ARRAY, place))
    other = read_scan(tmp_path / "scan.nii").array
    np.testing.assert_array_equal(other, ARRAY + 7)
