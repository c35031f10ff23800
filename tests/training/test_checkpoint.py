"""Checkpoints through faults: damage, a full disk, a clock that was set back, other settings."""

import errno
import hashlib
import io
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sgrs_core.methods import METHODS
from sgrs_core.methods.base import Method
from sgrs_core.training import checkpoint
from sgrs_core.training.checkpoint import Progress, newest_first, resume, save

IDENTITY = {"method": "vnet", "seed": 0}


@pytest.fixture
def new_method(tiny_training):
    def build() -> Method:
        return METHODS["vnet"](tiny_training)

    return build


def fill(method: Method, value: float) -> Method:
    for parameter in method.parameters():
        parameter.data.fill_(value)
    return method


@pytest.fixture
def saved(new_method, tmp_path) -> Path:
    """A folder with the checkpoints of iterations 3, 6 and 9, in which all weights are so much."""
    method = new_method()
    optimizers = method.optimizers()
    for iteration in (3, 6, 9):
        save(tmp_path, IDENTITY, fill(method, iteration), optimizers, Progress(iteration))
    return tmp_path


def resumed(folder: Path, method: Method, identity=IDENTITY) -> int:
    """The iteration that a run goes on from; its weights must be that iteration's."""
    progress = resume(folder, identity, method, method.optimizers())
    if progress.iteration:
        assert all(torch.all(value == progress.iteration) for value in method.parameters())
    return progress.iteration


