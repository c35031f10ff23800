"""URPC equals its public code: network, losses, three whole iterations, schedules, inference."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from sgrs_core.data.sampling import Sample
from sgrs_core.inference import foreground_score, segment
from sgrs_core.losses import urpc as losses
from sgrs_core.losses.segmentation import cross_entropy_map
from sgrs_core.methods.method import Batch
from sgrs_core.methods.urpc import UncertaintyRectifiedPyramidConsistency, UrpcSettings
from sgrs_core.networks.urpc import SCALES, PyramidUNet
from sgrs_core.settings import TrainingSettings
from sgrs_core.training import take_step

LOSS, OUTPUT, GRADIENT = 1e-5, 1e-4, 1e-4  # relative


def new_method(run: TrainingSettings | None = None, **settings):
    run = run or TrainingSettings(patch=(32, 32, 16), base_filters=1)
    return UncertaintyRectifiedPyramidConsistency(run, UrpcSettings(**settings))


@pytest.fixture
def arrays(golden) -> dict[str, Tensor]:
    stored = golden("urpc").items()
    return {name: torch.as_tensor(array) for name, array in stored if array.dtype.kind in "if"}


@pytest.fixture
def logits(arrays) -> list[Tensor]:
    return [arrays[f"logits{k}"].clone().requires_grad_() for k in range(SCALES)]


def fill(network: nn.Module) -> None:
    """The rule of the full-size networks: cosines of the element's and the tensor's number."""
    for k, parameter in enumerate(network.parameters()):
        count = parameter.numel()
        c = np.cos(0.37 * np.arange(count) + 0.91 * k)
        scale = math.sqrt(2 / (count / len(parameter))) if parameter.ndim > 1 else 0.1
        parameter.data = torch.from_numpy((c * scale).astype(np.float32)).view(parameter.shape)


def load(network: nn.Module, arrays: dict[str, Tensor]) -> None:
    """p000, p001, ... into the parameters, in order."""
    names = sorted(name for name in arrays if name[0] == "p" and name[1:].isdigit())
    for parameter, name in zip(network.parameters(), names, strict=True):
        assert parameter.shape == arrays[name].shape
        parameter.data.copy_(arrays[name])


def small_network(arrays: dict[str, Tensor]) -> PyramidUNet:
    network = PyramidUNet(base_filters=len(arrays["p000"]), dropout=0)
    load(network, arrays)
    return network


def every4(outputs: list[Tensor]) -> Iterator[np.ndarray]:
    return (output.detach()[:, :, ::4, ::4, ::4].numpy() for output in outputs)


def test_the_full_size_network(arrays):
    network = PyramidUNet()
    fill(network)
    counts = [parameter.numel() for parameter in network.parameters()]
    assert sum(counts) == arrays["network_n_parameters"]
    assert len(counts) == arrays["network_n_tensors"]
    assert list(network.buffers()) == []
    network.eval()
    with torch.no_grad():
        outputs = network(arrays["input"])
    for k, output in enumerate(outputs):
        # With a few voxels at the bottom, instance norm amplifies rounding.
        assert_allclose(output, arrays[f"network_output{k}"], rtol=OUTPUT, atol=2e-3)


class Factors(nn.Module):
    """A dropout whose channel factors are known."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, features: Tensor) -> Tensor:
        return features * self.factors[:, :, None, None, None]


def test_dropout_acts_after_each_decoder_level(arrays):
    network = small_network(arrays).train()
    for index, level in enumerate((4, 3, 2, 1)):
        factors = arrays[f"net_dropout_up{level}"]
        assert_allclose(factors[factors > 0], 1 / (1 - PyramidUNet().dropouts[index].p), 1e-6)
        network.dropouts[index] = Factors(factors)
    for k, output in enumerate(every4(network(arrays["net_input"]))):
        expected = arrays[f"net_output{k}_train_every4"]
        assert_allclose(output, expected, rtol=OUTPUT, atol=1e-5)


def test_each_term_of_each_scale(arrays, logits):
    half = len(arrays["label"]) // 2
    label = arrays["label"][:half]
    log_p = [torch.log_softmax(o[half:], dim=1) for o in logits]
    log_m = losses.log_mean(log_p)
    for k in range(SCALES):
        d = losses.divergence(log_m, log_p[k])
        distance = losses.rectified(losses.squared_distance(log_m, log_p[k]), d)
        terms = {
            "cross_entropy": cross_entropy_map(logits[k][:half], label).mean(),
            "dice": losses.class_mean_dice(logits[k][:half], label),
            "consistency": distance + losses.minimised_uncertainty(d),
            "divergence_mean": d.mean(),
            "weight_mean": torch.exp(-d).mean(),
        }
        for name, term in terms.items():
            assert_allclose(term.item(), arrays[f"term_{name}"][k], LOSS, err_msg=name)


