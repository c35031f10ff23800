"""Pancreas-CT from a look-alike of the archive that misbehaves as told."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sgrs_core.data.download.retries import DownloadError
from sgrs_core.data.download.tcia import download_pancreas, list_series
from tests.data.nbia import COLLECTION, LABELS, Nbia, zipped
from tests.data.server import (
    HASTY,
    IMPATIENT,
    PAGE,
    PATIENT,
    Fault,
    cut,
    cut_in_chunks,
    digest,
    end_early_in_chunks,
    error_page,
    files_in,
    page_in_chunks,
    sleep_first,
    status,
)

FIRST, SECOND, THIRD = PATIENTS = [f"PANCREAS_{number:04}" for number in (1, 2, 30)]


@pytest.fixture
def nbia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nbia]:
    """Three patients with two, three and four images; the labels also of a fourth."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    noise = np.random.default_rng(0)
    folder = tmp_path / "archive"
    for count, patient in enumerate(PATIENTS, start=2):
        (folder / patient).mkdir(parents=True)
        for number in range(count):
            (folder / patient / f"1-{number:03}.dcm").write_bytes(noise.bytes(60_000))
    (folder / LABELS).mkdir()
    for number in (1, 2, 30, 31):
        (folder / LABELS / f"label{number:04}.nii.gz").write_bytes(noise.bytes(70_000))
    with Nbia(folder).running() as running:
        yield running


@pytest.fixture
def get(nbia: Nbia, tmp_path: Path) -> Callable[..., Path]:
    """Download the collection; the folder it is in."""

    def run(patients: list[str] = PATIENTS, **how) -> Path:
        folder = tmp_path / "scans"
        how = {"patience": PATIENT} | how
        download_pancreas(nbia.api, COLLECTION, nbia.labels, folder, patients, **how)
        return folder

    return run


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


# The list of series


def test_ct_series_are_listed_with_counts_and_sizes(nbia: Nbia) -> None:
    nbia.series.append({**nbia.series[0], "SeriesInstanceUID": "9", "Modality": "SEG"})
    del nbia.series[1]["FileSize"]

    listed = list_series(f"{nbia.api}/", COLLECTION, patience=PATIENT)

    assert [series.patient for series in listed] == PATIENTS
    assert [series.images for series in listed] == [2, 3, 4]
    assert [series.size for series in listed] == [120_000, None, 240_000]


@pytest.mark.parametrize("fault", [status(503), status(429), cut_in_chunks])
def test_the_list_is_asked_for_again(nbia: Nbia, fault: Fault) -> None:
    nbia.fails("getSeries", fault, fault)

    assert len(list_series(nbia.api, COLLECTION, patience=PATIENT)) == 3
    assert nbia.asked("getSeries") == 3


def test_a_list_that_is_late_is_asked_for_again(nbia: Nbia) -> None:
    nbia.fails("getSeries", sleep_first)

    assert len(list_series(nbia.api, COLLECTION, patience=HASTY)) == 3


@pytest.mark.parametrize(
    "body", [PAGE, b"", b"{}x", b'{"error": 1}', b"[1]", b'[{"Modality": "CT"}]', b"null", b"\xff"]
)
def test_a_reply_that_is_no_list_is_shown(nbia: Nbia, body: bytes) -> None:
    nbia.contents["getSeries"] = body

    with pytest.raises(
        DownloadError, match=r"getSeries.*expected a list of series as JSON"
    ) as told:
        list_series(nbia.api, COLLECTION, patience=PATIENT)

    assert repr(body[:30].decode("utf-8", "replace"))[1:-1] in str(told.value)


def test_an_image_count_that_is_no_number_is_refused(nbia: Nbia) -> None:
    nbia.series[0]["ImageCount"] = "many"

    with pytest.raises(DownloadError, match=r"expected a list of series as JSON.*many"):
        list_series(nbia.api, COLLECTION, patience=PATIENT)


def test_two_scans_of_a_patient_are_named(nbia: Nbia) -> None:
    nbia.series.append({**nbia.series[0], "SeriesInstanceUID": "1.2.99"})

    with pytest.raises(DownloadError, match=rf"{FIRST}: 1\.2\.826\.0\.1\.0, {FIRST}: 1\.2\.99$"):
        list_series(nbia.api, COLLECTION, patience=PATIENT)


