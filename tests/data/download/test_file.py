"""One file from a real server on this machine that misbehaves as told."""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgrs_core.data.download.archives import SoundZip
from sgrs_core.data.download.file import RemoteFile, download
from sgrs_core.data.download.retries import DownloadError, Patience
from sgrs_core.digests import Digest
from tests.data.nbia import zipped
from tests.data.server import (
    CONTENT,
    CUT,
    HASTY,
    IMPATIENT,
    OTHER_CONTENT,
    PATIENT,
    Fault,
    Handler,
    Server,
    answer_from,
    answer_in_chunks,
    cut,
    cut_in_chunks,
    digest,
    end_early_in_chunks,
    error_page,
    files_in,
    page_in_chunks,
    remote,
    sleep_first,
    stall,
    status,
)


@pytest.fixture
def scan(server: Server, tmp_path: Path) -> RemoteFile:
    """A file that the server holds; tests put faults in its way."""
    server.holds("scan.h5", CONTENT)
    return remote(server, tmp_path, "scan.h5", CONTENT)


def ignore_range(handler: Handler, content: bytes) -> None:
    handler.answer(200, content)


def labelled_gzip(handler: Handler, content: bytes) -> None:
    handler.answer(200, content, Content_Encoding="gzip")


def compress_where_allowed(handler: Handler, content: bytes) -> None:
    allowed = "gzip" in handler.headers["Accept-Encoding"]
    handler.answer(200, gzip.compress(content) if allowed else content)


# One file


def test_a_file_is_downloaded_whole_and_without_leftovers(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    download(scan, patience=PATIENT)

    assert scan.path.read_bytes() == CONTENT
    assert files_in(tmp_path) == ["scan.h5"]
    assert server.ranges["scan.h5"] == [None]


def test_missing_folders_are_made(server: Server, tmp_path: Path) -> None:
    server.holds("scan.h5", CONTENT)
    file = RemoteFile(f"{server.url}/scan.h5", tmp_path / "a" / "b.h5", Digest(digest(CONTENT)))

    download(file, patience=PATIENT)

    assert file.path.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, scan: RemoteFile, code: int) -> None:
    server.faults["scan.h5"] = [status(code), status(code)]

    download(scan, patience=PATIENT)

    assert scan.path.read_bytes() == CONTENT
    assert len(server.ranges["scan.h5"]) == 3


