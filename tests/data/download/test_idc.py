"""Pancreas-CT from a look-alike of the Imaging Data Commons' bucket that misbehaves as told."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from sgrs_core.data.download.http import DownloadError
from sgrs_core.data.download.idc import list_series
from sgrs_core.data.download.transfer import Download, download_all
from tests.data.bucket import Bucket
from tests.data.server import (
    PATIENT,
    Fault,
    Handler,
    cut,
    cut_in_chunks,
    error_page,
    files_in,
    status,
)
from tests.places import CONFIG

FIRST, SECOND = "PANCREAS_0001", "PANCREAS_0002"
LIST = CONFIG / "splits/pancreas/idc.csv"


def made_up(count: int, seed: int) -> dict[str, bytes]:
    noise = np.random.default_rng(seed)
    return {f"{number}-a_b.dcm": noise.bytes(50_000 + number) for number in range(count)}


HELD = {FIRST: made_up(3, 1), SECOND: made_up(5, 2)}


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """Two patients' scans, and beside them what is no CT."""
    with Bucket(page=2).running() as running:
        for patient, files in HELD.items():
            running.hold("CT", patient, files)
        running.hold("SEG", FIRST, made_up(1, 3))
        yield running


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """The folder that they go to."""
    return tmp_path / "scans"


@pytest.fixture
def series(bucket: Bucket, tmp_path: Path, scans: Path) -> Callable[[], dict[str, Download]]:
    """The scans of the list, as the bucket has them now."""

    def listed() -> dict[str, Download]:
        return list_series(bucket.url + "/", bucket.write_list(tmp_path / "list"), "CT", scans)

    return listed


@pytest.fixture
def get(series) -> Callable[[], None]:
    """Download the scans."""
    return lambda: download_all(list(series().values()), policy=PATIENT)


def everything(folder: Path) -> dict[str, dict[str, bytes]]:
    return {
        one.name: {file.name: file.read_bytes() for file in one.iterdir()}
        for one in folder.iterdir()
    }


def uuid_of(bucket: Bucket, patient: str) -> str:
    return next(row[2] for row in bucket.rows if row[1] == patient)


def asked_files(bucket: Bucket) -> Counter[str]:
    """How often each file was asked for; the rest are listings."""
    return Counter({name: count for name, count in bucket.asked.items() if name in bucket.contents})


@pytest.mark.parametrize(
    "faults", [(), (status(503), status(429)), (cut, cut)], ids=["none", "busy", "cut"]
)
def test_series_arrive_as_the_bucket_has_them(
    bucket: Bucket, get, scans: Path, faults: tuple[Fault, ...]
) -> None:
    uuid = uuid_of(bucket, SECOND)
    bucket.fails(f"{uuid}/", *faults)
    bucket.fails(f"{uuid}/3-a_b.dcm", *faults)

    get()

    assert everything(scans) == HELD
    assert bucket.asked[f"{uuid}/3-a_b.dcm"] == 1 + len(faults)


def test_a_list_longer_than_a_page_is_read_to_its_end(bucket: Bucket, get, scans: Path) -> None:
    get()

    assert everything(scans) == HELD
    pages = bucket.asked - asked_files(bucket)
    assert pages.total() == 2 + 3  # of three files and of five, two on each page


