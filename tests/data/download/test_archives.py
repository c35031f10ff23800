"""Sound zips are unpacked whole; harmful and damaged ones leave nothing."""

import shutil
import stat
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sgrs_core.data.download.archives import ArchiveError, SoundZip, check_zip, member_names, unpack
from tests.data.nbia import zipped
from tests.data.server import PAGE, files_in

NOISE = np.random.default_rng(0).bytes(5000)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Where a test writes its zip."""
    return tmp_path / "scan.zip"


def refused(archive: Path, reason: str) -> None:
    """Both ways of opening the zip refuse it, and unpacking leaves nothing but the zip."""
    with pytest.raises(ArchiveError, match=rf"scan\.zip: {reason}"):
        unpack(archive, archive.parent / "scan")
    assert files_in(archive.parent) == ["scan.zip"]
    with pytest.raises(ArchiveError, match=rf"scan\.zip: {reason}"):
        check_zip(archive)
    assert SoundZip().fault(archive) is not None


def test_folders_and_files_are_unpacked(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(zipped({"a/": b"", "a/1.dcm": NOISE, "b.txt": b"text", "empty": b""}))
    assert SoundZip().fault(archive) is None
    assert member_names(archive) == ["a/1.dcm", "b.txt", "empty"]

    unpack(archive, tmp_path / "new" / "scan")

    scan = tmp_path / "new" / "scan"
    assert (scan / "a/1.dcm").read_bytes() == NOISE
    assert (scan / "b.txt").read_bytes() == b"text"
    assert files_in(scan) == ["a", "b.txt", "empty"]
    assert files_in(tmp_path / "new") == ["scan"]


def test_only_wanted_members_are_unpacked_under_their_new_names(
    archive: Path, tmp_path: Path
) -> None:
    archive.write_bytes(zipped({"deep/down/1.dcm": NOISE, "LICENSE": b"text"}))

    unpack(
        archive,
        tmp_path / "scan",
        lambda name: Path(name).name if name.endswith(".dcm") else None,
    )

    assert files_in(tmp_path / "scan") == ["1.dcm"]


def test_a_backslash_is_a_separator_on_every_system(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(zipped({"a\\1.dcm": NOISE}))

    unpack(archive, tmp_path / "scan")

    assert (tmp_path / "scan" / "a" / "1.dcm").read_bytes() == NOISE


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/evil",
        "..\\evil",
        "a\\..\\..\\evil",
        "C:\\evil",
        "C:evil",
        "a/C:evil",
        "\\evil",
        "\\\\host\\share\\evil",
        "../",
    ],
)
def test_a_member_outside_the_folder_is_refused(archive: Path, name: str) -> None:
    archive.write_bytes(zipped({"good": NOISE, name: b""}))

    refused(archive, "member '.*' would be written outside its folder")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_device_is_refused(archive: Path, kind: int) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as writing:
        writing.writestr(link, "/etc/passwd")

    refused(archive, "member 'link' is a link or a device")


def test_an_encrypted_member_is_refused(archive: Path) -> None:
    content = bytearray(zipped({"1.dcm": NOISE}))
    content[6] |= 1  # the flags in front of the member
    content[content.index(b"PK\1\2") + 8] |= 1  # and those in the table at the end
    archive.write_bytes(content)

    refused(archive, r"member '1\.dcm' is encrypted")


def test_an_unusual_compression_is_refused(archive: Path) -> None:
    archive.write_bytes(zipped({"1.dcm": NOISE}, zipfile.ZIP_LZMA))

    refused(archive, r"member '1\.dcm' is compressed by method 14")


def test_a_name_cut_by_a_zero_byte_is_refused(archive: Path) -> None:
    archive.write_bytes(zipped({"1.dcm_evil": NOISE}).replace(b"1.dcm_evil", b"1.dcm\0evil"))

    refused(archive, "member .* has no usable name")


def test_an_error_page_is_shown(archive: Path) -> None:
    archive.write_bytes(PAGE)

    refused(archive, "not a zip, it begins with '<html>Too many downloads today")


def test_an_empty_file_is_no_zip(archive: Path) -> None:
    archive.write_bytes(b"")

    refused(archive, "not a zip, it begins with ''")


@pytest.mark.parametrize("kept", [0.01, 0.3, 0.6, 0.99])
def test_a_zip_cut_off_anywhere_is_refused(archive: Path, kept: float) -> None:
    content = zipped({f"{number}.dcm": NOISE for number in range(5)})
    archive.write_bytes(content[: int(len(content) * kept)])

    refused(archive, "a damaged zip or one cut off")


def test_a_zip_without_its_beginning_is_refused(archive: Path) -> None:
    content = zipped({f"{number}.dcm": NOISE for number in range(5)})
    archive.write_bytes(content[7000:])

    refused(archive, "member '0.dcm' lies before the first byte")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_changed_byte_is_noticed(archive: Path, method: int) -> None:
    content = bytearray(zipped({"good": b"", "1.dcm": NOISE}, method))
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)

    refused(archive, r"member '1\.dcm' is damaged .*download it again")


def test_every_changed_byte_is_noticed_or_harmless(archive: Path, tmp_path: Path) -> None:
    whole = zipped({"1.dcm": b"some text, some text", "2.dcm": b"more"})
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 0xFF
        archive.write_bytes(content)
        fault = SoundZip().fault(archive)
        try:
            unpack(archive, tmp_path / "scan")
        except ArchiveError:
            assert files_in(tmp_path) == ["scan.zip"]
            assert fault is not None
        else:
            shutil.rmtree(tmp_path / "scan")
            assert fault is None


def test_members_that_become_one_file_are_refused(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(zipped({"a/1.dcm": NOISE, "b/1.dcm": NOISE}))

    with pytest.raises(ArchiveError, match=r"'a/1\.dcm' and 'b/1\.dcm' would become one file"):
        unpack(archive, tmp_path / "scan", lambda name: Path(name).name)

    assert files_in(tmp_path) == ["scan.zip"]


def test_a_zip_larger_than_the_free_disk_is_not_begun(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.write_bytes(zipped({"bomb": bytes(10_000_000)}))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))

    with pytest.raises(
        ArchiveError, match=r"scan\.zip: 10\.0 MB to come.* 1\.0 MB free; make room"
    ):
        unpack(archive, tmp_path / "scan")

    assert files_in(tmp_path) == ["scan.zip"]


def test_a_folder_that_holds_something_stays_as_it_is(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(zipped({"1.dcm": NOISE}))
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "mine").touch()

    with pytest.raises(ArchiveError, match=r"cannot be unpacked .*remove what stands there"):
        unpack(archive, tmp_path / "scan")

    assert files_in(tmp_path / "scan") == ["mine"]
    assert files_in(tmp_path) == ["scan", "scan.zip"]


def test_what_a_killed_process_left_is_not_mixed_in(archive: Path, tmp_path: Path) -> None:
    archive.write_bytes(zipped({"1.dcm": NOISE}))
    (tmp_path / "scan.part").mkdir()
    (tmp_path / "scan.part" / "old.dcm").touch()

    unpack(archive, tmp_path / "scan")

    assert files_in(tmp_path / "scan") == ["1.dcm"]