def flip_a_bit(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_the_newest_and_the_one_before_are_kept(saved, new_method):
    assert [path.name[:17] for path in newest_first(saved)] == [
        "checkpoint-000009", "checkpoint-000006",
    ]  # fmt: skip
    assert resumed(saved, new_method()) == 9


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_flipped_bit_anywhere_is_noticed_and_the_checkpoint_before_is_used(
    share, saved, new_method, caplog
):
    newest = newest_first(saved)[0]
    flip_a_bit(newest, int(share * newest.stat().st_size))
    assert resumed(saved, new_method()) == 6
    assert f"{newest} is damaged" in caplog.text
    assert not newest.exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_checkpoint_is_noticed_and_the_one_before_is_used(share, saved, new_method):
    newest = newest_first(saved)[0]
    os.truncate(newest, int(share * newest.stat().st_size))
    assert resumed(saved, new_method()) == 6


def test_where_both_are_damaged_the_run_starts_anew_and_says_so(saved, new_method, caplog):
    for path in newest_first(saved):
        flip_a_bit(path, 1000)
    assert resumed(saved, new_method()) == 0
    assert caplog.text.count("is damaged") == 2


def test_the_checkpoint_after_a_damaged_one_does_not_push_out_the_sound_one(saved, new_method):
    flip_a_bit(newest_first(saved)[0], 1000)
    method = new_method()
    assert resumed(saved, method) == 6
    save(saved, IDENTITY, fill(method, 7), method.optimizers(), Progress(7))
    flip_a_bit(newest_first(saved)[0], 1000)
    assert resumed(saved, new_method()) == 6


def test_a_clock_that_was_set_back_does_not_make_an_old_checkpoint_the_newest(saved, new_method):
    newest, before = newest_first(saved)
    os.utime(newest, (0, 0))
    os.utime(before)
    assert resumed(saved, new_method()) == 9


def test_checkpoints_of_other_settings_are_removed_and_the_run_starts_anew(
    saved, new_method, caplog
):
    assert resumed(saved, new_method(), {"method": "vnet", "seed": 1}) == 0
    assert "made with another seed" in caplog.text
    assert newest_first(saved) == []


def test_what_was_changed_is_named_down_to_its_key():
    before = {"seed": 1, "training": {"iterations": 9, "precision": "float32"}, "old": 1}
    now = {"seed": 1, "training": {"iterations": 20, "precision": "float32"}, "new": 1}
    assert list(checkpoint.changed_keys(before, now)) == ["training.iterations", "new"]


def test_a_checkpoint_of_another_format_is_not_gone_on_from(saved, new_method, monkeypatch, caplog):
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    assert resumed(saved, new_method()) == 0
    assert "made with another checkpoint_format: starting anew" in caplog.text


def write_soundly(folder: Path, iteration: int, state: object) -> None:
    """A checkpoint whose digest is right, whatever it holds."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
    (folder / f"checkpoint-{iteration:06d}-{digest}.pt").write_bytes(buffer.getvalue())


def newest_state(folder: Path) -> dict[str, Any]:
    return torch.load(newest_first(folder)[0], weights_only=True)


@pytest.mark.parametrize("lost", ["identity", "method", "optimizers", "rows", "costs", "best"])
def test_one_that_lacks_what_this_version_reads_is_set_aside_and_the_one_before_is_used(
    lost, saved, new_method, caplog
):
    state = newest_state(saved)
    del state[lost]
    write_soundly(saved, 12, state)
    assert resumed(saved, new_method()) == 9
    assert "checkpoint-000012" in caplog.text
    assert "cannot be gone on from" in caplog.text
    assert [path.name[:17] for path in saved.glob("*.unreadable")] == ["checkpoint-000012"]


def test_nothing_of_one_that_could_be_read_in_part_stays_in_a_run_that_starts_anew(
    saved, new_method
):
    state = newest_state(saved)
    state["optimizers"] = []  # found after the weights are loaded
    for path in newest_first(saved):
        path.unlink()
    write_soundly(saved, 12, state)
    method = fill(new_method(), 0.5)
    assert resumed(saved, method) == 0
    assert all(torch.all(value == 0.5) for value in method.parameters())


def test_one_of_another_torch_is_gone_on_from_and_the_log_says_so(saved, new_method, caplog):
    write_soundly(saved, 12, newest_state(saved) | {"torch": "2.0.1", "iteration": 9})
    assert resumed(saved, new_method()) == 9
    assert "made by torch 2.0.1" in caplog.text


def test_files_of_others_in_the_folder_are_left_alone(saved, new_method):
    (saved / "notes.pt").write_text("mine")
    assert resumed(saved, new_method(), {"method": "vnet", "seed": 1}) == 0
    assert (saved / "notes.pt").exists()


def test_a_full_disk_keeps_the_checkpoints_there_are_and_names_the_file(small_disk, new_method):
    method = new_method()
    optimizers = method.optimizers()
    save(small_disk, IDENTITY, fill(method, 3), optimizers, Progress(3))
    (small_disk / "filler").write_bytes(bytes(_free(small_disk) - 4096))
    with pytest.raises(OSError, match=r"; checkpoint-000003-\w+\.pt is kept.*000006") as full:
        save(small_disk, IDENTITY, fill(method, 6), optimizers, Progress(6))
    assert full.value.errno == errno.ENOSPC
    assert sorted(path.suffix for path in small_disk.iterdir()) == ["", ".pt"]
    assert resumed(small_disk, new_method()) == 3
    (small_disk / "filler").unlink()
    save(small_disk, IDENTITY, fill(method, 6), optimizers, Progress(6))
    assert resumed(small_disk, new_method()) == 6


def test_a_full_disk_at_the_first_checkpoint_promises_nothing(small_disk, new_method):
    method = new_method()
    (small_disk / "filler").write_bytes(bytes(_free(small_disk) - 4096))
    with pytest.raises(OSError, match="there is none before it, the next start begins anew"):
        save(small_disk, IDENTITY, method, method.optimizers(), Progress(3))


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def test_a_checkpoint_cannot_run_code(tmp_path, new_method, caplog):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "broken in"),))

    method = new_method()
    progress = Progress(3, rows=[{"loss": Evil()}])  # type: ignore[dict-item]
    save(tmp_path, IDENTITY, method, method.optimizers(), progress)
    assert resumed(tmp_path, new_method()) == 0
    assert "UnpicklingError: Weights only load failed" in caplog.text
    assert not (tmp_path / "broken in").exists()


def test_a_first_start_says_nothing(tmp_path, new_method, caplog):
    caplog.set_level(logging.INFO)
    assert resumed(tmp_path, new_method()) == 0
    assert caplog.text == ""
