"""A log that grows with its run: rows on disk as they come, and the bytes of an undisturbed run."""

from pathlib import Path

import pytest

from sgrs_core.training.log_file import GrowingLog, write_log

ROWS = [
    {"iteration": 2, "loss": 0.5},
    {"iteration": 4, "loss": 0.1 + 0.2},
    {"iteration": 6, "loss": 0.25, "second_stage": 1e-9},  # a column that comes later
    {"iteration": 8, "loss": 0.125},
]


def whole(folder: Path, count: int) -> bytes:
    """What a run of so many rows writes at its end."""
    write_log(folder / "whole.csv", ROWS[:count])
    return (folder / "whole.csv").read_bytes()


def grow(log: GrowingLog, rows: list) -> None:
    for row in rows:
        log.rows.append(row)
        log.append_last()


def test_at_any_time_the_file_is_what_it_would_be_if_the_run_ended_now(tmp_path):
    log = GrowingLog(tmp_path / "log.csv", [])
    assert not log.path.exists()
    for count, row in enumerate(ROWS, start=1):
        grow(log, [row])
        assert log.path.read_bytes() == whole(tmp_path, count)


@pytest.mark.parametrize("checkpointed", [0, 1, 2, 3])
@pytest.mark.parametrize("torn", [b"", b"9,0.1"])
def test_rows_after_the_checkpoint_are_cut_before_the_run_goes_on(tmp_path, checkpointed, torn):
    path = tmp_path / "log.csv"
    grow(GrowingLog(path, []), ROWS)
    path.write_bytes(path.read_bytes() + torn)
    log = GrowingLog(path, ROWS[:checkpointed])
    there = path.read_bytes() if path.exists() else b""
    assert there == (whole(tmp_path, checkpointed) if checkpointed else b"")
    grow(log, ROWS[checkpointed:])
    assert path.read_bytes() == whole(tmp_path, len(ROWS))


def test_a_row_that_cannot_be_written_is_written_with_the_next(tmp_path, monkeypatch, caplog):
    log = GrowingLog(tmp_path / "log.csv", [])
    grow(log, ROWS[:1])

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        grow(log, ROWS[1:2])
    assert "No space left on device" in caplog.text
    grow(log, ROWS[2:])
    assert log.path.read_bytes() == whole(tmp_path, len(ROWS))
