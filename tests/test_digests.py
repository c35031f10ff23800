import subprocess
from pathlib import Path

import pytest

from sgrs_core.digests import (
    digest_fault,
    git_blob_of,
    list_files,
    read_digests,
)
from tests.places import CONFIG


def test_a_digest_list_is_read(tmp_path: Path) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  x/scan 1.h5\n{'B' * 64} *y/mäßig.h5\n", encoding="utf-8")

    assert read_digests(listing) == {"x/scan 1.h5": "a" * 64, "y/mäßig.h5": "b" * 64}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "abc  x.h5",
        f"{'a' * 63}g  x.h5",
        f"{'a' * 64} x.h5",
        f"{'a' * 64}  ",
        f"{'a' * 41}  x.h5",
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  good.h5\n{line}\n")

    with pytest.raises(
        ValueError, match=r"mirror\.sha256, line 2: expected '<64 or 40 hex digits>"
    ):
        read_digests(listing)


def test_a_repeated_name_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "mirror.sha256"
    listing.write_text(f"{'a' * 64}  x.h5\n{'b' * 64}  x.h5\n")

    with pytest.raises(ValueError, match=r"mirror\.sha256, line 2: 'x\.h5' is listed twice"):
        read_digests(listing)


def test_a_list_may_have_git_blob_ids(tmp_path: Path) -> None:
    listing = tmp_path / "mirror.gitsha1"
    listing.write_text(f"{'A' * 40}  x.h5\n{'b' * 64}  y.h5\n")

    assert read_digests(listing) == {"x.h5": "a" * 40, "y.h5": "b" * 64}


def test_the_pancreas_list_has_a_git_blob_id_for_each_of_82_scans() -> None:
    digests = read_digests(CONFIG / "splits/pancreas/mirror.gitsha1")

    assert list(digests) == [f"image{number:04}_norm.h5" for number in range(1, 83)]
    assert {len(digest) for digest in digests.values()} == {40}


@pytest.mark.parametrize(
    ("content", "blob"),
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_a_git_blob_id_is_what_git_computes(tmp_path: Path, content: bytes, blob: str) -> None:
    (tmp_path / "file").write_bytes(content)

    assert git_blob_of(tmp_path / "file") == blob
    assert digest_fault(blob, tmp_path / "file") is None


def test_a_fault_tells_both_digests(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    blob_fault = digest_fault("0" * 40, tmp_path / "file")
    sha256_fault = digest_fault("0" * 64, tmp_path / "file")

    assert blob_fault == f"expected git blob id {'0' * 40}, found {git_blob_of(tmp_path / 'file')}"
    assert sha256_fault.startswith(f"expected SHA-256 {'0' * 64}, found e3b0c44298fc1c14")
    md5_fault = digest_fault("0" * 32, tmp_path / "file")
    assert md5_fault == f"expected MD5 {'0' * 32}, found d41d8cd98f00b204e9800998ecf8427e"


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A list of two files in a folder beside it."""
    files = [tmp_path / "la" / name for name in ("scan 1.h5", "mäßig.h5")]
    files[0].parent.mkdir()
    for file in files:
        file.write_text(file.name)
    list_files(tmp_path / "la.sha256", files)
    return tmp_path / "la.sha256"


def test_sha256sum_finds_a_written_list_right_and_a_changed_file_wrong(listed: Path) -> None:
    check = ["sha256sum", "--check", "--strict", listed.name]
    assert subprocess.run(check, cwd=listed.parent, check=False).returncode == 0
    assert set(read_digests(listed)) == {"la/scan 1.h5", "la/mäßig.h5"}
    (listed.parent / "la/mäßig.h5").write_text("changed")
    assert subprocess.run(check, cwd=listed.parent, check=False).returncode == 1
