"""Co-BioNet equals its public code: critics, every loss term, and the step with its gradients."""

import pytest
import torch
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import cobionet as losses
from sgrs_core.methods.cobionet import CoBioNet, CoBioNetSettings
from sgrs_core.networks.critic import Critic, critic_probability
from tests.golden.closeness import close, gradient_close
from tests.golden.stored import numbered

TERMS = {
    "supervised": "supervised",
    "difference": "difference",
    "masked": "mask",
    "generator": "generator",
    "critic": "critic",
}
BOTH = pytest.mark.parametrize("k", [1, 2])


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("cobionet")


@pytest.fixture(scope="module")
def half(arrays) -> int:
    """How many patches are labelled: the first half."""
    return len(arrays["label"]) // 2


@pytest.fixture
def logits(arrays):
    return [arrays[f"logits{k}"].clone().requires_grad_() for k in (1, 2)]


@pytest.fixture
def probabilities(logits):
    return [torch.sigmoid(each[:, 0]) for each in logits]


@pytest.fixture
def critics(arrays) -> list[Critic]:
    """Both critics with their recorded parameters, in train mode."""
    critics = [Critic(), Critic()]
    for k, critic in enumerate(critics, start=1):
        stored = numbered(arrays, f"critic{k}_p")
        for parameter, value in zip(critic.parameters(), stored, strict=True):
            parameter.data.copy_(value.view_as(parameter))
    return critics


def test_the_critics_size(critics, arrays):
    for critic in critics:
        parameters = list(critic.parameters())
        assert sum(parameter.numel() for parameter in parameters) == arrays["critic_n_parameters"]
        assert len(parameters) == arrays["critic_n_tensors"]


@BOTH
def test_supervised_loss(k, probabilities, half, arrays):
    loss = losses.supervised_loss(probabilities[k - 1][:half], arrays["label"][:half])
    close(loss, arrays[f"loss_supervised{k}"])


@BOTH
def test_difference_loss(k, probabilities, half, arrays):
    mine, other = probabilities[k - 1][half:], probabilities[2 - k][half:]
    loss = losses.difference_loss(mine, other)
    close(loss, arrays[f"loss_difference{k}"])


@BOTH
def test_masked_cross_supervision(k, probabilities, critics, half, arrays):
    mine, other = probabilities[k - 1][half:], probabilities[2 - k][half:]
    trusted = critic_probability(critics[2 - k], other) > CoBioNetSettings().threshold
    loss = losses.scalar_masked_loss(mine, other, trusted)
    close(loss, arrays[f"loss_mask{k}"])


@BOTH
def test_generator_and_critic_loss(k, probabilities, critics, half, arrays):
    outputs, label = probabilities[k - 1], arrays["label"][:half].float()
    on_outputs = critic_probability(critics[k - 1], outputs)
    generator = losses.generator_loss(on_outputs)
    close(generator, arrays[f"loss_generator{k}"])
    critic = losses.critic_loss(critic_probability(critics[k - 1], label), on_outputs)
    close(critic, arrays[f"loss_critic{k}"])


class Recorded(nn.Module):
    """Stands for a network: a patch full of i gives the recorded logits of patch i."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits[images[:, 0, 0, 0, 0].long()]


def numbered_patches(arrays) -> Batch:
    """Patch i is full of i; the first half is labelled."""
    labels, half = arrays["label"], len(arrays["label"]) // 2
    number = torch.arange(len(labels), dtype=torch.float32).view(-1, 1, 1, 1, 1)
    images = number.expand(-1, 1, *labels.shape[1:])
    return Batch(images[:half], labels[:half], images[half:])


def recorded_method(logits, recorded_critics, **settings) -> CoBioNet:
    """With w(t) = 0.5 at the ramp's end, as for the recorded gradients."""
    run = TrainingSettings(base_filters=2)
    method = CoBioNet(run, CoBioNetSettings(mutual_weight=0.5, **settings), labelled_scans=4)
    method.networks = nn.ModuleList(Recorded(each) for each in logits)
    for mine, critic in zip(method.critics, recorded_critics, strict=True):
        mine.load_state_dict(critic.state_dict())
    return method


def check_gradients(logits, arrays) -> None:
    for k, tensor in enumerate(logits, start=1):
        gradient_close(tensor.grad, arrays[f"grad_logits{k}"])


@pytest.mark.parametrize("critics_are", ["frozen", "trained"])
def test_the_step_of_the_method_and_its_gradients(critics_are, logits, critics, arrays):
    """Recorded: gradients of 0.7 supervised + 0.5 (difference + mask + 0.01 generator).

    One backward pass of both networks' sum gives them; critics that learn change nothing in them.
    """
    method = recorded_method(logits, critics, critics=critics_are)
    output = method.step(numbered_patches(arrays), method.training_settings.ramp_iterations)
    output.loss.backward()
    expected = torch.zeros(())
    for k in (1, 2):
        recorded = {name: arrays[f"loss_{stored}{k}"] for name, stored in TERMS.items()}
        if critics_are == "frozen":  # a loss that nothing learns from is not computed
            assert f"critic{k}" not in output.terms
            del recorded["critic"]
        for name, value in recorded.items():
            close(output.terms[f"{name}{k}"], value)
        mutual = recorded["difference"] + recorded["masked"] + 0.01 * recorded["generator"]
        expected = expected + 0.7 * recorded["supervised"] + 0.5 * mutual
        if critics_are == "trained":
            expected = expected + recorded["critic"]
    close(output.loss, expected)
    check_gradients(logits, arrays)


def test_a_trained_difference_has_the_recorded_loss_and_other_gradients(logits, critics, arrays):
    method = recorded_method(logits, critics, difference="trained")
    output = method.step(numbered_patches(arrays), method.training_settings.ramp_iterations)
    output.loss.backward()
    close(output.terms["difference1"], arrays["loss_difference1"])
    unlike = (logits[0].grad - arrays["grad_logits1"]).abs().max()
    assert unlike > 0.1 * arrays["grad_logits1"].abs().max()
