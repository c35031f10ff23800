"""URPC equals its public code: network, losses, three whole iterations, schedules, inference."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.data.sampling import Sample
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses import urpc as losses
from sgrs_core.losses.common import cross_entropy_map
from sgrs_core.methods.urpc import UncertaintyRectifiedPyramidConsistency, UrpcSettings
from sgrs_core.networks.urpc import SCALES, PyramidUNet
from sgrs_core.training.loop import take_step
from tests.golden.closeness import close, gradient_close, scan_close, within
from tests.golden.stored import Factors, copy_into, fill, flattened, numbered


def new_method(run: TrainingSettings | None = None, **settings):
    run = run or TrainingSettings(patch=(32, 32, 16), base_filters=1)
    return UncertaintyRectifiedPyramidConsistency(run, UrpcSettings(**settings))


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("urpc")


@pytest.fixture
def logits(arrays) -> list[Tensor]:
    return [arrays[f"logits{k}"].clone().requires_grad_() for k in range(SCALES)]


def small_network(arrays) -> PyramidUNet:
    network = PyramidUNet(base_filters=len(arrays["p000"]), dropout=0)
    copy_into(network.parameters(), numbered(arrays, "p"))
    return network


def every4(outputs: list[Tensor]) -> Iterator[Tensor]:
    return (output[:, :, ::4, ::4, ::4] for output in outputs)


def test_the_full_size_network(arrays):
    network = PyramidUNet()
    fill(network.named_parameters())
    counts = [parameter.numel() for parameter in network.parameters()]
    assert sum(counts) == arrays["network_n_parameters"]
    assert len(counts) == arrays["network_n_tensors"]
    assert list(network.buffers()) == []
    network.eval()
    with torch.no_grad():
        outputs = network(arrays["input"])
    for k, output in enumerate(outputs):
        # With a few voxels at the bottom, instance norm amplifies rounding: to 2e-3 of the largest.
        close(output, arrays[f"network_output{k}"], floor=5e-3)


def test_dropout_acts_after_each_decoder_level(arrays):
    network = small_network(arrays).train()
    for index, level in enumerate((4, 3, 2, 1)):
        factors = arrays[f"net_dropout_up{level}"]
        within(factors[factors > 0], 1 / (1 - PyramidUNet().dropouts[index].p), 1e-6)
        network.dropouts[index] = Factors(factors)
    for k, output in enumerate(every4(network(arrays["net_input"]))):
        close(output, arrays[f"net_output{k}_train_every4"])


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
            close(term, arrays[f"term_{name}"][k])


def test_both_losses_and_their_gradients(arrays, logits):
    half = len(arrays["label"]) // 2
    method = new_method()
    supervised, _ = method.supervised_loss([o[:half] for o in logits], arrays["label"][:half])
    consistency, *_ = method.consistency_loss([o[half:] for o in logits])
    (supervised + 0.1 * consistency).backward()
    close(supervised, arrays["loss_supervised"])
    close(consistency, arrays["loss_consistency"])
    for k, tensor in enumerate(logits):
        gradient_close(tensor.grad, arrays[f"grad_logits{k}"])


def test_three_iterations_of_the_public_loop(arrays):
    iterations = sum(name.endswith("_images") for name in arrays)
    patch = tuple(arrays["step0_images"].shape[2:])
    run = TrainingSettings(iterations, patch, base_filters=len(arrays["p000"]), dropout=0)
    rate, weight = arrays["step0_learning_rate"].item(), arrays["step_weight"].item()
    method = new_method(run, base_rate=rate, weight=weight * math.exp(5))
    copy_into(method.network.parameters(), numbered(arrays, "p"))
    for k, output in enumerate(every4(method.network(arrays["step0_images"]))):
        close(output, arrays[f"step0_output{k}_every4"])
    optimizers = method.optimizers()
    for t in range(iterations):
        images, labels = arrays[f"step{t}_images"], arrays[f"step{t}_labels"]
        half = len(images) // 2
        sample = Sample(Batch(images[:half], labels[:half], images[half:]), labels[half:])
        output = take_step(method, optimizers, sample, t + 1, run)
        used = optimizers[0].param_groups[0]["lr"]
        close(used, arrays[f"step{t}_learning_rate"])
        terms = {name: term.item() for name, term in output.terms.items()}
        supervised = 0.5 * (terms["cross_entropy"] + terms["dice"])
        consistency = terms["rectified_distance"] + terms["uncertainty"]
        close(terms["weight"], weight)
        close(supervised, arrays[f"step{t}_loss_supervised"])
        close(consistency, arrays[f"step{t}_loss_consistency"])
        close(output.loss, arrays[f"step{t}_loss"])
    end = arrays[f"step{iterations - 1}_params"]
    within(flattened(method.parameters()), end, 1e-3, absolute=2e-5)


def test_learning_rate_and_weight_of_the_public_loop(arrays):
    run = TrainingSettings(iterations=int(arrays["schedule_max_iterations"]))
    method = new_method(run, ramp_blocks=int(arrays["schedule_ramp_blocks"]))
    iterations = [int(t) + 1 for t in arrays["schedule_iterations"]]
    rates = [method.learning_rate(iteration) for iteration in iterations]
    close(rates, arrays["schedule_learning_rate"], floor=0)
    weights = [method.weight(iteration) for iteration in iterations]
    close(weights, arrays["schedule_weight"], floor=0)


def test_the_published_ramp_is_as_long_as_the_published_run(arrays):
    method = new_method(TrainingSettings(iterations=60_000))
    weights = [method.weight(int(t) + 1) for t in arrays["ramp400_iterations"]]
    close(weights, arrays["ramp400_weight"], floor=0)


def test_sliding_window(arrays):
    method = new_method(TrainingSettings(base_filters=len(arrays["p000"])))
    copy_into(method.network.parameters(), numbered(arrays, "p"))
    list(method.parameters())[-1].data.copy_(arrays["infer_output_bias"])
    method.eval()
    patch = tuple(arrays["infer_patch"].tolist())
    xy, z = arrays["infer_strides"].tolist()
    score = foreground_score(method.predict, arrays["infer_image"].numpy(), patch, (xy, xy, z))
    scan_close(score, arrays["infer_score"], arrays["infer_label"])
