"""Files from a real server on this machine that misbehaves as told."""

import gzip
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgrs_core.data.download.http import DownloadError
from sgrs_core.data.download.transfer import Download, download_all, mirror_files
from sgrs_core.digests import digest_fault
from tests.data.server import (
    CONTENT,
    IMPATIENT,
    OTHER_CONTENT,
    PATIENT,
    Fault,
    Handler,
    Server,
    cut,
    cut_in_chunks,
    digest,
    end_early_in_chunks,
    error_page,
    files_in,
    page_in_chunks,
    status,
)


def remote(server: Server, folder: Path, name: str, content: bytes) -> Download:
    """A file that the server holds."""
    server.contents[name] = content
    (file,) = mirror_files(server.url, {name: digest(content)}, folder)
    return file


@pytest.fixture
def scan(server: Server, tmp_path: Path) -> Download:
    """A file that the server holds; tests put faults in its way."""
    return remote(server, tmp_path / "scans", "scan.h5", CONTENT)


@pytest.fixture
def scans(server: Server, tmp_path: Path) -> list[Download]:
    """Six such files, without faults."""
    folder = tmp_path / "scans"
    return [remote(server, folder, f"{number}.h5", CONTENT[number:]) for number in range(6)]


def has_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))


# One file


@pytest.mark.parametrize("standing", [None, OTHER_CONTENT])
@pytest.mark.parametrize(
    "faults",
    [(), (status(503), cut), (cut_in_chunks,), (end_early_in_chunks,), (page_in_chunks,)],
    ids=["none", "busy, cut", "cut in chunks", "ended early", "page in chunks"],
)
def test_the_right_file_is_there_in_the_end_and_nothing_beside_it(
    server: Server,
    scan: Download,
    faults: tuple[Fault, ...],
    standing: bytes | None,
    on_disk: set[int],
) -> None:
    scan.path.parent.mkdir()
    scan.path.with_name("scan.h5.download").write_bytes(CONTENT[:1000])  # of a killed process
    if standing is not None:
        scan.path.write_bytes(standing)
    server.fails("scan.h5", *faults)

    download_all([scan], policy=PATIENT)

    assert scan.path.read_bytes() == CONTENT
    assert scan.path.stat().st_ino in on_disk
    assert files_in(scan.path.parent) == ["scan.h5"]
    assert server.asked["scan.h5"] == len(faults) + 1


@pytest.mark.parametrize(
    ("fault", "attempts", "reason"),
    [
        (status(404), 1, "the server answered 404"),
        (cut, 4, "more expected.* gave up after 4 attempts"),
        (
            error_page,
            1,
            rf"expected SHA-256 {digest(CONTENT)}, found .* begins b'<html>Too many downloads today"
            ".*address in a browser: an error page",
        ),
        (
            lambda handler, content: handler.answer(200, OTHER_CONTENT),
            1,
            rf"expected SHA-256 {digest(CONTENT)}, found {digest(OTHER_CONTENT)}; nothing is kept",
        ),
    ],
    ids=["404", "cut", "page", "other version"],
)
def test_a_wrong_file_is_refused_in_one_line_and_what_stood_there_stays(
    server: Server, scan: Download, fault: Fault, attempts: int, reason: str
) -> None:
    scan.path.parent.mkdir()
    scan.path.write_bytes(b"older")
    server.fails("scan.h5", *[fault] * 4)

    with pytest.raises(DownloadError, match=rf"^{scan.url}: .*{reason}") as told:
        scan.run(PATIENT)

    assert server.asked["scan.h5"] == attempts
    assert "\n" not in str(told.value)
    assert scan.path.read_bytes() == b"older"
    assert files_in(scan.path.parent) == ["scan.h5"]


def labelled_gzip(handler: Handler, content: bytes) -> None:
    handler.answer(200, content, Content_Encoding="gzip")


def compress_where_allowed(handler: Handler, content: bytes) -> None:
    allowed = "gzip" in handler.headers["Accept-Encoding"]
    handler.answer(200, gzip.compress(content) if allowed else content)


@pytest.mark.parametrize("fault", [labelled_gzip, compress_where_allowed])
def test_a_file_arrives_as_the_server_stores_it(
    server: Server, tmp_path: Path, fault: Fault
) -> None:
    packed = gzip.compress(CONTENT[:1000])
    server.fails("scan.nii.gz", fault)

    remote(server, tmp_path, "scan.nii.gz", packed).run(IMPATIENT)

    assert (tmp_path / "scan.nii.gz").read_bytes() == packed


