"""What a step does on another device than the CPU, shown on torch's `meta` device.

Its tensors have shapes and no values: an operation that mixes them with the CPU's is refused, and
so is whatever needs a value on the host, where a step on a GPU would wait.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch.fx.experimental import _config

from sgrs_core.data.sampling import TwoStreamSampler
from sgrs_core.data.volumes import Volume
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods import METHODS

DEVICE = torch.device("meta")
ITERATIONS = 20
# The methods that look at values on the host, and why.
LOOKING = {
    "bcp": "SciPy finds the pseudo labels' largest component",
    "caml": "how many voxels both networks agree on decides what is remembered",
    "dtc": "SciPy computes the labels' distance maps",
    "mcf": "the network whose Dice loss is lower teaches the other",
    "ssnet": "how many voxels of a class are right decides what is remembered",
}


def alternating(tensor: torch.Tensor) -> torch.Tensor:
    """Values for the host: every other voxel is 1."""
    return (torch.arange(tensor.numel()) % 2).view(tensor.shape).to(tensor.dtype)


@pytest.fixture
def looks(monkeypatch) -> Iterator[Counter[str]]:
    """Lets the host look at values, which are made up, and counts how often it does."""
    counted: Counter[str] = Counter()
    autocast = torch.autocast

    def looking(name, instead):
        usual = getattr(torch.Tensor, name)

        def look(tensor, *args):
            if tensor.device != DEVICE:
                return usual(tensor, *args)
            counted[name] += 1
            return instead(tensor)

        monkeypatch.setattr(torch.Tensor, name, look)

    def known(device: str, **options: object):
        return nullcontext() if device == DEVICE.type else autocast(device, **options)

    looking("cpu", alternating)
    for name, number in (("item", 1.0), ("__bool__", True), ("__int__", 1), ("__float__", 1.0)):
        looking(name, lambda _, number=number: number)
    monkeypatch.setattr(torch, "autocast", known)
    # An index by a mask takes as many values as there are true ones; here, all.
    with _config.patch(meta_nonzero_assume_all_nonzero=True):
        yield counted


@pytest.fixture
def training() -> TrainingSettings:
    return TrainingSettings(iterations=ITERATIONS, patch=(16, 16, 16), base_filters=2)


@pytest.fixture
def sampler(training) -> TwoStreamSampler:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(20, 20, 20, generator=generator)
    fine = Volume(image.numpy(), (image > 1).byte().numpy())
    coarse = Volume(image.round().numpy(), (image > 1).byte().numpy())
    return TwoStreamSampler([fine, coarse], [coarse, fine], training, 0, DEVICE)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_all_of_a_step_lies_on_one_device_and_the_host_looks_only_where_it_is_said(
    name, training, sampler, looks
):
    method = METHODS[name](training, labelled_scans=2).to(DEVICE).train()
    optimizers = method.optimizers()
    for iteration in (1, 2, ITERATIONS):
        sample = sampler.draw(iteration)
        output = method.step(sample.batch, iteration)
        output.loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        method.after_step(iteration)
        shown = {**output.terms, **output.observed, "labels_u": sample.labels_u}
        assert {key: value.device for key, value in shown.items()} == dict.fromkeys(shown, DEVICE)
    assert (sum(looks.values()) > 0) == (name in LOOKING), looks


@pytest.mark.parametrize("name", METHODS)
def test_the_windows_of_a_scan_stay_on_the_device_until_the_last_is_added(name, training, looks):
    method = METHODS[name](training, labelled_scans=2).to(DEVICE).eval()
    image = torch.zeros(20, 20, 20).numpy()
    foreground_score(method.predict, image, (16, 16, 16), (4, 4, 4), device=DEVICE)
    assert looks == {"cpu": 1}
