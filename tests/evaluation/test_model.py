from dataclasses import replace

import pytest
import torch

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
    with pytest.raises(ValueError, match=r"model\.pt: not a model that"):
        load_model(tmp_path / "model.pt")


class Trap:
    """An object that would run code when unpickled."""

    def __reduce__(self):
        return (print, ("executed",))


def test_a_model_file_with_code_in_it_is_refused(tmp_path, capsys):
    torch.save({"run": Trap(), "weights": {}}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt: not a model that"):
        load_model(tmp_path / "model.pt")
    assert "executed" not in capsys.readouterr().out
