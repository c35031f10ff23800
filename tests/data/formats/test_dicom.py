"""A DICOM series is one stack of slices, and whatever is not is refused by its cause."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from sgrs_core.data.formats.dicom import dicom_files
from sgrs_core.data.formats.image_files import read_scan
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.data.preprocessing.new_scan import NewScan
from sgrs_core.experiment.settings import NiftiSettings
from sgrs_core.phantoms.dicom import locale_kept
from tests.data.formats.writing import affine_of, write_dicom

ARRAY = np.random.default_rng(0).integers(-1000, 1000, (10, 8, 6)).astype(np.int16)
AFFINE = affine_of((0.8, 0.7, 2.5), (-20.0, 15.0, 30.0), np.eye(3))


def written(folder: Path, change=lambda index, one: None, array=ARRAY, affine=AFFINE) -> Path:
    write_dicom(folder, array, affine, change)
    return folder


def edit(file: Path, **fields) -> None:
    one = pydicom.dcmread(file)
    for name, value in fields.items():
        if value is None:
            delattr(one, name)
        else:
            setattr(one, name, value)
    one.save_as(file)


def refused(folder: Path, *messages: str) -> None:
    with pytest.raises(ValueError, match=messages[0]) as told:
        read_scan(folder)
    for message in messages[1:]:
        assert message in str(told.value)
    assert "\n" not in str(told.value)


# What a stack is


@pytest.mark.parametrize("degrees", [2.0, 15.0, -30.0])
def test_a_gantry_tilt_is_refused_with_its_size(degrees, tmp_path):
    tilted = AFFINE.copy()
    tilted[1, 2] = np.tan(np.radians(degrees)) * 2.5
    array = np.repeat(ARRAY, 4, axis=2)
    refused(
        written(tmp_path / "s", array=array, affine=tilted), "s: .* gantry tilt", " mm elsewhere"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]),
        ("PixelSpacing", [0.7, 0.9]),
        ("RescaleSlope", "0.5"),
        ("RescaleIntercept", "-1024"),
        ("BitsStored", 12),
        ("PatientID", "2"),
        ("StudyInstanceUID", "1.2.3"),
        ("FrameOfReferenceUID", "1.2.3"),
        ("Modality", "PT"),
        ("RescaleType", "US"),
        ("EchoTime", "80"),
        ("TemporalPositionIdentifier", "2"),
    ],
)
def test_slices_that_differ_are_refused_by_what_differs(field, value, tmp_path):
    def change(index, one):
        if index:
            setattr(one, field, value)
            one.HighBit = one.BitsStored - 1

    refused(
        written(tmp_path / "s", change), f"s: the slices differ in {field}", "000.dcm", "001.dcm"
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slice_shifted_in_its_plane_is_refused(axis, tmp_path):
    def change(index, one):
        if index == 3:
            one.ImagePositionPatient[axis] += 5

    refused(
        written(tmp_path / "s", change), "s: the slices are not evenly", "5.00 mm aside", "003.dcm"
    )


@pytest.mark.parametrize(
    "field", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_missing_geometry_is_named_and_not_made_up(field, tmp_path):
    folder = written(tmp_path / "s")
    edit(folder / "002.dcm", **{field: None})
    refused(folder, rf"002\.dcm: {field} is None")


def test_pixel_spacing_of_zero_is_refused(tmp_path):
    def change(index, one):
        one.PixelSpacing = [0, 0.8]

    refused(written(tmp_path / "s", change), "gives voxels of 0.8 x 0 x 2.5 mm")


@pytest.mark.parametrize("step", [0.45, 0.625, 1.25, 3.3333])
def test_positions_rounded_to_a_tenth_are_an_intact_series(step, tmp_path):
    def change(index, one):
        one.ImagePositionPatient = [round(float(x), 1) for x in one.ImagePositionPatient]

    turned = affine_of((0.8, 0.7, step), (-20.03, 15.0, 30.0), np.eye(3))
    image = read_scan(written(tmp_path / "s", change, np.repeat(ARRAY, 9, 2), turned))
    assert image.spacing == pytest.approx((0.8, 0.7, step), rel=0.01)
    np.testing.assert_array_equal(image.array, np.repeat(ARRAY, 9, 2))


@pytest.mark.parametrize("lost", [1, 4])
@pytest.mark.parametrize("step", [0.5, 1.0, 5.0])
def test_a_missing_slice_is_refused(lost, step, tmp_path):
    folder = written(tmp_path / "s", affine=affine_of((1, 1, step), (0, 0, 0), np.eye(3)))
    (folder / f"{lost:03d}.dcm").unlink()
    refused(folder, f"once {2 * step:.2f} mm")


def test_slices_whose_distance_grows_are_refused(tmp_path):
    def change(index, one):
        one.ImagePositionPatient[2] = 2.5 * index + 0.05 * index**2

    refused(written(tmp_path / "s", change), "not evenly spaced")


def test_duplicates_and_several_times_of_one_place_are_named_as_such(tmp_path):
    folder = written(tmp_path / "s")
    shutil.copy(folder / "001.dcm", folder / "copy.dcm")
    refused(folder, "several slices lie at one place", "copy.dcm", "a file stored twice")


def test_files_are_ordered_by_place_whatever_their_names_and_numbers(tmp_path):
    folder = written(tmp_path / "s", lambda index, one: setattr(one, "InstanceNumber", 99 - index))
    for index, file in enumerate(sorted(folder.iterdir())):
        file.rename(folder / f"{(index * 5) % 7}.ima")
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


def test_one_slice_alone_needs_its_thickness(tmp_path):
    folder = written(tmp_path / "s", array=ARRAY[:, :, :1])
    assert read_scan(folder).spacing == pytest.approx((0.8, 0.7, 2.5))
    edit(folder / "000.dcm", SliceThickness=None)
    refused(folder, "one slice alone, and no SliceThickness")


# Which files


def test_a_series_in_two_folders_is_one_and_two_series_are_told_apart(tmp_path):
    folder = written(tmp_path / "s")
    (folder / "part").mkdir()
    for file in sorted(folder.glob("*.dcm"))[::2]:
        file.rename(folder / "part" / file.name)
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)
    written(folder / "other")
    refused(folder, "expected one DICOM series, found 2", "other", ".dcm")


def test_files_with_and_without_suffix_are_all_read_and_all_in_the_digest(tmp_path):
    folder = written(tmp_path / "s")
    files = sorted(folder.glob("*.dcm"))
    for file in files[::2]:
        file.rename(file.with_suffix(""))
    (folder / "001.dcm").rename(folder / "001.DCM")
    (folder / "._002").write_bytes(b"\0\5\x16\7 of macOS")
    (folder / "._002.dcm").write_bytes(b"\0\5\x16\7 of macOS")
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / "DICOMDIR.dcm").write_bytes(bytes(128) + b"DICM")
    (folder / "read me.txt").write_text("not a scan")
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)
    names = {file.name for file in dicom_files(folder)}
    assert names == {"000", "002", "004", "001.DCM", "003.dcm", "005.dcm"}


def test_slices_without_suffix_and_preamble_are_not_left_out(tmp_path):
    folder = written(tmp_path / "s")
    for file in sorted(folder.iterdir())[::2]:
        file.with_suffix("").write_bytes(file.read_bytes()[132:])
        file.unlink()
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_a_scan_of_another_modality_than_the_training_is_refused(modality, tmp_path):
    storage = CTImageStorage if modality == "CT" else MRImageStorage

    def change(index, one):
        one.SOPClassUID, one.Modality = storage, modality

    scan = read_scan(written(tmp_path / "s", change))
    window = {"nifti": vars(NiftiSettings(window=(-200.0, 400.0)))}
    for form, settings, trained_on in (
        ("pancreas", {}, "CT"),
        ("nifti", window, "CT"),
        ("nifti", {"least_intensity": -1000.0}, "CT"),
        ("la", {}, "MR"),
    ):
        spec = InputSpec(form, "LPS", True, None, **settings)
        if modality == trained_on == "CT":
            NewScan(scan, spec)
        elif modality != trained_on:
            message = f"Modality is {modality} in its DICOM files, but training is on {trained_on}"
            with pytest.raises(ValueError, match=message):
                NewScan(scan, spec)


def test_the_index_of_a_disc_is_no_slice_whatever_its_name(tmp_path):
    folder = written(tmp_path / "s")
    shutil.copy(folder / "001.dcm", folder / "index.dcm")
    edit(folder / "index.dcm", SOPClassUID=MediaStorageDirectoryStorage, Rows=None)
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


def test_a_link_to_a_slice_that_is_gone_is_named_though_the_others_are_a_stack(tmp_path):
    folder = written(tmp_path / "s")
    (folder / "005.dcm").rename(tmp_path / "away")
    (folder / "005.dcm").symlink_to(tmp_path / "gone")
    refused(folder, r"005\.dcm: .*No such file")


def test_an_empty_folder_is_said_to_be_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no DICOM file"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"SOPClassUID": RTStructureSetStorage, "Rows": None},
            "holds no image but RT Structure Set",
        ),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "Rows": None},
            "holds no image but Basic Text SR",
        ),
        ({"NumberOfFrames": 40}, r"multi-frame DICOM \(CT Image Storage, 40 slices"),
        (
            {"SOPClassUID": EnhancedCTImageStorage, "SharedFunctionalGroupsSequence": Sequence()},
            "multi-frame DICOM .* dcm2niix",
        ),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a localizer by its ImageType"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "CSA MIP"]}, "a mip by its ImageType"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIN_IP"]}, "a min_ip by its ImageType"),
        ({"SOPClassUID": SegmentationStorage}, "holds no image but Segmentation Storage"),
        ({"RescaleSlope": None}, "RescaleSlope is missing, so its values are not known in HU"),
        ({"RescaleIntercept": None}, "RescaleIntercept is missing"),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            "its PhotometricInterpretation is MONOCHROME1",
        ),
        ({"PhotometricInterpretation": "RGB"}, "its PhotometricInterpretation is RGB"),
        ({"SamplesPerPixel": 3}, ".* is MONOCHROME2, of 3 samples"),
        ({"BitsStored": 12}, "BitsAllocated 16, BitsStored 12, HighBit 15"),
        ({"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11}, "BitsAllocated 12"),
        ({"BitsStored": 17, "HighBit": 16}, ".* BitsStored 17"),
        ({"HighBit": None}, ".* HighBit None"),
        ({"PixelRepresentation": 7}, ".* PixelRepresentation 7"),
        ({"RescaleType": "ED"}, "RescaleType is ED, so its values are not in HU"),
        ({"RescaleType": "HU_MOD"}, "RescaleType is HU_MOD"),
        ({"ModalityLUTSequence": Sequence()}, ".*Modality LUT"),
        ({"Rows": None}, r"no readable DICOM slice; it may be damaged.* \(Rows missing\)"),
        ({"PixelData": None}, r".*damaged or cut off.* \(PixelData missing\)"),
        ({"PixelData": bytes(80)}, "its voxels are 80 bytes, 8 x 10 of them need 160: damaged"),
        ({"PixelData": bytes(320)}, "its voxels are 320 bytes"),
        ({"PixelSpacing": [0.7, float("nan")]}, "PixelSpacing is"),
        ({"ImageOrientationPatient": [0.5, 0, 0, 0, 0.5, 0]}, "ImageOrientationPatient is"),
        ({"RescaleSlope": float("inf")}, "RescaleSlope is"),
    ],
)
def test_what_is_no_slice_is_refused_by_its_cause(fields, message, tmp_path):
    folder = written(tmp_path / "s")
    edit(folder / "003.dcm", **fields)
    refused(folder, rf"003\.dcm: {message}")


def test_slices_that_all_lack_bytes_are_refused(tmp_path):
    folder = written(tmp_path / "s", lambda index, one: setattr(one, "Rows", 2 * one.Rows))
    refused(folder, r"\.dcm: its voxels are 160 bytes, 16 x 10 of them need 320")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.3, 0.6, 0.9, 0.99])
def test_a_slice_that_is_cut_off_is_named(kept, tmp_path, capfd):
    folder = written(tmp_path / "s")
    content = (folder / "003.dcm").read_bytes()
    (folder / "003.dcm").write_bytes(content[: int(kept * len(content))])
    refused(folder, r"003\.dcm: .*damaged or cut off")
    assert capfd.readouterr().err == ""


# Values


@pytest.mark.parametrize("slope", ["1", "0.5", "2"])
def test_slope_and_intercept_are_applied(slope, tmp_path):
    def change(index, one):
        one.RescaleSlope, one.RescaleIntercept = slope, "-1024"

    found = read_scan(written(tmp_path / "s", change)).array
    np.testing.assert_array_equal(found, ARRAY * float(slope) - 1024)


@pytest.mark.parametrize("unit", ["HU", "US", ""])
def test_hounsfield_units_may_be_unspecified(unit, tmp_path):
    folder = written(tmp_path / "s", lambda index, one: setattr(one, "RescaleType", unit))
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


@pytest.mark.parametrize(("bits", "signed"), [(12, True), (12, False), (16, False)])
def test_voxels_of_fewer_bits_or_without_a_sign_are_read(bits, signed, tmp_path):
    def change(index, one):
        stored = ARRAY[:, :, index].T.astype(int) + (0 if signed else 1024)
        one.PixelData = (stored & (2**bits - 1)).astype("<u2").tobytes()
        one.BitsStored, one.HighBit, one.PixelRepresentation = bits, bits - 1, int(signed)
        one.RescaleIntercept = "0" if signed else "-1024"

    np.testing.assert_array_equal(read_scan(written(tmp_path / "s", change)).array, ARRAY)


@pytest.mark.parametrize(("padding", "is_read"), [(24, True), (63536, False)])
def test_padding_brighter_than_all_else_is_refused_and_darker_is_read(padding, is_read, tmp_path):
    def change(index, one):
        stored = (ARRAY[:, :, index].T + 1024).astype("<u2")
        stored[:, :2] = padding
        one.PixelData, one.PixelRepresentation = stored.tobytes(), 0
        one.RescaleIntercept = "-1024"
        one.add_new("PixelPaddingValue", "US", padding)

    folder = written(tmp_path / "s", change)
    if is_read:
        assert read_scan(folder).array.min() == -1000
    else:
        refused(folder, "s: 96 voxels are padding", "of 62512, brighter than all others")


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_plain_transfer_syntaxes_are_read(syntax, tmp_path):
    folder = written(tmp_path / "s")
    for file in folder.iterdir():
        one = pydicom.dcmread(file)
        if syntax == ExplicitVRBigEndian:
            one.PixelData = one.pixel_array.astype(">i2").tobytes()
        one.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(
            file, one, implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian, force_encoding=True,
        )  # fmt: skip
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000", "RLE"])
def test_compressed_transfer_syntaxes_are_read(compressor, tmp_path):
    folder = written(tmp_path / "s")
    for file in folder.iterdir():
        if compressor == "RLE":
            one = pydicom.dcmread(file)
            one.compress(RLELossless)
            one.save_as(file)
            continue
        reader, writer = SimpleITK.ImageFileReader(), SimpleITK.ImageFileWriter()
        reader.SetFileName(str(file))
        image = reader.Execute()
        for key in reader.GetMetaDataKeys():
            image.SetMetaData(key, reader.GetMetaData(key))
        writer.SetImageIO("GDCMImageIO")
        writer.KeepOriginalImageUIDOn()
        writer.SetCompressor(compressor)
        writer.UseCompressionOn()
        writer.SetFileName(str(file))
        with locale_kept():
            writer.Execute(image)
        assert pydicom.dcmread(file).file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read_scan(folder).array, ARRAY)


def test_a_coding_that_is_not_known_is_named(tmp_path):
    folder = written(tmp_path / "s")
    for file in folder.iterdir():
        one = pydicom.dcmread(file)
        one.PixelData = pydicom.encaps.encapsulate([bytes(100)])
        one["PixelData"].VR = "OB"
        one.file_meta.TransferSyntaxUID = HTJ2KLossless
        one.save_as(file)
    refused(folder, r"000\.dcm: its voxels cannot be read", "their coding (High-Throughput")


def test_series_of_one_identity_are_told_by_uid_not_by_folder(tmp_path):
    same = generate_uid()

    def change(index, one):
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(one, name, same)

    folder = written(tmp_path / "s", change)
    written(folder / "again", change)
    refused(folder, "several slices lie at one place", "again")
