import os
import signal
import subprocess
import sys
import threading

import pytest

from sgrs_core.files import atomic, exclusive_lock, read_json


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


def test_a_disk_that_is_full_is_named_with_the_file(small_disk):
    path = small_disk / "table.csv"
    with (
        pytest.raises(OSError, match=r"No space left on device: .*table\.csv"),
        atomic(path) as part,
    ):
        part.write_bytes(bytes(8 << 20))
    assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("content", ['{"run": {}', "[]", "{}", "3", ""])
def test_a_damaged_record_is_named(content, tmp_path):
    path = tmp_path / "record.json"
    path.write_text('{"run": {}}')
    assert read_json(path, "run") == {"run": {}}
    path.write_text(content)
    with pytest.raises(ValueError, match=r"record\.json: damaged \("):
        read_json(path, "run")


HOLD = "import sys; from pathlib import Path; from sgrs_core.files import exclusive_lock\n"
HOLD += "with exclusive_lock(Path(sys.argv[1])): print('held', flush=True); input()"


@pytest.fixture
def holder(tmp_path):
    """Another process, which holds the test's folder until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_folder_is_held_by_one_process_and_free_when_that_is_killed(holder, tmp_path):
    with pytest.raises(RuntimeError, match="another process"), exclusive_lock(tmp_path):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with exclusive_lock(tmp_path):
        pass


def test_who_waits_for_a_folder_gets_it_when_the_holder_ends(holder, tmp_path, caplog):
    threading.Timer(0.5, holder.kill).start()
    with exclusive_lock(tmp_path, wait=True):
        assert holder.wait() != 0
    assert "another process works here" in caplog.text
