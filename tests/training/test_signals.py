"""Signals ask a training to stop: it saves and ends, and the next start goes on from there."""

import os
import signal

import pytest
import torch

from sgrs_core.training.loop import train
from sgrs_core.training.signals import SIGNALS, StoppedError, defer_signals
from tests.training.test_loop import read, same
from tests.training.test_loop import run as run


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_obeyed_again_after_the_block(number):
    before = signal.getsignal(number)
    with defer_signals() as asked:
        assert asked() is None
        os.kill(os.getpid(), number)
        assert asked() == number.name
    assert signal.getsignal(number) is before


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_loses_no_iteration_and_ends_with_the_same_bits(run, tmp_path):
    whole = train(run, read, tmp_path / "whole")
    asked = iter([None, "SIGUSR1"])  # after the second iteration; checkpoints come every third
    with pytest.raises(StoppedError, match="SIGUSR1 after iteration 2 of 8"):
        train(run, read, tmp_path / "parts", lambda: next(asked))
    (saved,) = (tmp_path / "parts").glob("checkpoint-000002-*.pt")
    assert torch.load(saved, weights_only=True)["iteration"] == 2
    resumed = train(run, read, tmp_path / "parts")
    assert same(whole.weights["last"], resumed.weights["last"])


def test_a_run_that_is_asked_in_its_last_iteration_just_ends(run, tmp_path):
    asked = iter([None] * 7 + ["SIGTERM"])
    assert train(run, read, tmp_path, lambda: next(asked)).weights
