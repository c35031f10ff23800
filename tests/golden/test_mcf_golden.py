"""MCF equals its public code: losses, schedules, both networks, inference, two training steps.

In the arrays' names v stands for the V-Net, r for the network with the ResNet-34 encoder.
"""

import math

import pytest
import torch
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.mcf import difference_region, sharpened_softmax
from sgrs_core.methods.base import StepOutput
from sgrs_core.methods.mcf import McfSettings, MutualCorrection
from sgrs_core.networks.resnet import ResNet34VNet
from sgrs_core.networks.vnet import VNet
from sgrs_core.training.loop import set_learning_rates
from tests.golden.closeness import close, gradient_close, scan_close, within
from tests.golden.stored import Factors, Recorded, copy_into, fill, flattened, numbered

NETWORKS = {"v": "vnet", "r": "resnet"}
TERMS = {"loss_seg": "cross_entropy", "loss_seg_dice": "dice", "mse": "rectification"}
PUBLISHED_ITERATIONS = 6_000

BOTH = pytest.mark.parametrize("letter", NETWORKS)
CASES = pytest.mark.parametrize("case", ["case0", "case1"])


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("mcf")


def new_method(base_filters: int = 1, **settings) -> MutualCorrection:
    run = TrainingSettings(PUBLISHED_ITERATIONS, base_filters=base_filters, dropout=0)
    return MutualCorrection(run, McfSettings(**settings))


# Losses on recorded logits


def recorded_step(vnet, resnet, label) -> tuple[MutualCorrection, StepOutput]:
    """The method's step, and its backward pass, where the weight is that of the ramp's end."""
    method = new_method()
    method.vnet, method.resnet = (
        Recorded(each.clone().requires_grad_()) for each in (vnet, resnet)
    )
    count, images = len(label), torch.zeros(len(vnet), 1, *vnet.shape[2:])
    batch = Batch(images[:count], label, images[count:])
    output = method.step(batch, PUBLISHED_ITERATIONS + 1)
    output.loss.backward()
    return method, output


def test_the_compact_set(arrays):
    vnet, resnet, label = (arrays[name] for name in ("logits_vnet", "logits_resnet", "label"))
    unlabelled = len(arrays["pseudo_label"])
    method, output = recorded_step(vnet, resnet, label[:-unlabelled])
    terms = output.terms
    for name in NETWORKS.values():
        for mine, stored in (
            ("cross_entropy", "ce"), ("dice", "dice"), ("rectification", "rectify"),
        ):  # fmt: skip
            close(terms[f"{name}_{mine}"], arrays[f"loss_{stored}_{name}"])
        gradient_close(getattr(method, name).logits.grad, arrays[f"grad_logits_{name}"])
    assert 1 - terms["vnet_is_better"] == arrays["better_is_resnet"]
    better = resnet if arrays["better_is_resnet"] else vnet
    pseudo_label = sharpened_softmax(better[-unlabelled:], method.settings.temperature)
    close(pseudo_label, arrays["pseudo_label"])
    close(terms["consistency"], arrays["loss_consistency"])


@CASES
def test_every_term_of_a_step(case, arrays):
    stored = {name: arrays[f"{case}_{name}_logits"] for name in NETWORKS}
    label = arrays["loss_label"]
    method, output = recorded_step(stored["v"], stored["r"], label)
    winner = "vr"[int(arrays[f"{case}_winner"])]
    assert output.terms["vnet_is_better"] == (winner == "v")
    region = difference_region(*(logits[: len(label)] for logits in stored.values()))
    assert torch.equal(region.long(), arrays[f"{case}_difference_mask"])
    target = sharpened_softmax(stored[winner][len(label) :], method.settings.temperature)
    close(target, arrays[f"{case}_pseudo"])
    assert torch.equal(output.observed["pseudo_labels"], arrays[f"{case}_pseudo"].argmax(1))
    consistency = output.terms["consistency"]
    close(consistency, arrays[f"{case}_consistency"])
    close(output.terms["weight"], arrays[f"{case}_weight"])
    losses = 0.0
    for letter, name in NETWORKS.items():
        for term, mine in TERMS.items():
            expected = arrays[f"{case}_{letter}_{term}"]
            close(output.terms[f"{name}_{mine}"], expected)
        supervised, _ = method.supervised(stored[letter][: len(label)], label, region)
        close(supervised, arrays[f"{case}_{letter}_supervised_loss"])
        loss = supervised if letter == winner else supervised + 0.1 * consistency
        close(loss, arrays[f"{case}_{letter}_loss"])
        losses += float(arrays[f"{case}_{letter}_loss"])
        gradient_close(getattr(method, name).logits.grad, arrays[f"{case}_{letter}_grad"])
    close(output.loss, losses)