def test_an_unknown_collection_is_refused(nbia: Nbia) -> None:
    with pytest.raises(DownloadError, match="the server answered 404"):
        list_series(nbia.api, "Pancreas", patience=PATIENT)


# Scans and labels


def test_scans_and_labels_arrive_as_the_archive_has_them(nbia: Nbia, get) -> None:
    assert everything(get()) == everything(nbia.folder)
    assert nbia.heads == ["labels"]  # a scan's size is not worth packing its zip


def test_only_wanted_patients_are_asked_for(nbia: Nbia, get) -> None:
    folder = get([SECOND, SECOND])

    assert files_in(folder) == [SECOND, LABELS]
    assert [nbia.asked(patient) for patient in PATIENTS] == [0, 1, 0]


def test_a_patient_that_the_collection_lacks_is_named_before_any_scan(nbia: Nbia, get) -> None:
    with pytest.raises(DownloadError, match=r"no CT series of PANCREAS_0007, X;.*remove"):
        get([FIRST, "PANCREAS_0007", "X"])

    assert nbia.asked(FIRST) == nbia.asked("labels") == 0


@pytest.mark.parametrize("fault", [status(503), status(408), cut_in_chunks, end_early_in_chunks])
def test_a_broken_zip_is_asked_for_again_from_its_first_byte(nbia: Nbia, get, fault: Fault) -> None:
    nbia.fails(SECOND, fault, fault)

    assert everything(get()) == everything(nbia.folder)
    assert nbia.ranges[SECOND] == [None, None, None]


def test_a_zip_that_is_late_is_asked_for_again(nbia: Nbia, get) -> None:
    nbia.fails(SECOND, sleep_first)

    assert everything(get(patience=HASTY)) == everything(nbia.folder)


@pytest.mark.parametrize("fault", [status(404), error_page, page_in_chunks, cut_in_chunks, cut])
def test_one_bad_scan_is_named_and_the_others_are_kept(nbia: Nbia, get, fault, tmp_path) -> None:
    nbia.fails(SECOND, *[fault] * 10)

    with pytest.raises(DownloadError, match=r"(?s)1 of 4 missing archives .*\.1\.1: ") as told:
        get()

    assert str(told.value).count("getImage") == 1
    assert files_in(tmp_path / "scans") == [FIRST, THIRD, LABELS]


def test_an_error_page_instead_of_a_zip_is_shown(nbia: Nbia, get) -> None:
    nbia.fails(SECOND, error_page)

    with pytest.raises(DownloadError, match=r"getImage.*not a zip, it begins with '<html>Too many"):
        get(patience=IMPATIENT)


def test_every_failure_is_named(nbia: Nbia, get, tmp_path: Path) -> None:
    nbia.fails(FIRST, status(403))
    nbia.fails("labels", error_page)

    with pytest.raises(DownloadError, match=r"(?s)2 of 4 .*\.1\.0: .*403.*labels.*not a zip"):
        get()

    assert files_in(tmp_path / "scans") == [SECOND, THIRD]


def test_a_second_run_asks_only_for_what_is_missing(nbia: Nbia, get) -> None:
    nbia.fails(SECOND, status(403))
    with pytest.raises(DownloadError):
        get()

    assert everything(get()) == everything(nbia.folder)
    asked = [nbia.asked(name) for name in (*PATIENTS, "labels")]
    assert asked == [1, 2, 1, 1]


def test_an_older_part_of_a_zip_is_not_gone_on_from(nbia: Nbia, get, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / f"{SECOND}.zip.part").write_bytes(nbia.scan_zip(SECOND)[:1000])

    assert everything(get()) == everything(nbia.folder)
    assert nbia.ranges[SECOND] == [None]


def test_a_whole_zip_that_a_killed_run_left_is_unpacked(nbia: Nbia, get, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / f"{SECOND}.zip").write_bytes(nbia.scan_zip(SECOND))

    assert everything(get()) == everything(nbia.folder)
    assert nbia.asked(SECOND) == 0


