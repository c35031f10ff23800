"""Downloads from a real server on this machine that misbehaves as told."""

import gzip
import hashlib
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from sgrs_core.data.download import (
    CHUNK,
    DownloadError,
    RemoteFile,
    download,
    download_all,
    mirror_files,
    read_digests,
)
from sgrs_core.files import sha256_of

CONTENT = np.random.default_rng(0).bytes(4 * CHUNK + 17)
OTHER_CONTENT = np.random.default_rng(1).bytes(4 * CHUNK + 17)
CUT = 2 * CHUNK
PATIENCE: dict[str, Any] = {"retries": 3, "timeout": 5.0, "backoff": 0.001}
IMPATIENT = {**PATIENCE, "retries": 0}

Fault = Callable[["Handler", bytes], None]


# The server and its faults


class Server(ThreadingHTTPServer):
    """Serves `contents`; each of a name's `faults` is used up by one request for it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.ranges: dict[str, list[str | None]] = {}  # the Range header of every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def holds(self, name: str, content: bytes, *faults: Fault) -> None:
        self.contents[name] = content
        self.faults[name] = list(faults)
        self.ranges[name] = []


class Handler(BaseHTTPRequestHandler):
    """Answers whole or from the first byte of the Range header on."""

    server: Server

    def do_GET(self) -> None:
        name = unquote(self.path).removeprefix("/")
        if name not in self.server.contents:
            return self.answer(404, b"no such file")
        self.server.ranges[name].append(self.headers["Range"])
        faults = self.server.faults[name]
        fault = faults.pop(0) if faults else answer_well
        return fault(self, self.server.contents[name])

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        with suppress(ConnectionError):  # the client no longer waits for a slow answer
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the tests' output free of the server's."""


def answer_well(handler: Handler, content: bytes) -> None:
    wanted = handler.headers["Range"]
    if wanted is None:
        return handler.answer(200, content)
    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
    if start >= len(content):
        return handler.answer(416, b"")
    return handler.answer(206, content[start:])


def ignore_range(handler: Handler, content: bytes) -> None:
    handler.answer(200, content)


def cut(handler: Handler, content: bytes) -> None:
    handler.answer(200, content[:CUT], length=len(content))


def stall(handler: Handler, content: bytes) -> None:
    cut(handler, content)
    time.sleep(0.4)


def sleep_first(handler: Handler, content: bytes) -> None:
    time.sleep(0.4)
    handler.answer(200, content)


def error_page(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"<html>Too many downloads today</html>")