def test_the_wait_doubles_between_attempts(
    server: Server, scan: RemoteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults["scan.h5"] = [status(503)] * 3
    waits: list[float] = []
    monkeypatch.setattr("sgrs_core.data.download.retries.time", SimpleNamespace(sleep=waits.append))

    download(scan, patience=Patience(retries=3, backoff=0.5))

    assert waits == [0.5, 1.0, 2.0]


def test_a_server_that_stays_busy_is_given_up_by_name(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [status(503)] * 10

    with pytest.raises(DownloadError, match=r"scan\.h5: .* 503 .* after 4 attempts.*run again"):
        download(scan, patience=PATIENT)

    assert len(server.ranges["scan.h5"]) == 4


@pytest.mark.parametrize("code", [401, 403, 410])
def test_a_refusal_fails_at_once_with_its_status(
    server: Server, scan: RemoteFile, code: int
) -> None:
    server.faults["scan.h5"] = [status(code)]

    with pytest.raises(DownloadError, match=rf"scan\.h5: .* {code} .*check the address"):
        download(scan, patience=PATIENT)

    assert len(server.ranges["scan.h5"]) == 1


def test_a_missing_file_fails_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"missing\.h5: the server answered 404"):
        download(remote(server, tmp_path, "missing.h5", CONTENT), patience=PATIENT)

    assert files_in(tmp_path) == []


def test_an_address_that_is_none_fails_at_once(tmp_path: Path) -> None:
    file = RemoteFile("scan.h5", tmp_path / "scan.h5", Digest(digest(CONTENT)))

    with pytest.raises(DownloadError, match=r"scan\.h5: Invalid URL.*check the address"):
        download(file, patience=Patience(retries=5, backoff=60.0))


def test_a_server_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    file = RemoteFile("http://127.0.0.1:1/scan.h5", tmp_path / "scan.h5", Digest(digest(CONTENT)))

    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/scan\.h5: .*refused"):
        download(file, patience=PATIENT)


def test_a_gzip_file_is_kept_as_the_server_stores_it(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT[:1000])
    server.holds("scan.nii.gz", packed, labelled_gzip)

    download(remote(server, tmp_path, "scan.nii.gz", packed), patience=PATIENT)

    assert (tmp_path / "scan.nii.gz").read_bytes() == packed


def test_a_file_is_not_compressed_on_the_way(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [compress_where_allowed]

    download(scan, patience=PATIENT)

    assert scan.path.read_bytes() == CONTENT


# Going on where an attempt stopped


def test_a_cut_connection_is_resumed_where_it_stopped(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [cut]

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_stalled_connection_is_resumed_where_it_stopped(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [stall]

    download(scan, patience=HASTY)

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_server_that_does_not_answer_in_time_is_asked_again(
    server: Server, scan: RemoteFile
) -> None:
    server.faults["scan.h5"] = [sleep_first]

    download(scan, patience=HASTY)

    assert server.ranges["scan.h5"] == [None, None]
    assert scan.path.read_bytes() == CONTENT


def test_a_later_run_resumes_what_an_earlier_one_gave_up(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.faults["scan.h5"] = [cut]
    with pytest.raises(DownloadError, match="goes on where it stopped"):
        download(scan, patience=IMPATIENT)
    assert files_in(tmp_path) == ["scan.h5.part"]

    download(scan, patience=IMPATIENT)

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT
    assert files_in(tmp_path) == ["scan.h5"]


def test_a_server_that_ignores_the_range_is_read_from_the_start(
    server: Server, scan: RemoteFile
) -> None:
    scan.part.write_bytes(CONTENT[:1000])
    server.faults["scan.h5"] = [ignore_range]

    download(scan, patience=IMPATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server: Server, scan: RemoteFile) -> None:
    scan.part.write_bytes(CONTENT + b"more")

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == [f"bytes={len(CONTENT) + 4}-", None]
    assert scan.path.read_bytes() == CONTENT


def test_a_part_of_another_version_gets_one_fresh_attempt(server: Server, scan: RemoteFile) -> None:
    scan.part.write_bytes(OTHER_CONTENT[:1000])

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]
    assert scan.path.read_bytes() == CONTENT


def test_a_file_wrong_after_its_fresh_attempt_is_given_up(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.contents["scan.h5"] = OTHER_CONTENT
    scan.part.write_bytes(CONTENT[:1000])

    with pytest.raises(DownloadError, match=f"found {digest(OTHER_CONTENT)}"):
        download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]
    assert files_in(tmp_path) == []


# Never a wrong file


def test_an_error_page_with_status_200_is_not_kept(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.faults["scan.h5"] = [error_page]

    with pytest.raises(DownloadError, match=r"scan\.h5: expected SHA-256 .*error page"):
        download(scan, patience=PATIENT)

    assert files_in(tmp_path) == []


def test_a_wrong_digest_names_the_url_and_both_digests(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.contents["scan.h5"] = OTHER_CONTENT

    with pytest.raises(DownloadError) as failure:
        download(scan, patience=PATIENT)

    for told in (scan.url, digest(CONTENT), digest(OTHER_CONTENT)):
        assert told in str(failure.value)
    assert len(server.ranges["scan.h5"]) == 1
    assert files_in(tmp_path) == []


def test_a_complete_file_is_not_asked_for_again(server: Server, scan: RemoteFile) -> None:
    scan.path.write_bytes(CONTENT)

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == []


def test_a_corrupted_file_is_replaced(server: Server, scan: RemoteFile) -> None:
    scan.path.write_bytes(CONTENT[:-1])

    download(scan, patience=PATIENT)

    assert scan.path.read_bytes() == CONTENT


def test_a_full_disk_is_noticed_before_the_first_byte(
    scan: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))

    with pytest.raises(DownloadError, match=r"scan\.h5: 0\.3 MB to come.*0\.0 MB free; make room"):
        download(scan, patience=PATIENT)

    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    server.holds("scan.h5", CONTENT)
    (tmp_path / "folder").write_text("a file in the folder's place")
    file = RemoteFile(
        f"{server.url}/scan.h5", tmp_path / "folder" / "scan.h5", Digest(digest(CONTENT))
    )

    with pytest.raises(DownloadError, match=r"folder/scan\.h5 cannot be read or written"):
        download(file, patience=PATIENT)


# A 206 that is not what was asked for


@pytest.mark.parametrize("start", [0, 999, 1001])
def test_bytes_from_another_place_than_asked_for_are_not_added(
    server: Server, scan: RemoteFile, start: int, caplog: pytest.LogCaptureFixture
) -> None:
    scan.part.write_bytes(CONTENT[:1000])
    server.faults["scan.h5"] = [answer_from(start)]

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]
    assert f"asked for the bytes from 1000 on, the server sent bytes {start}-" in caplog.text
    assert scan.path.read_bytes() == CONTENT


def test_partial_bytes_of_unknown_place_are_not_added(server: Server, scan: RemoteFile) -> None:
    scan.part.write_bytes(CONTENT[:1000])
    server.faults["scan.h5"] = [lambda handler, content: handler.answer(206, content[1000:])]

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]


# Bodies of unknown length


def test_a_body_cut_without_its_length_is_resumed(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [cut_in_chunks]

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == [None, f"bytes={len(CONTENT) // 2}-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_body_that_ends_too_early_unnoticed_is_asked_for_again(
    server: Server, scan: RemoteFile
) -> None:
    server.faults["scan.h5"] = [end_early_in_chunks]

    download(scan, patience=PATIENT)

    assert server.ranges["scan.h5"] == [None, None]
    assert scan.path.read_bytes() == CONTENT


# Zips without a digest


@pytest.fixture
def archive(server: Server, tmp_path: Path) -> RemoteFile:
    """A zip made on the fly, known only to be one."""
    server.usual = answer_in_chunks
    server.holds("scan.zip", zipped({"1.dcm": CONTENT}))
    return RemoteFile(f"{server.url}/scan.zip", tmp_path / "scan.zip", SoundZip())


@pytest.mark.parametrize("fault", [cut, cut_in_chunks, end_early_in_chunks, page_in_chunks])
def test_a_zip_starts_again_from_its_first_byte(
    server: Server, archive: RemoteFile, tmp_path: Path, fault: Fault
) -> None:
    archive.part.write_bytes(server.contents["scan.zip"][:1000])
    server.faults["scan.zip"] = [fault]

    download(archive, patience=PATIENT)

    assert server.ranges["scan.zip"] == [None, None]
    assert archive.path.read_bytes() == server.contents["scan.zip"]


def test_a_zip_sent_whole_as_a_part_replaces_what_came_before(
    server: Server, archive: RemoteFile
) -> None:
    server.faults["scan.zip"] = [cut_in_chunks, answer_from(0)]

    download(archive, patience=PATIENT)

    assert archive.path.read_bytes() == server.contents["scan.zip"]


@pytest.mark.parametrize("fault", [cut, cut_in_chunks, status(503), status(404), page_in_chunks])
def test_nothing_is_kept_of_a_zip_that_was_given_up(
    server: Server, archive: RemoteFile, tmp_path: Path, fault: Fault
) -> None:
    server.faults["scan.zip"] = [fault] * 10

    with pytest.raises(DownloadError, match=r"/scan\.zip: "):
        download(archive, patience=PATIENT)

    assert files_in(tmp_path) == []


def test_an_error_page_instead_of_a_zip_is_shown(server: Server, archive: RemoteFile) -> None:
    server.faults["scan.zip"] = [error_page]

    with pytest.raises(DownloadError, match=r"not a zip, it begins with '<html>Too many"):
        download(archive, patience=PATIENT)

    assert len(server.ranges["scan.zip"]) == 1


# The download job starts fast


def test_no_heavy_library_is_loaded() -> None:
    modules = "sgrs_core.data.download.mirror, sgrs_core.data.download.tcia"
    program = f"import sys, {modules}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert not {b"torch", b"pandas", b"SimpleITK"} & set(loaded.stdout.split())