def test_a_folder_that_lost_an_image_is_replaced(nbia: Nbia, get, tmp_path: Path) -> None:
    (get() / SECOND / "1-001.dcm").unlink()

    assert everything(get()) == everything(nbia.folder)
    assert [nbia.asked(name) for name in (*PATIENTS, "labels")] == [1, 2, 1, 1]


@pytest.mark.parametrize("wrong", [2, 4])
def test_a_wrong_number_of_images_is_refused(nbia: Nbia, get, tmp_path: Path, wrong: int) -> None:
    nbia.series[1]["ImageCount"] = wrong

    with pytest.raises(DownloadError, match=rf"\.1\.1: {wrong} images \(\*\.dcm\) expected, 3"):
        get()

    assert files_in(tmp_path / "scans") == [FIRST, THIRD, LABELS]


def test_a_member_outside_its_folder_is_refused(nbia: Nbia, get, tmp_path: Path) -> None:
    nbia.contents[SECOND] = zipped({f"../{name}.dcm": b"" for name in "abc"})

    with pytest.raises(DownloadError, match=r"member '\.\./a\.dcm' would be written outside"):
        get()

    assert files_in(tmp_path / "scans") == [FIRST, THIRD, LABELS]
    assert files_in(tmp_path) == ["archive", "scans"]


def test_a_truncated_label_zip_is_refused(nbia: Nbia, get, tmp_path: Path) -> None:
    nbia.contents["labels"] = nbia.content("labels")[:100_000]

    with pytest.raises(DownloadError, match=r"labels.*a damaged zip or one cut off"):
        get()

    assert files_in(tmp_path / "scans") == PATIENTS


def test_labels_are_found_in_any_folder_of_their_zip(nbia: Nbia, get) -> None:
    names = [f"label{number}.nii.gz" for number in ("0001", "0002", "0030")]
    nbia.contents["labels"] = zipped(
        {"readme.txt": b"", f"a/b/{names[0]}": b"1", f"c/{names[1]}": b"2", names[2]: b"3"}
        | {f"__MACOSX/._{names[0]}": b"resource fork"}
    )

    assert files_in(get() / LABELS) == names


def test_a_patient_without_labels_is_named(nbia: Nbia, get, tmp_path: Path) -> None:
    (nbia.folder / LABELS / "label0030.nii.gz").unlink()

    with pytest.raises(DownloadError, match=r"labels.*: no label0030\.nii\.gz among the labels"):
        get()

    assert files_in(tmp_path / "scans") == PATIENTS


def test_labels_are_checked_against_their_digest(nbia: Nbia, get, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"labels.*expected SHA-256 {'0' * 64}"):
        get(labels_sha256="0" * 64)
    assert files_in(tmp_path / "scans") == PATIENTS

    nbia.contents["labels"] = nbia.content("labels")
    folder = get(labels_sha256=digest(nbia.contents["labels"]))

    assert everything(folder) == everything(nbia.folder)


def test_the_labels_digest_is_in_the_log(nbia: Nbia, get, caplog) -> None:
    nbia.contents["labels"] = nbia.content("labels")

    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.tcia"):
        get()

    assert f"{nbia.labels}: SHA-256 {digest(nbia.contents['labels'])}" in caplog.messages


def test_a_full_disk_is_noticed_before_the_first_scan(
    nbia: Nbia, get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))

    # 540 kB of images and 280 kB of labels; beside them one zip, as large as the labels.
    with pytest.raises(DownloadError, match=r"4 scans and labels: 1\.1 MB to come.*scans has 1\.0"):
        get(workers=1)

    assert not (tmp_path / "scans").exists()
    assert nbia.asked(FIRST) == nbia.asked("labels") == 0


def test_a_disk_that_fills_up_later_leaves_no_half_scan(
    nbia: Nbia, get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for entry in nbia.series:
        del entry["FileSize"]
    monkeypatch.setattr("sgrs_core.data.download.tcia.size_of", lambda url, timeout: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100_000))

    with pytest.raises(DownloadError, match=r"(?s)4 of 4 .* 0\.1 MB to come"):
        get()

    assert files_in(tmp_path / "scans") == []


def test_the_bar_counts_archives(get, capsys: pytest.CaptureFixture[str]) -> None:
    get(progress=True)

    assert "4/4 archives" in capsys.readouterr().err