def test_the_winner_learns_nothing_from_unlabelled_patches(arrays):
    for case in ("case0", "case1"):
        method, _ = recorded_step(
            arrays[f"{case}_v_logits"], arrays[f"{case}_r_logits"], arrays["loss_label"]
        )
        winner = (method.vnet, method.resnet)[int(arrays[f"{case}_winner"])]
        assert winner.logits.grad[len(arrays["loss_label"]) :].abs().max() == 0


def test_a_tie(arrays):
    logits, label = arrays["case1_v_logits"], arrays["loss_label"]
    method, output = recorded_step(logits, logits, label)
    winner = int(arrays["tie_winner"])
    assert output.terms["vnet_is_better"] == 1 - winner
    close(output.terms["vnet_rectification"], arrays["tie_v_mse"])
    empty = torch.zeros_like(label, dtype=torch.bool)
    supervised, _ = method.supervised(logits[: len(label)], label, empty)
    taught = supervised + output.terms["weight"] * output.terms["consistency"]
    losses = [taught, taught]
    losses[winner] = supervised
    for loss, letter in zip(losses, NETWORKS, strict=True):
        close(loss, arrays[f"tie_{letter}_loss"])


# Schedules


def test_the_ramp(arrays):
    method = new_method()
    weights = [method.weight(int(n) + 1) for n in arrays["ramp_iterations"]]
    close(weights, arrays["ramp_weights"], floor=0)


def test_the_learning_rate_that_the_optimizer_uses(arrays):
    method = new_method()
    (optimizer,) = method.optimizers()
    used = []
    for n in arrays["lr_iterations"].tolist():
        set_learning_rates(method, [optimizer], n + 1)
        used.append(optimizer.param_groups[0]["lr"])
        assert used[-1] == method.learning_rate(n + 1)
    close(used, arrays["lr_values"], floor=0)


# Networks


@pytest.fixture(scope="module")
def full_size() -> MutualCorrection:
    torch.manual_seed(0)
    return new_method(base_filters=16)


def test_the_full_size_resnet(arrays):
    classes = arrays["network_output"].shape[1]
    network = ResNet34VNet(classes, dropout=0).eval()
    parameters = list(network.named_parameters())
    assert len(parameters) == arrays["network_n_tensors"]
    assert sum(p.numel() for _, p in parameters) == arrays["network_n_parameters"]
    fill(parameters)
    with torch.no_grad():
        close(network(arrays["input"]), arrays["network_output"])


@BOTH
def test_the_spread_of_the_first_weights(letter, arrays, full_size):
    """Ours and the recorded ones both lie around sqrt(2 / fan_in)."""
    network = getattr(full_size, NETWORKS[letter])
    counts, recorded = arrays[f"init_{letter}_weight_count"], arrays[f"init_{letter}_weight_std"]
    weights = [weight for weight in network.parameters() if weight.ndim > 1]
    for weight, count, std in zip(weights, counts.tolist(), recorded.tolist(), strict=True):
        assert weight.numel() == count
        expected = math.sqrt(2 / weight[0].numel())
        near = 5 / math.sqrt(2 * count) + 0.005
        assert weight.std().item() == pytest.approx(expected, rel=near)
        assert std == pytest.approx(expected, rel=near)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


@pytest.fixture
def stored(arrays) -> MutualCorrection:
    """A method with the recorded small networks."""
    method = new_method(base_filters=arrays["v_p000"].shape[0])
    for letter, name in NETWORKS.items():
        network = getattr(method, name)
        copy_into(network.parameters(), numbered(arrays, f"{letter}_p"))
        copy_into(network.buffers(), numbered(arrays, f"{letter}_b"))
    return method


@BOTH
def test_outputs_in_eval_mode(letter, arrays, stored):
    network = getattr(stored.eval(), NETWORKS[letter])
    with torch.no_grad():
        close(network(arrays["net_input"]), arrays[f"{letter}_output_eval"])


