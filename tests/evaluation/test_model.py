from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgrs_core.evaluation.model import load_model, save_model
from sgrs_core.experiment.run import Run
from sgrs_core.methods import new_method


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    training = replace(tiny_training, learning_rate=0.03)
    return Run("vnet", {}, training, tiny_inference, 3, ("a",), (), {"last": ()})


def test_a_model_file_brings_back_run_weights_and_predictions(run, tmp_path):
    method = new_method(run).eval()
    other = new_method(replace(run, seed=4)).eval()
    weights = {"last": method.state_dict(), "best_on_test": other.state_dict()}
    save_model(tmp_path / "model.pt", run, weights)
    images = torch.randn(1, 1, 16, 16, 16)
    for selection, saved in (("last", method), ("best_on_test", other)):
        loaded_run, loaded, _ = load_model(tmp_path / "model.pt", selection)
        assert loaded_run == run
        assert torch.equal(loaded.predict(images), saved.predict(images))
    with pytest.raises(ValueError, match=r"model\.pt: .* has the selections last, best_on_test"):
        load_model(tmp_path / "model.pt", "best_on_validation")


def test_a_model_file_of_one_selection_as_older_versions_wrote_it_is_read(run, tmp_path):
    method = new_method(run)
    state = {"run": run.description(), "preparation": None, "weights": method.state_dict()}
    torch.save(state, tmp_path / "model.pt")
    found = load_model(tmp_path / "model.pt", "best_on_test").method.state_dict()
    assert all(torch.equal(found[name], value) for name, value in method.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_model_is_named(content, tmp_path):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pt: not a model that torch saved, or cut off"):
        load_model(tmp_path / "model.pt")


def test_equal_runs_have_equal_bytes_whatever_the_files_are_called(run, tmp_path):
    for name in ("model.pt", "other name.pt"):
        save_model(tmp_path / name, run, {"last": new_method(run).state_dict()})
    assert (tmp_path / "model.pt").read_bytes() == (tmp_path / "other name.pt").read_bytes()


@pytest.fixture
def model(run, tmp_path) -> Path:
    save_model(tmp_path / "model.pt", run, {"last": new_method(run).state_dict()})
    return tmp_path / "model.pt"


@given(st.data())
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_flipped_bit_never_changes_what_a_model_computes_without_a_word(model, data):
    whole = load_model(model).method.state_dict()
    content = bytearray(model.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = model.with_name("damaged.pt")
    damaged.write_bytes(content)
    try:
        found = load_model(damaged).method.state_dict()
    except ValueError:
        pass
    else:  # in padding or in a field of the zip format that nothing reads
        assert all(torch.equal(found[name], value) for name, value in whole.items())


def test_a_cut_off_model_is_refused_wherever_it_ends(model):
    content = model.read_bytes()
    for share in (0.01, 0.5, 0.99, 0.9999):
        model.write_bytes(content[: int(share * len(content))])
        with pytest.raises(
            ValueError, match=r"model\.pt: not a model that torch saved, or cut off"
        ):
            load_model(model)


def change(model: Path, **values) -> None:
    state = torch.load(model, weights_only=True)
    state.update(values)
    torch.save(state, model)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value, model, run):
    weights = new_method(run).state_dict()
    name = next(iter(weights))
    weights[name] = torch.full_like(weights[name], value)
    change(model, weights={"last": weights})
    with pytest.raises(ValueError, match=f"model.pt: the weights '{name}' hold NaN or infinite"):
        load_model(model)


def test_the_cause_is_named_not_an_exceptions_class(model, run):
    weights = new_method(run).state_dict()
    name, value = weights.popitem()
    for values, message in (
        ({"format": 99}, "written by a later version"),
        ({"run": run.description() | {"method": "unet"}}, "its method 'unet': allowed are vnet, "),
        (
            {"weights": {"last": weights}},
            f"its weights are not those of a vnet .*Missing key.*{name}",
        ),
        (
            {"weights": {"last": weights | {name: value[None]}}},
            f"its weights are not those of a vnet .*{name}",
        ),
    ):
        save_model(model, run, {"last": new_method(run).state_dict()})
        change(model, **values)
        with pytest.raises(ValueError, match=rf"model\.pt: {message}"):
            load_model(model)
    torch.save({"weights": {}}, model)
    with pytest.raises(ValueError, match="not a run's model, which holds 'run' and 'weights'"):
        load_model(model)


class Trap:
    """An object that would run code when unpickled."""

    def __reduce__(self):
        return (print, ("executed",))


def test_a_model_file_with_code_in_it_is_refused(tmp_path, capsys):
    torch.save({"run": Trap(), "weights": {}}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt: not a model that"):
        load_model(tmp_path / "model.pt")
    assert "executed" not in capsys.readouterr().out