def test_a_series_comes_over_one_connection(bucket: Bucket, get, scans: Path) -> None:
    """A new one for each of thousands of small files takes longer than the files."""
    opened = []

    class Kept(Handler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            opened.append(self.client_address)

    bucket.RequestHandlerClass = Kept

    get()

    assert everything(scans) == HELD
    assert len(opened) == len(HELD)


@pytest.mark.parametrize("fault", [status(404), status(503), cut, error_page])
def test_a_failed_series_is_named_and_a_second_run_asks_only_for_the_files_it_lacks(
    bucket: Bucket, get, scans: Path, fault: Fault
) -> None:
    uuid = uuid_of(bucket, SECOND)
    bucket.fails(f"{uuid}/2-a_b.dcm", *[fault] * 4)

    with pytest.raises(DownloadError, match=rf"1 of 2 .*\n  {SECOND}, series .*{uuid}: ") as told:
        get()

    assert FIRST not in str(told.value)
    kept = everything(scans)
    first_two = {name: HELD[SECOND][name] for name in ("0-a_b.dcm", "1-a_b.dcm")}
    assert kept == {FIRST: HELD[FIRST], f"{SECOND}.download": first_two}
    bucket.fails(f"{uuid}/2-a_b.dcm")
    bucket.asked.clear()
    get()
    assert everything(scans) == HELD
    assert asked_files(bucket) == {f"{uuid}/{number}-a_b.dcm": 1 for number in (2, 3, 4)}


def test_what_a_killed_download_left_is_checked_and_cleaned_up(
    bucket: Bucket, get, scans: Path
) -> None:
    left = scans / f"{FIRST}.download"
    left.mkdir(parents=True)
    (left / "0-a_b.dcm").write_bytes(HELD[FIRST]["0-a_b.dcm"])
    (left / "1-a_b.dcm").write_bytes(bytes(len(HELD[FIRST]["1-a_b.dcm"])))
    (left / "2-a_b.dcm.download").write_bytes(b"half")
    (left / "9.dcm").write_bytes(b"of another series")

    get()

    assert everything(scans) == HELD
    assert not asked_files(bucket)[f"{uuid_of(bucket, FIRST)}/0-a_b.dcm"]


def test_a_complete_series_is_not_asked_for_and_of_a_damaged_one_only_what_it_lacks(
    bucket: Bucket, get, scans: Path, caplog: pytest.LogCaptureFixture
) -> None:
    get()
    bucket.asked.clear()
    get()
    assert not bucket.asked
    (scans / SECOND / "3-a_b.dcm").unlink()

    with caplog.at_level(logging.INFO, logger="sgrs_core.data.download.transfer"):
        get()

    assert everything(scans) == HELD
    assert asked_files(bucket) == {f"{uuid_of(bucket, SECOND)}/3-a_b.dcm": 1}
    assert "1 of 2 are there already" in caplog.messages
    assert f"{scans / SECOND} is there" in caplog.messages


def test_bytes_that_changed_on_the_way_are_noticed_by_their_md5(
    bucket: Bucket, get, scans: Path
) -> None:
    key = f"{uuid_of(bucket, SECOND)}/1-a_b.dcm"
    bucket.fails(key, lambda handler, content: handler.answer(200, content[::-1]))

    with pytest.raises(DownloadError, match=rf"{key}: expected MD5 [0-9a-f]{{32}}, found"):
        get()

    assert files_in(scans) == [FIRST, f"{SECOND}.download"]


def test_of_a_file_that_was_stored_in_parts_only_the_size_is_known(
    bucket: Bucket, get, scans: Path
) -> None:
    key = f"{uuid_of(bucket, SECOND)}/1-a_b.dcm"
    bucket.etags[key] = f"{'0' * 32}-2"
    bucket.fails(key, lambda handler, content: handler.answer(200, content[1:]))
    with pytest.raises(DownloadError, match=rf"{key}: 50001 bytes expected, 50000 found"):
        get()

    get()

    assert everything(scans) == HELD


@pytest.mark.parametrize("name", ["../../x.dcm", "sub/x.dcm", "LICENSE", ".dcm", "x y.dcm"])
def test_a_name_that_is_no_dicom_file_of_the_series_is_refused(
    bucket: Bucket, get, scans: Path, name: str
) -> None:
    bucket.contents[f"{uuid_of(bucket, SECOND)}/{name}"] = b"x"

    with pytest.raises(DownloadError, match=rf"{SECOND}, series .*{name}' of '1' bytes is no"):
        get()

    assert everything(scans) == {FIRST: HELD[FIRST], f"{SECOND}.download": {}}


@pytest.mark.parametrize(("column", "change"), [(3, 1), (3, -1), (4, 1)])
def test_a_series_that_is_not_as_large_as_listed_is_refused(
    bucket: Bucket, get, scans: Path, column: int, change: int
) -> None:
    row = list(bucket.rows[1])
    row[column] += change
    bucket.rows[1] = tuple(row)

    with pytest.raises(
        DownloadError,
        match=rf"{SECOND}, .*: {row[3]} files of {row[4]} bytes expected, 5 of 250010 found",
    ):
        get()

    assert FIRST in files_in(scans)
    assert SECOND not in files_in(scans)


def test_a_series_that_the_bucket_does_not_hold_is_named(bucket: Bucket, get) -> None:
    bucket.rows[1] = ("CT", SECOND, "00000000-0000-0000-0000-00000000abcd", 5, 250_010)

    with pytest.raises(DownloadError, match=rf"{SECOND}, series .*abcd: 5 files .*, 0 of 0 found"):
        get()


def unfinished(handler: Handler, content: bytes) -> None:
    """Half a list, ended as if it were whole."""
    handler.answer(200, content[: len(content) // 2])


@pytest.mark.parametrize("fault", [error_page, unfinished, cut_in_chunks, status(403)])
def test_a_listing_that_cannot_be_had_is_told_with_what_came(
    bucket: Bucket, get, scans: Path, fault: Fault
) -> None:
    bucket.fails(f"{uuid_of(bucket, SECOND)}/", *[fault] * 4)

    with pytest.raises(DownloadError, match=rf"{SECOND}, series .*(got b'<|403|Response ended)"):
        get()

    assert everything(scans) == {FIRST: HELD[FIRST], f"{SECOND}.download": {}}


# The list that the project has


def test_the_projects_list_has_every_scan_that_its_owner_still_has(tmp_path: Path) -> None:
    names = [
        name
        for part in ("train", "test")
        for name in (CONFIG / f"splits/pancreas/{part}.list").read_text().split()
    ]
    patients = {f"PANCREAS_{name.removeprefix('image')}" for name in names}
    still = patients - {"PANCREAS_0025", "PANCREAS_0070"}
    assert len(still) == 80
    for modality in ("CT", "SEG"):
        assert set(list_series("https://server", LIST, modality, tmp_path)) == still


def test_the_projects_list_is_that_of_the_index(tmp_path: Path) -> None:
    """80 CT series with 18,942 images and 9,954 MB, 80 segmentations with 230 MB."""
    rows = [line.split(",") for line in LIST.read_text().splitlines() if line[0] != "#"][1:]
    sums = {
        modality: np.array([row[3:] for row in rows if row[0] == modality], np.int64).sum(axis=0)
        for modality in ("CT", "SEG")
    }
    assert sums["CT"].tolist() == [18_942, 9_954_192_018]
    assert sums["SEG"].tolist() == [80, 229_507_418]
    assert len({UUID(row[2]) for row in rows}) == len(rows) == 160
    first = list_series("https://server/", LIST, "CT", tmp_path)[FIRST]
    assert first.url == "https://server/ceb10f86-5ed4-4187-a613-b9c24dcf5024"