def test_both_losses_and_their_gradients(arrays, logits):
    half = len(arrays["label"]) // 2
    method = new_method()
    supervised, _ = method.supervised_loss([o[:half] for o in logits], arrays["label"][:half])
    consistency, *_ = method.consistency_loss([o[half:] for o in logits])
    (supervised + 0.1 * consistency).backward()
    assert_allclose(supervised.item(), arrays["loss_supervised"], LOSS)
    assert_allclose(consistency.item(), arrays["loss_consistency"], LOSS)
    for k, tensor in enumerate(logits):
        assert_allclose(tensor.grad, arrays[f"grad_logits{k}"], rtol=GRADIENT, atol=1e-8)


def test_three_iterations_of_the_public_loop(arrays):
    iterations = sum(name.endswith("_images") for name in arrays)
    patch = tuple(arrays["step0_images"].shape[2:])
    run = TrainingSettings(iterations, patch, base_filters=len(arrays["p000"]), dropout=0)
    rate, weight = arrays["step0_learning_rate"].item(), arrays["step_weight"].item()
    method = new_method(run, base_rate=rate, weight=weight * math.exp(5))
    load(method.network, arrays)
    for k, output in enumerate(every4(method.network(arrays["step0_images"]))):
        assert_allclose(output, arrays[f"step0_output{k}_every4"], rtol=OUTPUT, atol=1e-5)
    optimizers = method.optimizers()
    for t in range(iterations):
        images, labels = arrays[f"step{t}_images"], arrays[f"step{t}_labels"]
        half = len(images) // 2
        sample = Sample(Batch(images[:half], labels[:half], images[half:]), labels[half:])
        used = optimizers[0].param_groups[0]["lr"]
        assert_allclose(used, arrays[f"step{t}_learning_rate"], LOSS)
        output = take_step(method, optimizers, sample, t + 1, run)
        terms = {name: term.item() for name, term in output.terms.items()}
        supervised = 0.5 * (terms["cross_entropy"] + terms["dice"])
        consistency = terms["rectified_distance"] + terms["uncertainty"]
        tolerance = 1e-5 if t == 0 else 1e-4
        assert_allclose(terms["weight"], weight, LOSS)
        assert_allclose(supervised, arrays[f"step{t}_loss_supervised"], tolerance)
        assert_allclose(consistency, arrays[f"step{t}_loss_consistency"], tolerance)
        assert_allclose(output.loss.item(), arrays[f"step{t}_loss"], tolerance)
    final = torch.cat([parameter.detach().flatten() for parameter in method.parameters()])
    assert_allclose(final, arrays[f"step{iterations - 1}_params"], rtol=1e-3, atol=2e-5)


def test_learning_rate_and_weight_of_the_public_loop(arrays):
    run = TrainingSettings(iterations=int(arrays["schedule_max_iterations"]))
    method = new_method(run, ramp_blocks=int(arrays["schedule_ramp_blocks"]))
    iterations = [int(t) + 1 for t in arrays["schedule_iterations"]]
    rates = [method.learning_rate(iteration) for iteration in iterations]
    assert_allclose(rates, arrays["schedule_learning_rate"], LOSS)
    weights = [method.weight(iteration) for iteration in iterations]
    assert_allclose(weights, arrays["schedule_weight"], LOSS)


def test_the_published_ramp_is_as_long_as_the_published_run(arrays):
    method = new_method(TrainingSettings(iterations=60_000))
    weights = [method.weight(int(t) + 1) for t in arrays["ramp400_iterations"]]
    assert_allclose(weights, arrays["ramp400_weight"], LOSS)


def test_sliding_window(arrays):
    method = new_method(TrainingSettings(base_filters=len(arrays["p000"])))
    load(method.network, arrays)
    list(method.parameters())[-1].data.copy_(arrays["infer_output_bias"])
    method.eval()
    patch = tuple(arrays["infer_patch"].tolist())
    xy, z = arrays["infer_strides"].tolist()
    score = foreground_score(method.predict, arrays["infer_image"].numpy(), patch, (xy, xy, z))
    assert_allclose(score, arrays["infer_score"], rtol=0, atol=1e-5)
    clear = np.abs(arrays["infer_score"].numpy() - 0.5) >= 1e-5
    assert_array_equal(segment(score)[clear], arrays["infer_label"].numpy()[clear])
