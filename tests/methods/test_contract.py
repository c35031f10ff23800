"""A method of one's own that gives what nobody can use ends its run in one line that names it."""

import sys

import numpy as np
import pytest
import torch

from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.run import Run
from sgrs_core.log import in_one_line
from sgrs_core.methods.contract import own_errors_named
from sgrs_core.training.loop import train
from tests.methods.test_own_methods import SOURCE

STEP = "StepOutput.of(self.network(batch.images_l).square().mean())"
WRONG = {
    "a number": ("2.0", "step gives StepOutput.of(loss, ...), but this one gave a float"),
    "no tensor": ("StepOutput.of(2.0)", "step's loss is one number that depends on the weights, a "
                  "tensor of shape (), but this one gave a float"),
    "no mean": ("StepOutput.of(self.network(batch.images_l))",
                "but this one gave a tensor of shape (2, 2, 16, 16, 16)"),
    "detached": ("StepOutput.of(self.network(batch.images_l).mean().detach())",
                 "but this one gave a tensor of shape () without a gradient"),
    "a long term": (STEP[:-1] + ", parts=batch.images_l)",
                    "step's term 'parts' is one number, a tensor of shape (), but this one gave a"),
    "a column of the log": (STEP[:-1] + ", iteration=1.0)", "step's terms are called other than "
                            "iteration, loss, pseudo_label_dice and ..._fraction, which the log"),
    "a measured column": (STEP[:-1] + ", pseudo_label_dice=1.0)", "this one gave one called "
                          "pseudo_label_dice"),
    "a measured share": (STEP[:-1] + ", omega_fraction=1.0)", "gave one called omega_fraction"),
    "pseudo labels with channels": (
        STEP.replace("mean())", "mean(), {'pseudo_labels': batch.images_u > 0})"),
        "step's pseudo_labels are a tensor of shape (2, 16, 16, 16), but this one gave a tensor of "
        "shape (2, 1, 16, 16, 16)"),
    "not finite": (STEP[:-1] + " * float('nan'))", "iteration 1: the loss term 'loss' is nan"),
    "raised": ("StepOutput.of(self.decoder(batch.images_l).mean())", "line 13, in step of "
               "mine:MeanTeacher: it raised (AttributeError: 'MeanTeacher' object has no attri"),
    "raised by torch": ("StepOutput.of((self.network(batch.images_l) - batch.images_u[:, :, 1:]"
                        ").mean())", "line 13, in step of mine:MeanTeacher: it raised "
                        "(RuntimeError: The size of tensor a"),
}  # fmt: skip
PREDICTIONS = {
    "self.network(images)": "predict gives a tensor of shape (2, 16, 16, 16), but this one gave a "
    "tensor of shape (2, 2, 16, 16, 16)",
    "10 * self.network(images)[:, 1]": "predict gives the foreground's probability, from 0 to 1, ",
    "self.missing(images)": "it raised (AttributeError: ",
}


@pytest.fixture
def run_of(tmp_path, monkeypatch, tiny_training, tiny_inference):
    """Trains a method of this source, and gives its error in one line."""
    monkeypatch.syspath_prepend(tmp_path)
    run = Run("mine:MeanTeacher", {}, tiny_training, tiny_inference, 3, ("a", "b"), ("c", "d"),
              {"last": ()})  # fmt: skip

    def trained(source: str) -> str:
        (tmp_path / "mine.py").write_text(source)
        kinds = (RuntimeError, TypeError, FloatingPointError)
        with pytest.raises(kinds) as error, own_errors_named(run.method):
            train(run, read, tmp_path / "unfinished")
        return in_one_line(error.value)

    yield trained
    sys.modules.pop("mine", None)


def read(name: str) -> Volume:
    image = np.random.default_rng(ord(name)).normal(size=(20, 20, 20)).astype(np.float32)
    return Volume(image, (image > 1).astype(np.uint8))


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_step_is_refused_in_its_files_name_and_leaves_nothing(mistake, run_of, tmp_path):
    step, message = WRONG[mistake]
    assert SOURCE.count(STEP) == 1
    said = run_of(SOURCE.replace(STEP, step))
    assert message in said
    assert str(tmp_path / "mine.py") in said
    assert "MeanTeacher" in said
    assert not [path for path in (tmp_path / "unfinished").rglob("*") if path.is_file()]


@pytest.mark.parametrize("predicted", PREDICTIONS)
def test_a_wrong_prediction_is_refused_before_training(predicted, run_of, tmp_path):
    predict = f"    def predict(self, images):\n        return {predicted}\n"
    step = f"        return {STEP}\n"
    said = run_of(SOURCE.replace(step, f"        raise AssertionError('too late')\n\n{predict}"))
    assert PREDICTIONS[predicted] in said
    assert str(tmp_path / "mine.py") in said
    assert "docs/adding-a-method.md" in said


@pytest.mark.parametrize("classes", [1, 3])
def test_a_network_of_other_than_two_classes_is_refused_before_training(classes, run_of, tmp_path):
    step = f"        return {STEP}\n"
    build = (
        "    def build(self):\n"
        f"        self.network = torch.nn.Conv3d(1, {classes}, 3, padding=1)\n"
    )
    source = SOURCE.replace(step, f"        raise AssertionError('too late')\n\n{build}")
    said = run_of(f"import torch\n{source}")
    assert "network gives logits of shape (2, 2, 16, 16, 16), but this one gave a tensor" in said
    assert f"of shape (2, {classes}, 16, 16, 16)" in said
    assert str(tmp_path / "mine.py") in said


def test_errors_of_other_code_and_of_the_methods_here_stay_as_they_are(run_of):
    for method in ("vnet", "sgrs_core.methods.vnet:SupervisedVNet"):
        with pytest.raises(ZeroDivisionError), own_errors_named(method):
            torch.zeros(1).sum().item() // 0
