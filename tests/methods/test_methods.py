"""What holds for every method in the list."""

import pytest
import torch
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.methods import METHODS
from sgrs_core.methods.base import Method
from sgrs_core.training.loop import check_finite, set_learning_rates

ALL = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def new_method(tiny_training):
    def build(name: str) -> Method:
        torch.manual_seed(0)
        return METHODS[name](tiny_training, labelled_scans=2)

    return build


def batch(seed: int = 0) -> Batch:
    """Bright boxes on noise, as 2 labelled and 2 unlabelled patches."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.zeros(4, 16, 16, 16, dtype=torch.int64)
    for label in labels:
        x, y, z = torch.randint(2, 7, (3,), generator=generator).tolist()
        label[x : x + 7, y : y + 7, z : z + 7] = 1
    images = 2 * labels.float() + 0.3 * torch.randn(labels.shape, generator=generator)
    return Batch(images[:2].unsqueeze(1), labels[:2], images[2:].unsqueeze(1))


def one_step(method: Method, iteration: int, patches: Batch, optimizers=None) -> float:
    method.train()
    output = method.step(patches, iteration)
    optimizers = optimizers or method.optimizers()
    output.loss.backward()
    set_learning_rates(method, optimizers, iteration)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    method.after_step(iteration)
    return output.loss.item()


@ALL
def test_a_step_gives_a_finite_scalar_and_detached_terms(name, new_method):
    output = new_method(name).step(batch(), 1)
    assert output.loss.shape == ()
    assert torch.isfinite(output.loss)
    assert output.loss.requires_grad
    assert all(not term.requires_grad and term.numel() == 1 for term in output.terms.values())
    assert all(not shown.requires_grad for shown in output.observed.values())


@pytest.mark.slow
@ALL
def test_the_loss_falls_in_twenty_steps(name, new_method):
    method = new_method(name)
    optimizers = method.optimizers()  # kept, as the loop does, for their momentum
    losses = [one_step(method, 1, batch(), optimizers) for _ in range(20)]
    assert sum(losses[-5:]) < sum(losses[:5])


@ALL
def test_a_step_moves_every_trained_parameter(name, new_method):
    method = new_method(name)
    before = {key: value.clone() for key, value in method.named_parameters()}
    one_step(method, 1, batch())
    still = [
        key
        for key, value in method.named_parameters()
        if value.requires_grad and torch.equal(value, before[key])
    ]
    assert still == []


@ALL
def test_compiled_networks_run_no_convolution_on_their_own(name, new_method, monkeypatch):
    """With a compiler that leaves all as it is, and notes what runs inside."""
    compiled: list[object] = []
    outside: list[nn.Module] = []

    def compiling(function, **options):
        def run(*inputs, **further):
            compiled.append(function)
            found = function(*inputs, **further)
            compiled.pop()
            return found

        return run

    def note(part, *_):
        if not compiled:
            outside.append(part)

    monkeypatch.setattr(torch, "compile", compiling)
    method = new_method(name)
    method.compile_parts()
    for part in method.modules():
        if isinstance(part, nn.Conv3d | nn.ConvTranspose3d):
            part.register_forward_hook(note)
    one_step(method, method.training_settings.iterations, batch())
    assert outside == []


@ALL
def test_a_loss_that_is_not_finite_is_the_loops_to_tell(name, new_method):
    method = new_method(name)
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.fill_(torch.nan)
    output = method.step(batch(), method.training_settings.iterations)
    with pytest.raises(FloatingPointError, match="the loss term '"):
        check_finite(method, output, 5)


@ALL
def test_frozen_parameters_get_no_gradient(name, new_method):
    method = new_method(name)
    method.step(batch(), 1).loss.backward()
    frozen = [value for value in method.parameters() if not value.requires_grad]
    assert all(value.grad is None for value in frozen)


@ALL
def test_predictions_are_probabilities_of_the_patchs_shape(name, new_method):
    method = new_method(name).eval()
    with torch.no_grad():
        probability = method.predict(batch().images_u)
    assert probability.shape == (2, 16, 16, 16)
    assert probability.min() >= 0
    assert probability.max() <= 1


@ALL
def test_a_state_dict_holds_all_that_a_method_knows(name, new_method):
    trained, fresh = new_method(name), new_method(name)
    for iteration in range(1, 4):
        one_step(trained, iteration, batch(iteration))
    fresh.load_state_dict(trained.state_dict())
    torch.manual_seed(5)
    expected = trained.step(batch(), 4)
    torch.manual_seed(5)
    assert torch.equal(fresh.step(batch(), 4).loss, expected.loss)
