"""DTC equals its authors' public code: distance maps, losses, network, steps, schedules, scans."""

import pytest
import torch
from numpy.testing import assert_array_equal

from sgrs_core.data.batch import Batch
from sgrs_core.data.masks import largest_component
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.dtc import distance_to_mask, signed_distance
from sgrs_core.methods.dtc import DtcSettings, DualTaskConsistency
from sgrs_core.networks.dtc import DualOutput, DualTaskVNet
from sgrs_core.training.loop import set_learning_rates
from tests.golden.closeness import OUTPUT, close, gradient_close, scan_close, within
from tests.golden.stored import Factors, copy_into, fill, flattened, numbered

PUBLISHED_ITERATIONS = 6_000


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("dtc")


@pytest.fixture
def method(arrays) -> DualTaskConsistency:
    """The small network at its stored state, in the public code's schedule, without dropout."""
    run = TrainingSettings(
        iterations=PUBLISHED_ITERATIONS, base_filters=len(arrays["p000"]), dropout=0
    )
    method = DualTaskConsistency(run)
    copy_into(method.network.parameters(), numbered(arrays, "p"))
    copy_into(method.network.buffers(), numbered(arrays, "b"))
    return method


def outputs_close(actual: DualOutput, arrays, distance: str, logit: str) -> None:
    """The stored ones have a channel."""
    close(actual.distance, arrays[distance].squeeze(1))
    close(actual.logit, arrays[logit].squeeze(1))


def test_signed_distances_of_awkward_masks(arrays):
    within(signed_distance(arrays["sdf_mask"]), arrays["sdf_value"], absolute=1e-6)
    for mask, expected in zip(arrays["sdf_mask"], arrays["sdf_value"], strict=True):
        within(signed_distance(mask[None])[0], expected, absolute=1e-6)


def test_signed_distances_of_labelled_patches(arrays):
    labelled = len(arrays["sdf"])
    within(signed_distance(arrays["label"][:labelled]), arrays["sdf"], absolute=1e-6)


def test_the_mask_of_a_distance_and_its_slope(arrays):
    distance = arrays["transform_distance"].clone().requires_grad_()
    mask = distance_to_mask(distance, DtcSettings().slope)
    mask.sum().backward()
    within(mask, arrays["transform_mask"], OUTPUT, absolute=1e-6)
    within(distance.grad, arrays["transform_gradient"], OUTPUT, absolute=1e-6)


def test_losses_and_their_gradients(arrays, method):
    logit = arrays["logit"].clone().requires_grad_()
    distance_logit = arrays["distance_logit"].clone().requires_grad_()
    d, s = torch.tanh(distance_logit).squeeze(1), logit.squeeze(1)
    supervised, terms = method.labelled_loss(d, s, arrays["label"][: len(arrays["sdf"])])
    consistency = method.consistency(d, s)
    close(terms["dice"], arrays["loss_dice"])
    close(terms["distance"], arrays["loss_sdf"])
    close(consistency, arrays["loss_consistency"])
    (supervised + 0.5 * consistency).backward()
    gradient_close(logit.grad, arrays["grad_logit"])
    gradient_close(distance_logit.grad, arrays["grad_distance_logit"])


@torch.no_grad()
def test_the_network_at_full_size(arrays):
    network = DualTaskVNet(dropout=0).eval()
    fill(network.named_parameters())
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == arrays["network_n_parameters"]
    assert len(parameters) == arrays["network_n_tensors"]
    outputs_close(network(arrays["input"]), arrays, "network_distance", "network_logit")


@torch.no_grad()
def test_the_small_network_in_eval_mode(arrays, method):
    output = method.network.eval()(arrays["net_input"])
    outputs_close(output, arrays, "net_distance_eval", "net_logit_eval")


@torch.no_grad()
def test_both_heads_read_the_same_dropped_out_features(arrays, method):
    network = method.network.train()
    network.encoder.dropout = Factors(arrays["net_dropout_bottleneck"])
    network.decoder.dropout = Factors(arrays["net_dropout_output"])
    output = network(arrays["net_input"])
    outputs_close(output, arrays, "net_distance_train", "net_logit_train")


@torch.no_grad()
def test_outputs_in_the_first_iteration(arrays, method):
    output = method.network.train()(arrays["step0_images"])
    outputs_close(output, arrays, "step0_distance", "step0_logit")


def test_the_iterations_of_the_public_loop(arrays, method):
    method.train()
    (optimizer,) = method.optimizers()
    steps = sum(name.startswith("step") and name.endswith("_images") for name in arrays)
    for t in range(steps):
        images, labels = arrays[f"step{t}_images"], arrays[f"step{t}_labels"]
        half = len(images) // 2
        output = method.step(Batch(images[:half], labels[:half], images[half:]), t + 1)
        stored = {"dice": "loss_dice", "distance": "loss_sdf", "consistency": "loss_consistency"}
        stored |= {"weight": "weight", "cross_entropy": "loss_cross_entropy"}
        for name, theirs in stored.items():
            close(output.terms[name], arrays[f"step{t}_{theirs}"])
        close(output.loss, arrays[f"step{t}_loss"])
        optimizer.zero_grad()
        output.loss.backward()
        set_learning_rates(method, [optimizer], t + 1)
        optimizer.step()
    network = method.network
    last = f"step{steps - 1}"
    within(flattened(network.parameters()), arrays[f"{last}_params"], 1e-3, absolute=2e-5)
    within(flattened(network.buffers()), arrays[f"{last}_buffers"], 1e-3, absolute=2e-5)


def test_schedules_over_the_published_iterations(arrays, method):
    iterations = [int(t) + 1 for t in arrays["schedule_iterations"]]
    weights = [method.weight(iteration) for iteration in iterations]
    rates = [method.learning_rate(iteration) for iteration in iterations]
    close(weights, arrays["schedule_weight"], floor=0)
    close(rates, arrays["schedule_learning_rate"], floor=0)


def test_a_scans_score_label_and_largest_component(arrays, method):
    method.network.mask.bias.data.copy_(arrays["infer_mask_head_bias"])
    method.eval()
    patch = tuple(arrays["infer_patch"].tolist())
    in_plane, along_z = arrays["infer_strides"].tolist()
    image, stride = arrays["infer_image"].numpy(), (in_plane, in_plane, along_z)
    score = foreground_score(method.predict, image, patch, stride)
    label = arrays["infer_label"].numpy() == 1
    scan_close(score, arrays["infer_score"], label)
    assert_array_equal(largest_component(label), arrays["infer_label_largest"].numpy() == 1)
