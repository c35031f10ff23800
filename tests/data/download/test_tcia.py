"""Pancreas-CT from a look-alike of the archive that misbehaves as told."""

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sgrs_core.data.download.http import DownloadError
from sgrs_core.data.download.tcia import label_zip, list_scans
from sgrs_core.data.download.transfer import download_all, of_patients
from tests.data.nbia import COLLECTION, LABELS, Nbia
from tests.data.server import (
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
    status,
)

FIRST, SECOND, THIRD = PATIENTS = [f"PANCREAS_{number:04}" for number in (1, 2, 30)]


@pytest.fixture
def nbia(tmp_path: Path) -> Iterator[Nbia]:
    """Three patients with two, three and four images; the labels also of a fourth."""
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
def scans(tmp_path: Path) -> Path:
    """The folder that they go to."""
    return tmp_path / "scans"


@pytest.fixture
def get(nbia: Nbia, scans: Path) -> Callable[..., None]:
    """Download the collection."""

    def run(patients: list[str] = PATIENTS, labels_sha256: str | None = None, **how) -> None:
        listed = list_scans(nbia.api, COLLECTION, patients, scans, policy=PATIENT)
        labels = label_zip(nbia.labels, scans, patients, labels_sha256)
        download_all([*of_patients(patients, listed), labels], policy=PATIENT, **how)

    return run


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


# The list of series


@pytest.mark.parametrize("fault", [status(503), cut_in_chunks])
def test_the_list_is_asked_for_again(nbia: Nbia, get, fault: Fault) -> None:
    nbia.fails("getSeries", fault, fault)

    get([FIRST])

    assert nbia.asked["getSeries"] == 3


@pytest.mark.parametrize(
    "body",
    [
        *(PAGE, b"", b"{}x", b'{"error": 1}', b"[1]", b'[{"Modality": "CT"}]', b"null", b"\xff"),
        b'[{"Modality": "CT", "PatientID": "X", "SeriesInstanceUID": "1", "ImageCount": "many"}]',
        b'[{"Modality": "CT", "PatientID": 7, "SeriesInstanceUID": "1", "ImageCount": 1}]',
    ],
)
def test_a_reply_that_is_no_list_is_shown(nbia: Nbia, get, body: bytes) -> None:
    nbia.contents["getSeries"] = body

    with pytest.raises(
        DownloadError, match=r"getSeries.*expected a list of series as JSON"
    ) as told:
        get()

    assert repr(body[:30].decode("utf-8", "replace"))[1:-1] in str(told.value)


def test_a_patient_with_two_scans_is_named(nbia: Nbia, get) -> None:
    nbia.series.append({**nbia.series[0], "SeriesInstanceUID": "1.2.99"})

    with pytest.raises(DownloadError, match=rf"several CT series; leave .* right: {FIRST}$"):
        get()
    get([SECOND])  # what is advised


def test_a_patient_that_the_collection_lacks_is_named_before_any_scan(nbia: Nbia, get) -> None:
    nbia.series[1]["PatientID"] = f"../{SECOND}"  # leads nowhere else

    with pytest.raises(DownloadError, match=rf"no series of {SECOND}, X;.*remove"):
        get([FIRST, SECOND, "X"])

    assert set(nbia.asked) == {"getSeries"}


# Scans and labels


@pytest.mark.parametrize(
    "faults",
    [(), (status(503), status(408)), (cut_in_chunks, end_early_in_chunks)],
    ids=["none", "busy", "cut"],
)
def test_scans_and_labels_arrive_as_the_archive_has_them(
    nbia: Nbia, get, scans: Path, faults: tuple[Fault, ...]
) -> None:
    nbia.fails(SECOND, *faults)
    nbia.series.append({**nbia.series[0], "SeriesInstanceUID": "9", "Modality": "SEG"})

    get()

    assert everything(scans) == everything(nbia.folder)
    assert nbia.asked == {
        "getSeries": 1, "labels": 1, FIRST: 1, SECOND: 1 + len(faults), THIRD: 1,
    }  # fmt: skip


def test_only_wanted_patients_are_asked_for(nbia: Nbia, get, scans: Path) -> None:
    get([SECOND, SECOND])

    assert files_in(scans) == [SECOND, LABELS]
    assert nbia.asked == {"getSeries": 1, "labels": 1, SECOND: 1}


@pytest.mark.parametrize("fault", [status(404), error_page, page_in_chunks, cut_in_chunks, cut])
def test_every_failure_is_named_and_a_second_run_asks_only_for_these(
    nbia: Nbia, get, scans: Path, fault: Fault
) -> None:
    nbia.fails(SECOND, *[fault] * 4)
    nbia.fails("labels", error_page)

    with pytest.raises(
        DownloadError, match=r"(?s)2 of 4 .*\.1\.1: .*labels.*begins b'<html>"
    ) as told:
        get()

    assert str(told.value).count("getImage") == 1
    assert files_in(scans) == [FIRST, THIRD]
    nbia.fails(SECOND)
    nbia.asked.clear()
    get()
    assert everything(scans) == everything(nbia.folder)
    assert nbia.asked == {"getSeries": 1, "labels": 1, SECOND: 1}


def test_a_folder_that_lost_an_image_is_replaced(nbia: Nbia, get, scans: Path) -> None:
    get()
    (scans / SECOND / "1-001.dcm").unlink()
    nbia.asked.clear()

    get()

    assert everything(scans) == everything(nbia.folder)
    assert nbia.asked == {"getSeries": 1, SECOND: 1}


@pytest.mark.parametrize("wrong", [2, 4])
def test_a_wrong_number_of_images_is_refused(nbia: Nbia, get, scans: Path, wrong: int) -> None:
    nbia.series[1]["ImageCount"] = wrong

    with pytest.raises(DownloadError, match=rf"\.1\.1: {wrong} images \(\*\.dcm\) expected, 3"):
        get()

    assert files_in(scans) == [FIRST, THIRD, LABELS]


def test_a_patient_without_labels_is_named(nbia: Nbia, get, scans: Path) -> None:
    (nbia.folder / LABELS / "label0030.nii.gz").unlink()

    with pytest.raises(DownloadError, match=r"labels.*: no label0030\.nii\.gz among the labels"):
        get()

    assert files_in(scans) == PATIENTS


def test_labels_are_checked_against_their_digest(
    nbia: Nbia, get, scans: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nbia.contents["labels"] = nbia.content("labels")
    right = digest(nbia.contents["labels"])
    with pytest.raises(DownloadError, match=f"labels.*expected SHA-256 {'0' * 64}, found {right}"):
        get(labels_sha256="0" * 64)
    assert files_in(scans) == PATIENTS

    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.transfer"):
        get(labels_sha256=right)

    assert everything(scans) == everything(nbia.folder)
    assert f"{nbia.labels}: SHA-256 {right}" in caplog.messages


def test_a_full_disk_is_noticed_before_the_first_scan(
    nbia: Nbia, get, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=700_000))

    # 540 kB of images, and beside them one zip, at most as large as the largest scan.
    with pytest.raises(OSError, match=r"0\.8 MB needed, but .*scans has 0\.7"):
        get(workers=1)

    assert not scans.exists()
    assert set(nbia.asked) == {"getSeries"}
