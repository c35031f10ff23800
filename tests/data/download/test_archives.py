"""Sound zips are unpacked whole; harmful and damaged ones leave nothing."""

import shutil
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sgrs_core.data.download import archives
from sgrs_core.data.download.archives import unpack
from sgrs_core.data.download.http import DownloadError
from sgrs_core.data.download.transfer import ContentError, Download
from tests.data.nbia import zipped
from tests.data.server import IMPATIENT, PAGE, Server, files_in

NOISE = np.random.default_rng(0).bytes(5000)
FIVE = zipped({f"{number}.dcm": NOISE for number in range(5)})


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Callable[..., Path]:
    """Have the files of a zip in a folder."""

    def run(content: bytes, pattern: str = "*") -> Path:
        server.contents["one.zip"] = content
        folder = tmp_path / "scans" / "one"
        how = partial(unpack, pattern=pattern)
        Download(f"{server.url}/one.zip", folder, lambda path: None, how).run(IMPATIENT)
        return folder

    return run


def link(kind: int) -> bytes:
    """A zip whose second member is no file."""
    member = zipfile.ZipInfo("link")
    member.external_attr = (kind | 0o777) << 16
    return zipped({"good": NOISE, member: b"/etc/passwd"})


def encrypted() -> bytes:
    content = bytearray(zipped({"1.dcm": NOISE}))
    content[6] |= 1  # the flags in front of the member
    content[content.index(b"PK\1\2") + 8] |= 1  # and those in the table at the end
    return bytes(content)


def changed(method: int) -> bytes:
    """A zip whose second member differs in one byte."""
    content = bytearray(zipped({"good": b"", "1.dcm": NOISE}, method))
    content[len(content) // 2] ^= 1
    return bytes(content)


OUTSIDE = [
    *("../evil", "a/../../evil", "/etc/evil", "..\\evil", "a\\..\\..\\evil", "C:\\evil", "C:evil"),
    *("a/C:evil", "\\evil", "\\\\host\\share\\evil", "../"),
]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        *((zipped({"good": NOISE, name: b""}), "lead out of its folder") for name in OUTSIDE),
        (zipped({"1.dcm_x": NOISE}).replace(b"1.dcm_x", b"1.dcm\0x"), "lead out of its folder"),
        *((link(kind), "'link' is a link") for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR)),
        (encrypted(), r"no sound zip .*1\.dcm.* is encrypted"),
        (zipped({"1.dcm": NOISE}, zipfile.ZIP_LZMA), "is compressed by method 14"),
        (zipped({"a/1.dcm": NOISE, "b/1.dcm": NOISE}), "'b/1.dcm' and 'a/1.dcm' would become one"),
        (changed(zipfile.ZIP_STORED), r"no sound zip \(Bad CRC-32 for file '1\.dcm'"),
        (changed(zipfile.ZIP_DEFLATED), "no sound zip"),
        *((FIVE[: int(len(FIVE) * kept)], "no sound zip") for kept in (0.01, 0.3, 0.6, 0.99)),
        (FIVE[7000:], "'0.dcm' lies before the first byte"),
        (b"", "no sound zip .*begins b''"),
        (PAGE, "no sound zip .*begins b'<html>Too many downloads today"),
    ],
)
def test_a_harmful_or_damaged_zip_is_refused_and_what_stood_there_stays(
    get: Callable[..., Path], tmp_path: Path, content: bytes, reason: str
) -> None:
    folder = get(zipped({"old": b""}))

    with pytest.raises(DownloadError, match=rf"one\.zip: .*{reason}"):
        get(content)

    assert files_in(folder) == ["old"]
    assert files_in(folder.parent) == ["one"]
    assert files_in(tmp_path) == ["scans"]


def test_files_of_any_folder_are_unpacked_by_their_pattern(
    get: Callable[..., Path], on_disk: set[int]
) -> None:
    members = {"a/": b"", "a/b/1.dcm": NOISE, "c\\2.dcm": b"text", "3.dcm": b"", "LICENSE": b"by"}

    folder = get(zipped(members | {"__MACOSX/._1.dcm": b"resource fork"}), "[!.]*.dcm")

    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        "1.dcm": NOISE, "2.dcm": b"text", "3.dcm": b"",
    }  # fmt: skip
    assert {file.stat().st_ino for file in folder.iterdir()} <= on_disk


def test_every_changed_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    whole = zipped({"1.dcm": b"some text, some text", "2.dcm": b"more"})
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 0xFF
        (tmp_path / "one.zip").write_bytes(content)
        try:
            unpack(tmp_path / "one.zip", tmp_path / "one", "*")
        except ContentError:
            pass
        else:
            read = {file.read_bytes() for file in (tmp_path / "one").iterdir()}
            assert read <= {b"some text, some text", b"more", b""}
        shutil.rmtree(tmp_path / "one", ignore_errors=True)
    assert files_in(tmp_path) == ["one.zip"]


def test_a_zip_larger_than_the_free_disk_is_not_begun(
    get: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))

    with pytest.raises(
        DownloadError, match=r"one\.zip: .*10\.0 MB needed.* 1\.0 MB free: make room"
    ):
        get(zipped({"bomb": bytes(10_000_000)}))

    assert files_in(tmp_path / "scans") == []


@pytest.mark.parametrize(
    ("packed", "reason"), [(True, "packed it has 0.0 MB"), (False, "it would")]
)
def test_a_zip_that_unpacks_to_far_more_than_scans_do_is_refused(
    packed: bool, reason: str, get: Callable[..., Path], tmp_path: Path, monkeypatch
) -> None:
    content = zipped({"bomb": bytes(3_000_000)}, zipfile.ZIP_DEFLATED) if packed else FIVE
    monkeypatch.setattr(archives, "MOST_BYTES", 50e9 if packed else 24_999)

    with pytest.raises(DownloadError, match=rf"one\.zip: .*{reason}.* the archive is refused"):
        get(content)

    assert files_in(tmp_path / "scans") == []


def test_what_a_killed_process_left_is_not_mixed_in(get: Callable[..., Path], tmp_path) -> None:
    (tmp_path / "scans" / "one.unpacked").mkdir(parents=True)
    (tmp_path / "scans" / "one.unpacked" / "old.dcm").touch()

    assert files_in(get(zipped({"1.dcm": NOISE}))) == ["1.dcm"]
    assert files_in(tmp_path / "scans") == ["one"]
