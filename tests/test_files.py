import pytest

from sgrs_core.files import atomic


def write_half(path):
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")


def test_a_file_appears_whole_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.csv"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["file.csv"]


def test_a_failed_block_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "file.csv"
    path.write_text("before")
    with pytest.raises(OSError, match="full"):
        write_half(path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.csv"]