def test_the_five_outputs_of_the_resnets_encoder(arrays, stored):
    with torch.no_grad():
        encoded = stored.eval().resnet.encoder(arrays["net_input"])
    for stage, features in enumerate(encoded, start=1):
        assert list(features.shape) == arrays[f"r_stage{stage}_shape"].tolist()
        close(features.mean((2, 3, 4)), arrays[f"r_stage{stage}_mean"])


@BOTH
def test_outputs_in_train_mode_with_a_given_dropout(letter, arrays, stored):
    network: VNet | ResNet34VNet = getattr(stored.train(), NETWORKS[letter])
    if letter == "v":
        network.encoder.dropout = Factors(arrays["v_dropout_bottleneck"])
    network.decoder.dropout = Factors(arrays[f"{letter}_dropout_output"])
    with torch.no_grad():
        close(network(arrays["net_input"]), arrays[f"{letter}_output_train"])


def test_the_resnet_has_one_dropout_only():
    kinds = [type(module) for module in ResNet34VNet(base_filters=1).modules()]
    assert kinds.count(nn.Dropout3d) == 1


# Inference


@pytest.mark.parametrize(("prediction", "name"), [("mean", "both"), ("vnet", "v"), ("resnet", "r")])
def test_the_score_of_a_scan(prediction, name, arrays, stored):
    method = new_method(arrays["v_p000"].shape[0], prediction=prediction).eval()
    method.load_state_dict(stored.state_dict())
    for letter, network in NETWORKS.items():
        bias = arrays[f"infer_{letter}_output_bias"]
        getattr(method, network).decoder.output.bias.data.copy_(bias)
    image = arrays["infer_image"].numpy()
    score = foreground_score(method.predict, image, (16, 16, 16), (6, 6, 4))
    scan_close(score, arrays[f"infer_{name}_score"], arrays[f"infer_{name}_label"])


# Two training iterations, from the recorded start to the recorded end


def statistics(network: nn.Module) -> list[torch.Tensor]:
    """Running means and variances, in order, without the counts."""
    return [buffer for buffer in network.buffers() if buffer.is_floating_point()]


def test_two_iterations_of_the_public_code(arrays):
    method = new_method(base_filters=arrays["step_v_p000"].shape[0]).train()
    for letter, name in NETWORKS.items():
        network = getattr(method, name)
        copy_into(network.parameters(), numbered(arrays, f"step_{letter}_p"))
        mine = statistics(network)
        start = arrays[f"step_{letter}_buffers_start"]
        copy_into(mine, start.split([len(tensor) for tensor in mine]))
    (optimizer,) = method.optimizers()
    for n, tolerance in enumerate((1e-4, 1e-3)):
        images, labels = arrays[f"step{n}_images"], arrays[f"step{n}_labels"]
        batch = Batch(images[: len(labels)], labels, images[len(labels) :])
        output = method.step(batch, n + 1)
        optimizer.zero_grad()
        output.loss.backward()
        set_learning_rates(method, [optimizer], n + 1)
        optimizer.step()
        winner = "vr"[int(arrays[f"step{n}_winner"])]
        terms = output.terms
        assert terms["vnet_is_better"] == (winner == "v")
        consistency = arrays[f"step{n}_consistency"]
        close(terms["consistency"], consistency, tolerance)
        total = 0.0
        for letter, name in NETWORKS.items():
            for term, mine in TERMS.items():
                expected = arrays[f"step{n}_{letter}_{term}"]
                close(terms[f"{name}_{mine}"], expected, tolerance)
            supervised = (
                terms[f"{name}_cross_entropy"]
                + terms[f"{name}_dice"]
                + method.settings.rectification_weight * terms[f"{name}_rectification"]
            )
            expected = arrays[f"step{n}_{letter}_supervised_loss"]
            close(supervised, expected, tolerance)
            loss = supervised if letter == winner else supervised + terms["weight"] * consistency
            close(loss, arrays[f"step{n}_{letter}_loss"], tolerance)
            total += float(arrays[f"step{n}_{letter}_loss"])
        close(output.loss, total, tolerance)
    for letter, name in NETWORKS.items():
        network = getattr(method, name)
        for mine, part in ((network.parameters(), "params"), (statistics(network), "buffers")):
            expected = arrays[f"step_{letter}_{part}_end"]
            within(flattened(mine), expected, absolute=1e-4, share=0.999)