def labelled_gzip(handler: Handler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def compress_where_allowed(handler: Handler, content: bytes) -> None:
    allowed = "gzip" in handler.headers["Accept-Encoding"]
    handler.answer(200, gzip.compress(content) if allowed else content)


def status(code: int) -> Fault:
    return lambda handler, content: handler.answer(code, b"sorry")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def scan(server: Server, tmp_path: Path) -> RemoteFile:
    """A file that the server holds; tests put faults in its way."""
    server.holds("scan.h5", CONTENT)
    return remote(server, tmp_path, "scan.h5", CONTENT)


def remote(server: Server, folder: Path, name: str, content: bytes) -> RemoteFile:
    return RemoteFile(f"{server.url}/{name}", folder / name, digest(content))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# One file


def test_a_file_is_downloaded_whole_and_without_leftovers(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    download(scan, **PATIENCE)

    assert scan.path.read_bytes() == CONTENT
    assert files_in(tmp_path) == ["scan.h5"]
    assert server.ranges["scan.h5"] == [None]


def test_missing_folders_are_made(server: Server, tmp_path: Path) -> None:
    server.holds("scan.h5", CONTENT)
    file = RemoteFile(f"{server.url}/scan.h5", tmp_path / "a" / "b.h5", digest(CONTENT))

    download(file, **PATIENCE)

    assert file.path.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, scan: RemoteFile, code: int) -> None:
    server.faults["scan.h5"] = [status(code), status(code)]

    download(scan, **PATIENCE)

    assert scan.path.read_bytes() == CONTENT
    assert len(server.ranges["scan.h5"]) == 3


def test_the_wait_doubles_between_attempts(
    server: Server, scan: RemoteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults["scan.h5"] = [status(503)] * 3
    waits: list[float] = []
    monkeypatch.setattr("sgrs_core.data.download.time", SimpleNamespace(sleep=waits.append))

    download(scan, retries=3, backoff=0.5)

    assert waits == [0.5, 1.0, 2.0]


def test_a_server_that_stays_busy_is_given_up_by_name(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [status(503)] * 10

    with pytest.raises(DownloadError, match=r"scan\.h5: .* 503 .* after 4 attempts.*run again"):
        download(scan, **PATIENCE)

    assert len(server.ranges["scan.h5"]) == 4


@pytest.mark.parametrize("code", [401, 403, 410])
def test_a_refusal_fails_at_once_with_its_status(
    server: Server, scan: RemoteFile, code: int
) -> None:
    server.faults["scan.h5"] = [status(code)]

    with pytest.raises(DownloadError, match=rf"scan\.h5: .* {code} .*check the address"):
        download(scan, **PATIENCE)

    assert len(server.ranges["scan.h5"]) == 1


def test_a_missing_file_fails_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"missing\.h5: the server answered 404"):
        download(remote(server, tmp_path, "missing.h5", CONTENT), **PATIENCE)

    assert files_in(tmp_path) == []


def test_an_address_that_is_none_fails_at_once(tmp_path: Path) -> None:
    file = RemoteFile("scan.h5", tmp_path / "scan.h5", digest(CONTENT))

    with pytest.raises(DownloadError, match=r"scan\.h5: Invalid URL.*check the address"):
        download(file, retries=5, backoff=60.0)


def test_a_server_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    file = RemoteFile("http://127.0.0.1:1/scan.h5", tmp_path / "scan.h5", digest(CONTENT))

    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/scan\.h5: .*refused"):
        download(file, **PATIENCE)


def test_a_gzip_file_is_kept_as_the_server_stores_it(server: Server, tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT[:1000])
    server.holds("scan.nii.gz", packed, labelled_gzip)

    download(remote(server, tmp_path, "scan.nii.gz", packed), **PATIENCE)

    assert (tmp_path / "scan.nii.gz").read_bytes() == packed


def test_a_file_is_not_compressed_on_the_way(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [compress_where_allowed]

    download(scan, **PATIENCE)

    assert scan.path.read_bytes() == CONTENT


# Going on where an attempt stopped


def test_a_cut_connection_is_resumed_where_it_stopped(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [cut]

    download(scan, **PATIENCE)

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_stalled_connection_is_resumed_where_it_stopped(server: Server, scan: RemoteFile) -> None:
    server.faults["scan.h5"] = [stall]

    download(scan, **{**PATIENCE, "timeout": 0.1})

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_server_that_does_not_answer_in_time_is_asked_again(
    server: Server, scan: RemoteFile
) -> None:
    server.faults["scan.h5"] = [sleep_first]

    download(scan, **{**PATIENCE, "timeout": 0.1})

    assert server.ranges["scan.h5"] == [None, None]
    assert scan.path.read_bytes() == CONTENT


def test_a_later_run_resumes_what_an_earlier_one_gave_up(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.faults["scan.h5"] = [cut]
    with pytest.raises(DownloadError, match="goes on where it stopped"):
        download(scan, **IMPATIENT)
    assert files_in(tmp_path) == ["scan.h5.part"]

    download(scan, **IMPATIENT)

    assert server.ranges["scan.h5"] == [None, f"bytes={CUT}-"]
    assert scan.path.read_bytes() == CONTENT
    assert files_in(tmp_path) == ["scan.h5"]


def test_a_server_that_ignores_the_range_is_read_from_the_start(
    server: Server, scan: RemoteFile
) -> None:
    scan.part.write_bytes(CONTENT[:1000])
    server.faults["scan.h5"] = [ignore_range]

    download(scan, **IMPATIENT)

    assert server.ranges["scan.h5"] == ["bytes=1000-"]
    assert scan.path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_dropped(server: Server, scan: RemoteFile) -> None:
    scan.part.write_bytes(CONTENT + b"more")

    download(scan, **PATIENCE)

    assert server.ranges["scan.h5"] == [f"bytes={len(CONTENT) + 4}-", None]
    assert scan.path.read_bytes() == CONTENT


def test_a_part_of_another_version_gets_one_fresh_attempt(server: Server, scan: RemoteFile) -> None:
    scan.part.write_bytes(OTHER_CONTENT[:1000])

    download(scan, **PATIENCE)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]
    assert scan.path.read_bytes() == CONTENT


def test_a_file_wrong_after_its_fresh_attempt_is_given_up(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.contents["scan.h5"] = OTHER_CONTENT
    scan.part.write_bytes(CONTENT[:1000])

    with pytest.raises(DownloadError, match=f"found {digest(OTHER_CONTENT)}"):
        download(scan, **PATIENCE)

    assert server.ranges["scan.h5"] == ["bytes=1000-", None]
    assert files_in(tmp_path) == []


# Never a wrong file


def test_an_error_page_with_status_200_is_not_kept(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.faults["scan.h5"] = [error_page]

    with pytest.raises(DownloadError, match=r"scan\.h5: expected SHA-256 .*error page"):
        download(scan, **PATIENCE)

    assert files_in(tmp_path) == []


def test_a_wrong_digest_names_the_url_and_both_digests(
    server: Server, scan: RemoteFile, tmp_path: Path
) -> None:
    server.contents["scan.h5"] = OTHER_CONTENT

    with pytest.raises(DownloadError) as failure:
        download(scan, **PATIENCE)

    for told in (scan.url, digest(CONTENT), digest(OTHER_CONTENT)):
        assert told in str(failure.value)
    assert len(server.ranges["scan.h5"]) == 1
    assert files_in(tmp_path) == []


def test_a_complete_file_is_not_asked_for_again(server: Server, scan: RemoteFile) -> None:
    scan.path.write_bytes(CONTENT)

    download(scan, **PATIENCE)

    assert server.ranges["scan.h5"] == []


def test_a_corrupted_file_is_replaced(server: Server, scan: RemoteFile) -> None:
    scan.path.write_bytes(CONTENT[:-1])

    download(scan, **PATIENCE)

    assert scan.path.read_bytes() == CONTENT


def test_a_full_disk_is_noticed_before_the_first_byte(
    scan: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))

    with pytest.raises(DownloadError, match=r"scan\.h5: 0\.3 MB to come.*0\.0 MB free; make room"):
        download(scan, **PATIENCE)

    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    server.holds("scan.h5", CONTENT)
    (tmp_path / "folder").write_text("a file in the folder's place")
    file = RemoteFile(f"{server.url}/scan.h5", tmp_path / "folder" / "scan.h5", digest(CONTENT))

    with pytest.raises(DownloadError, match=r"folder/scan\.h5 cannot be read or written"):
        download(file, **PATIENCE)


# Many files


def held_files(server: Server, folder: Path, count: int) -> list[RemoteFile]:
    names = [f"scan_{number}.h5" for number in range(count)]
    for number, name in enumerate(names):
        server.holds(name, CONTENT[number:])
    return [remote(server, folder, name, server.contents[name]) for name in names]


def test_twenty_files_arrive_in_parallel(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 20)
    for file in files[::3]:
        server.faults[file.path.name] = [status(503), cut]

    download_all(files, **PATIENCE)

    assert [sha256_of(file.path) for file in files] == [file.sha256 for file in files]
    assert len(files_in(tmp_path)) == 20


def test_one_bad_file_is_named_and_the_others_are_kept(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 6)
    server.contents["scan_0.h5"] = OTHER_CONTENT

    with pytest.raises(DownloadError) as failure:
        download_all(files, workers=2, **PATIENCE)

    assert "1 of 6 files" in str(failure.value)
    assert files[0].url in str(failure.value)
    assert not any(file.url in str(failure.value) for file in files[1:])
    assert files_in(tmp_path) == [f"scan_{number}.h5" for number in range(1, 6)]


def test_every_failed_file_is_named(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 4)
    for file in files[1:3]:
        server.faults[file.path.name] = [status(404)]

    with pytest.raises(DownloadError, match=r"(?s)2 of 4 .*scan_1\.h5.*404.*scan_2\.h5.*404"):
        download_all(files, **PATIENCE)


def test_a_second_run_asks_only_for_what_is_missing(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 3)
    server.faults["scan_1.h5"] = [status(403)]
    with pytest.raises(DownloadError):
        download_all(files, **PATIENCE)

    download_all(files, **PATIENCE)

    assert [len(server.ranges[file.path.name]) for file in files] == [1, 2, 1]


def test_an_empty_list_needs_no_server() -> None:
    download_all([])


def test_the_bar_counts_files_and_bytes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download_all(held_files(server, tmp_path, 2), progress=True, **PATIENCE)

    assert "2/2 files: 524kB" in capsys.readouterr().err


def test_without_a_terminal_there_are_log_lines_only(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download"):
        download_all(held_files(server, tmp_path, 2), **PATIENCE)

    assert capsys.readouterr().err == ""
    assert "2/2 files, 0.5 MB at " in caplog.messages[-1]


# Lists of digests


def test_a_digest_list_is_read(tmp_path: Path) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  x/scan 1.h5\n{'B' * 64} *y/mäßig.h5\n", encoding="utf-8")

    assert read_digests(listing) == {"x/scan 1.h5": "a" * 64, "y/mäßig.h5": "b" * 64}


@pytest.mark.parametrize(
    "line", ["", "abc  x.h5", f"{'a' * 63}g  x.h5", f"{'a' * 64} x.h5", f"{'a' * 64}  "]
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  good.h5\n{line}\n")

    with pytest.raises(ValueError, match=r"mirror\.sha256, line 2: expected '<64 hex digits>"):
        read_digests(listing)


def test_a_repeated_name_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  x.h5\n{'b' * 64}  x.h5\n")

    with pytest.raises(ValueError, match=r"mirror\.sha256, line 2: 'x\.h5' is listed twice"):
        read_digests(listing)


@pytest.mark.parametrize(
    "name", ["a b/scan 1.h5", "Vorhöfe/größe.h5", "心房/01.h5", "50%/a?b#c&d+e.h5"]
)
def test_any_letters_in_a_name_reach_server_and_disk(
    server: Server, tmp_path: Path, name: str
) -> None:
    server.holds(name, CONTENT)

    download_all(mirror_files(f"{server.url}/", {name: digest(CONTENT)}, tmp_path), **PATIENCE)

    assert (tmp_path / name).read_bytes() == CONTENT


def test_the_base_address_is_taken_as_it_is(tmp_path: Path) -> None:
    (file,) = mirror_files("https://host/Training%20Set", {"a/b c.h5": "0" * 64}, tmp_path)

    expected = "https://host/Training%20Set/a/b%20c.h5"
    assert file == RemoteFile(expected, tmp_path / "a" / "b c.h5", "0" * 64)


@pytest.mark.parametrize("name", ["/etc/passwd", "../scan.h5", "a/../../scan.h5", "a/..", "."])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name}': names .* must be relative"):
        mirror_files("https://host", {"good.h5": "0" * 64, name: "0" * 64}, tmp_path)


# The download job starts fast


def test_no_heavy_library_is_loaded() -> None:
    program = "import sys, sgrs_core.data.download; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)

    assert not {b"torch", b"pandas", b"SimpleITK"} & set(loaded.stdout.split())
