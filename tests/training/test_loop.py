"""The loop: exact resume, the log, selection, and what happens when a loss is not finite."""

import csv
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.run import Run
from sgrs_core.methods import METHODS, new_method
from sgrs_core.methods.base import StepOutput
from sgrs_core.training.checkpoint import newest_first
from sgrs_core.training.loop import new_sampler, train


def read(name: str) -> Volume:
    """A box of noise with a bright cube, different for each name."""
    generator = np.random.default_rng(sum(map(ord, name)))
    image = generator.normal(size=(24, 24, 20)).astype(np.float32)
    label = np.zeros(image.shape, np.uint8)
    x, y, z = generator.integers(2, 10, 3)
    label[x : x + 9, y : y + 9, z : z + 9] = 1
    return Volume(image + 2 * label, label)


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    return Run(
        method="sgrs",
        settings={},
        training=tiny_training,
        inference=tiny_inference,
        seed=0,
        labelled=("a", "b"),
        unlabelled=("c", "d", "e"),
        selection_scans={"last": (), "best_on_test": ("x", "y")},
    )


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class PlugPulledError(Exception):
    """The plug."""


def train_until(run: Run, folder: Path, stop: int, monkeypatch) -> None:
    """Train until the step `stop`, then stop in the middle of it."""
    kind = METHODS[run.method]
    original = kind.step

    def step(self, batch, iteration):
        if iteration == stop:
            raise PlugPulledError
        return original(self, batch, iteration)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "step", step)
        with pytest.raises(PlugPulledError):
            train(run, read, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_run_stopped_anywhere_and_started_again_ends_with_the_same_bits(
    name, run, tmp_path, monkeypatch
):
    run = replace(run, method=name)
    whole = train(run, read, tmp_path / "whole")
    for stop in (2, 5, 8):
        parts = tmp_path / f"stopped before {stop}"
        train_until(run, parts, stop, monkeypatch)
        resumed = train(run, read, parts)
        for selection in ("last", "best_on_test"):
            assert same(resumed.weights[selection], whole.weights[selection])
        assert resumed.rows == whole.rows
        assert resumed.facts["selected"] == whole.facts["selected"]


@pytest.mark.slow
def test_what_a_run_cost_includes_the_starts_that_were_killed(run, tmp_path, monkeypatch):
    train_until(run, tmp_path, 5, monkeypatch)  # after the first checkpoint
    train_until(run, tmp_path, 8, monkeypatch)
    facts = train(run, read, tmp_path).facts
    assert facts["starts"] == 3
    assert facts["wall_seconds"] >= facts["seconds"] > 0
    assert (facts["gpu_seconds"] > 0) is (facts["device"] != "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "strict"])
def test_the_same_run_gives_the_same_bits_and_another_seed_gives_others(run, precision, tmp_path):
    run = replace(run, training=replace(run.training, precision=precision))
    one, again, other = (
        train(replace(run, seed=seed), read, tmp_path / str(number)).weights["last"]
        for number, seed in enumerate((0, 0, 1))
    )
    assert same(one, again)
    assert not same(one, other)


@pytest.mark.slow
def test_choosing_a_checkpoint_does_not_change_the_training(run, tmp_path):
    judged = train(run, read, tmp_path / "judged")
    alone = train(replace(run, selection_scans={"last": ()}), read, tmp_path / "alone")
    assert same(judged.weights["last"], alone.weights["last"])
    assert judged.facts["read_test_scans_in_training"]
    assert not alone.facts["read_test_scans_in_training"]
    assert set(alone.weights) == {"last"}


@pytest.mark.slow
def test_a_second_stage_that_starts_from_the_best_is_shaped_by_test_scans(run, tmp_path):
    settings = {"pretraining": 0.5, "second_stage": "best_on_test"}
    last, best = (
        replace(run, method="bcp", settings=one) for one in ({"pretraining": 0.5}, settings)
    )
    honest, shaped = train(last, read, tmp_path / "last"), train(best, read, tmp_path / "best")
    assert not honest.facts["test_scans_shaped_weights"]
    assert shaped.facts["test_scans_shaped_weights"]
    stage = run.training.iterations // 2
    assert all(one.facts["selected"]["best_on_test"]["iteration"] > stage
               for one in (honest, shaped))  # fmt: skip


def test_a_stage_that_was_to_start_from_the_best_says_where_there_is_none_yet(
    run, tmp_path, caplog
):
    settings = {"pretraining": 1 / 8, "second_stage": "best_on_test"}  # before the first choice
    trained = train(replace(run, method="bcp", settings=settings), read, tmp_path)
    assert not trained.facts["test_scans_shaped_weights"]
    assert (
        "iteration 2: the next stage was to start from the weights of best_on_test" in caplog.text
    )


@pytest.mark.slow
def test_networks_chosen_each_by_itself_are_put_together(run, tmp_path, monkeypatch):
    run = replace(run, method="cobionet", settings={"chosen": "each"})
    trained = train(run, read, tmp_path)
    chosen = trained.facts["selected"]
    assert set(chosen) == {"best_on_test, network 1", "best_on_test, network 2"}
    method = new_method(run)
    method.load_state_dict(trained.weights["best_on_test"])  # nothing is missing


def test_the_best_checkpoint_is_the_one_with_the_highest_mean_dice(run, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    trained = train(run, read, tmp_path)
    logged = {
        int(message.split()[1].rstrip(":")): float(message.split()[-1])
        for message in caplog.messages
        if "best_on_test Dice" in message
    }
    assert list(logged) == [2, 4, 6, 8]
    chosen = trained.facts["selected"]["best_on_test"]
    assert chosen["mean_dice"] == pytest.approx(max(logged.values()), abs=1e-4)
    assert logged[chosen["iteration"]] == max(logged.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_labels_of_unlabelled_scans_cannot_matter(name, run, tmp_path):
    run = replace(run, method=name)

    def blind(scan: str) -> Volume:
        volume = read(scan)
        hidden = scan in run.unlabelled
        return replace(volume, label=volume.label * 0) if hidden else volume

    seeing = train(run, read, tmp_path / "seeing")
    blinded = train(run, blind, tmp_path / "blinded")
    assert same(seeing.weights["last"], blinded.weights["last"])


def test_the_log_holds_terms_and_diagnostics_every_few_iterations(run, tmp_path):
    trained = train(run, read, tmp_path)
    assert [row["iteration"] for row in trained.rows] == [2, 4, 6, 8]
    for row in trained.rows:
        fractions = row["omega_fraction"] + row["theta_fraction"] + row["delta_fraction"]
        assert fractions == pytest.approx(1, abs=1e-6)
        assert 0 <= row["pseudo_label_dice"] <= 1
    header = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert header.split(",")[:3] == ["iteration", "loss", "labelled_cross_entropy"]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 5, 8])
def test_the_log_grows_with_each_row_and_is_the_same_bytes_after_a_resume(
    stop, run, tmp_path, monkeypatch
):
    run = replace(run, method="bcp", settings={"pretraining": 4 / 8})  # a column comes later
    train(run, read, tmp_path / "whole")
    train_until(run, tmp_path / "parts", stop, monkeypatch)
    log = tmp_path / "parts/log.csv"
    rows = log.read_text().splitlines()[1:] if log.exists() else []
    assert [int(row.split(",")[0]) for row in rows] == list(range(2, stop, 2))
    train(run, read, tmp_path / "parts")
    assert log.read_bytes() == (tmp_path / "whole/log.csv").read_bytes()


def test_what_a_stage_does_not_log_stays_blank_in_its_rows(run, tmp_path):
    two_stages = replace(run, method="bcp", settings={"pretraining": 4 / 8})
    trained = train(two_stages, read, tmp_path)
    with (tmp_path / "log.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["iteration"]) for row in rows] == [2, 4, 6, 8]
    assert all("pseudo_label_dice" not in row for row in trained.rows[:2])
    for name, blank in (("pretraining", (2, 3)), ("inward", (0, 1)), ("pseudo_label_dice", (0, 1))):
        assert [number for number, row in enumerate(rows) if row[name] == ""] == list(blank)
    assert all(row["loss"] for row in rows)


def test_a_patch_that_is_longer_than_every_scan_is_warned_of_by_key_axis_and_scan(
    run, tiny_training, caplog
):
    def smaller(name: str) -> Volume:
        """Along z, all but one have 10 voxels, and that one 12."""
        volume, side = read(name), 12 if name == "d" else 10
        return replace(volume, image=volume.image[..., :side], label=volume.label[..., :side])

    for reading in (read, lambda name: read(name) if name == "d" else smaller(name), smaller):
        new_sampler(run, new_method(run), reading, torch.device("cpu"))
        assert not caplog.messages or reading is smaller
    assert caplog.messages == [
        "training.patch = [16, 16, 16]: longer along z than every training scan, the largest of "
        "which, d, has 12 voxels there; each patch is filled up with zeros"
    ]


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    run, tmp_path, monkeypatch
):
    kind = METHODS["sgrs"]
    original = kind.step

    def poisoned(self, batch, iteration):
        output = original(self, batch, iteration)
        if iteration < 5:
            return output
        nan = output.loss * math.nan
        return StepOutput(nan, {**output.terms, "consistent_dice": nan.detach()}, output.observed)

    monkeypatch.setattr(kind, "step", poisoned)
    with pytest.raises(FloatingPointError, match=r"iteration 5: the loss term 'consistent_dice'"):
        train(run, read, tmp_path)
    state = torch.load(newest_first(tmp_path)[0], weights_only=True)
    assert state["iteration"] == 3


def test_weights_that_are_not_finite_never_replace_a_good_checkpoint(run, tmp_path, monkeypatch):
    kind = METHODS["sgrs"]

    def explode(self, iteration):
        if iteration == 6:
            self.network.decoder.output.bias.data.fill_(math.inf)

    monkeypatch.setattr(kind, "after_step", explode)
    with pytest.raises(FloatingPointError, match=r"iteration 6: .*output\.bias"):
        train(run, read, tmp_path)
    assert torch.load(newest_first(tmp_path)[0], weights_only=True)["iteration"] == 3


@pytest.mark.slow
def test_a_checkpoint_of_other_settings_is_not_continued(run, tmp_path, monkeypatch, caplog):
    train_until(run, tmp_path, 8, monkeypatch)
    other = replace(run, training=replace(run.training, learning_rate=0.02))
    resumed = train(other, read, tmp_path)
    assert "training" in caplog.text
    assert "starting anew" in caplog.text
    assert same(resumed.weights["last"], train(other, read, tmp_path / "fresh").weights["last"])


def test_bfloat16_is_another_arithmetic_of_the_same_run(run, tmp_path):
    training = replace(run.training, patch=(32, 32, 16), iterations=3, precision="bfloat16")
    low = replace(run, training=training, selection_scans={"last": ()})
    # oneDNN's bfloat16 convolutions of few channels now and then give gradients that are not
    # finite, and other ones each time; torch's own kernels do not.
    with torch.backends.mkldnn.flags(enabled=False):
        trained = train(low, read, tmp_path)
    assert all(math.isfinite(row["loss"]) for row in trained.rows)
    assert all(
        value.dtype == torch.float32
        for value in trained.weights["last"].values()
        if value.is_floating_point()
    )


def test_asking_for_cuda_without_one_is_an_error_not_a_fall_back(run, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match="sees no CUDA device"):
        train(replace(run, training=replace(run.training, device="cuda")), read, tmp_path)


def test_a_description_can_be_turned_back_into_the_run(run):
    assert Run.from_description(run.description()) == run


def test_first_weights_depend_on_the_seed_alone(run):
    one, other = new_method(run).state_dict(), new_method(replace(run, labelled=("q",)))
    assert same(one, other.state_dict())
