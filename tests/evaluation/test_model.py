from dataclasses import replace

import pytest
import torch

from sgrs_core.evaluation.model import load_model, save_model
from sgrs_core.experiment.run import Run
from sgrs_core.methods.new import new_method


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    training = replace(tiny_training, learning_rate=0.03)
    return Run("vnet", {}, training, tiny_inference, 3, ("a",), (), {"last": ()})


def test_a_model_file_brings_back_run_weights_and_predictions(run, tmp_path):
    method = new_method(run).eval()
    save_model(tmp_path / "model.pt", run, method.state_dict())
    loaded_run, loaded, _ = load_model(tmp_path / "model.pt")
    images = torch.randn(1, 1, 16, 16, 16)
    assert loaded_run == run
    assert torch.equal(loaded.predict(images), method.predict(images))


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
