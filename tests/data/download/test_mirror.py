"""Many files from a real server on this machine that misbehaves as told."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sgrs_core.data.download.file import RemoteFile
from sgrs_core.data.download.mirror import download_all, mirror_files
from sgrs_core.data.download.retries import DownloadError
from sgrs_core.digests import Digest
from tests.data.server import (
    CONTENT,
    HASTY,
    OTHER_CONTENT,
    PATIENT,
    Fault,
    Server,
    answer_from,
    cut,
    digest,
    files_in,
    head_without_length,
    refuse_head,
    remote,
    sleep_first,
    status,
)


def held_files(server: Server, folder: Path, count: int) -> list[RemoteFile]:
    names = [f"scan_{number}.h5" for number in range(count)]
    for number, name in enumerate(names):
        server.holds(name, CONTENT[number:])
    return [remote(server, folder, name, server.contents[name]) for name in names]


def test_twenty_files_arrive_in_parallel(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 20)
    for file in files[::3]:
        server.faults[file.path.name] = [status(503), cut]

    download_all(files, patience=PATIENT)

    assert [file.check.fault(file.path) for file in files] == [None] * 20
    assert len(files_in(tmp_path)) == 20


def test_one_bad_file_is_named_and_the_others_are_kept(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 6)
    server.contents["scan_0.h5"] = OTHER_CONTENT

    with pytest.raises(DownloadError) as failure:
        download_all(files, workers=2, patience=PATIENT)

    assert "1 of 6 missing files" in str(failure.value)
    assert files[0].url in str(failure.value)
    assert not any(file.url in str(failure.value) for file in files[1:])
    assert files_in(tmp_path) == [f"scan_{number}.h5" for number in range(1, 6)]


def test_every_failed_file_is_named(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 4)
    for file in files[1:3]:
        server.faults[file.path.name] = [status(404)]

    with pytest.raises(DownloadError, match=r"(?s)2 of 4 .*scan_1\.h5.*404.*scan_2\.h5.*404"):
        download_all(files, patience=PATIENT)


def test_a_second_run_asks_only_for_what_is_missing(server: Server, tmp_path: Path) -> None:
    files = held_files(server, tmp_path, 3)
    server.faults["scan_1.h5"] = [status(403)]
    with pytest.raises(DownloadError):
        download_all(files, patience=PATIENT)

    download_all(files, patience=PATIENT)

    assert [len(server.ranges[file.path.name]) for file in files] == [1, 2, 1]


def test_an_empty_list_needs_no_server() -> None:
    download_all([])


def test_the_bar_counts_files_and_bytes(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download_all(held_files(server, tmp_path, 2), progress=True, patience=PATIENT)

    shown = capsys.readouterr().err
    assert "2/2 files: 100%" in shown
    assert "524k/524k" in shown


def test_without_a_terminal_there_are_log_lines_only(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.progress"):
        download_all(held_files(server, tmp_path, 2), patience=PATIENT)

    assert capsys.readouterr().err == ""
    assert "2/2 files, 0.5 MB at " in caplog.messages[-1]


# Sizes and room on the disk, before the first byte


def has_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))


def test_too_little_room_for_all_is_noticed_before_the_first_byte(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = held_files(server, tmp_path / "mirror", 4)
    has_room(monkeypatch, 1_000_000)  # enough for three of them

    with pytest.raises(
        DownloadError, match=r"4 files .*1\.0 MB to come.*mirror has 1\.0 MB free; make"
    ):
        download_all(files, patience=PATIENT)

    assert all(server.ranges[file.path.name] == [] for file in files)
    assert not (tmp_path / "mirror").exists()


def test_what_is_there_needs_no_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = held_files(server, tmp_path, 4)
    files[0].path.write_bytes(CONTENT)
    files[1].part.write_bytes(CONTENT[1:200_000])
    has_room(monkeypatch, 650_000)

    download_all(files, patience=PATIENT)

    assert sorted(server.heads) == ["scan_1.h5", "scan_2.h5", "scan_3.h5"]
    assert server.ranges["scan_1.h5"] == ["bytes=199999-"]


def test_a_known_size_is_not_asked_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [replace(file, size=2_000_000) for file in held_files(server, tmp_path, 2)]
    has_room(monkeypatch, 3_000_000)

    with pytest.raises(DownloadError, match=r"4\.0 MB to come"):
        download_all(files, patience=PATIENT)

    assert server.heads == []


@pytest.mark.parametrize("head", [refuse_head, head_without_length, status(503), sleep_first])
def test_a_server_that_tells_no_sizes_is_downloaded_from(
    server: Server, tmp_path: Path, head: Fault, capsys, caplog: pytest.LogCaptureFixture
) -> None:
    server.head = head
    files = held_files(server, tmp_path, 2)

    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.retries"):
        download_all(files, progress=True, patience=HASTY)

    assert f"{files[0].url}: size unknown" in "".join(caplog.messages)
    assert "2/2 files: 524kB" in capsys.readouterr().err
    assert files_in(tmp_path) == ["scan_0.h5", "scan_1.h5"]


def test_the_bar_starts_from_what_is_there_and_forgets_what_is_dropped(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = held_files(server, tmp_path, 2)
    files[0].part.write_bytes(OTHER_CONTENT[:100_000])
    server.faults["scan_1.h5"] = [cut, answer_from(0)]

    download_all(files, progress=True, patience=PATIENT)

    assert "524k/524k" in capsys.readouterr().err


# Names and addresses


@pytest.mark.parametrize(
    "name", ["a b/scan 1.h5", "Vorhöfe/größe.h5", "心房/01.h5", "50%/a?b#c&d+e.h5"]
)
def test_any_letters_in_a_name_reach_server_and_disk(
    server: Server, tmp_path: Path, name: str
) -> None:
    server.holds(name, CONTENT)

    download_all(
        mirror_files(f"{server.url}/", {name: digest(CONTENT)}, tmp_path), patience=PATIENT
    )

    assert (tmp_path / name).read_bytes() == CONTENT


def test_the_base_address_is_taken_as_it_is(tmp_path: Path) -> None:
    (file,) = mirror_files("https://host/Training%20Set", {"a/b c.h5": "0" * 64}, tmp_path)

    expected = "https://host/Training%20Set/a/b%20c.h5"
    assert file == RemoteFile(expected, tmp_path / "a" / "b c.h5", Digest("0" * 64))


@pytest.mark.parametrize("name", ["/etc/passwd", "../scan.h5", "a/../../scan.h5", "a/..", "."])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"^'{name}': names .* must be relative"):
        mirror_files("https://host", {"good.h5": "0" * 64, name: "0" * 64}, tmp_path)