def full(scan: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    has_room(monkeypatch, 1000)


def in_the_way(scan: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    scan.path.parent.write_text("a file in the folder's place")


def folder_in_its_place(scan: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    (scan.path / "mine").mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (full, r"0\.1 MB needed, but .*scans has 0\.0 MB free: make room"),
        (in_the_way, "exists"),
        (folder_in_its_place, "directory"),
    ],
)
def test_a_disk_that_refuses_is_named_with_the_file(
    server: Server, scan: Download, monkeypatch: pytest.MonkeyPatch, spoil: Callable, reason: str
) -> None:
    spoil(scan, monkeypatch)

    with pytest.raises(DownloadError, match=rf"{scan.url}: .*scan\.h5 cannot be .*{reason}.*check"):
        download_all([scan], policy=IMPATIENT)

    assert not scan.path.is_file()


# Many files


def test_files_arrive_side_by_side(server: Server, tmp_path: Path) -> None:
    files = [remote(server, tmp_path, f"{number}.h5", CONTENT[number:]) for number in range(20)]
    for file in files[::3]:
        server.fails(file.path.name, status(503), cut)

    download_all(files, policy=PATIENT)

    assert [file.path.read_bytes() for file in files] == [CONTENT[number:] for number in range(20)]
    assert len(files_in(tmp_path)) == 20


def test_every_failure_is_named_in_the_end_and_a_second_run_asks_only_for_these(
    server: Server, scans: list[Download], caplog: pytest.LogCaptureFixture
) -> None:
    server.fails("0.h5", error_page)
    server.fails("3.h5", status(404))

    with pytest.raises(DownloadError, match=r"(?s)2 of 6 .*/0\.h5.*begins.*/3\.h5.*404") as told:
        download_all(scans, workers=2, policy=PATIENT)

    assert len(str(told.value).splitlines()) == 3
    assert files_in(scans[0].path.parent) == ["1.h5", "2.h5", "4.h5", "5.h5"]
    assert set(str(told.value).splitlines()[1:]) == {
        f"  {record.message}" for record in caplog.records if record.levelno == logging.ERROR
    }
    download_all(scans, policy=PATIENT)
    assert [server.asked[scan.path.name] for scan in scans] == [2, 1, 1, 2, 1, 1]


def test_an_empty_list_needs_no_server() -> None:
    download_all([])


def test_too_little_room_for_all_is_noticed_before_the_first_byte(
    server: Server, scans: list[Download], monkeypatch: pytest.MonkeyPatch
) -> None:
    scans[0].path.parent.mkdir()
    scans[0].path.write_bytes(CONTENT)  # needs no room
    known = [
        Download(scan.url, scan.path, partial(digest_fault, digest(CONTENT[number:])), size=100_000)
        for number, scan in enumerate(scans)
    ]
    has_room(monkeypatch, 699_999)

    with pytest.raises(OSError, match=r"0\.7 MB needed, but .*scans has 0\.7 MB free: make room"):
        download_all(known, workers=2, policy=PATIENT)

    assert not server.asked
    has_room(monkeypatch, 700_000)
    download_all(known, workers=2, policy=PATIENT)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_bar_and_the_log_a_line_for_each_file(
    scans: list[Download],
    terminal: bool,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    scans[0].path.parent.mkdir()
    scans[0].path.write_bytes(CONTENT)

    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.transfer"):
        download_all(scans, policy=PATIENT)

    assert ("downloads: 100%" in capsys.readouterr().err) == terminal
    assert caplog.messages[0] == "1 of 6 are there already"
    assert {f"{scan.path} is there" for scan in scans[1:]} <= set(caplog.messages)


# Names and addresses


@pytest.mark.parametrize(
    "name", ["a b/scan 1.h5", "Vorhöfe/größe.h5", "心房/01.h5", "50%/a?b#c&d+e.h5"]
)
def test_any_letters_in_a_name_reach_server_and_disk(
    server: Server, tmp_path: Path, name: str
) -> None:
    download_all([remote(server, tmp_path, name, CONTENT)], policy=PATIENT)

    assert (tmp_path / name).read_bytes() == CONTENT


def test_the_base_address_is_taken_as_it_is(tmp_path: Path) -> None:
    (file,) = mirror_files("https://host/Training%20Set/", {"a/b c.h5": "0" * 64}, tmp_path)

    assert file.url == "https://host/Training%20Set/a/b%20c.h5"
    assert file.path == tmp_path / "a" / "b c.h5"


@pytest.mark.parametrize("name", ["/etc/passwd", "../scan.h5", "a/../../scan.h5", "a/..", "."])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name}': names .* must be relative"):
        mirror_files("https://host", {"good.h5": "0" * 64, name: "0" * 64}, tmp_path)


def test_the_download_jobs_load_no_heavy_library() -> None:
    program = "import sys, sgrs_core.data.download.tcia; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert not {b"torch", b"pandas", b"SimpleITK"} & set(loaded.stdout.split())
