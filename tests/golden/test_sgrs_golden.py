"""SGRS-Net's released form equals the released code, formula by formula."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.sgrs import (
    SgrsSettings,
    SynergyGuidedRegionalSupervision,
    entropy,
    mix,
)
from sgrs_core.networks.ema import average_into
from tests.golden.closeness import OUTPUT, close, gradient_close, within


def new_method(**settings) -> SynergyGuidedRegionalSupervision:
    run = TrainingSettings(patch=(16, 16, 16), base_filters=2)
    return SynergyGuidedRegionalSupervision(run, SgrsSettings(**settings))


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("sgrs")


@pytest.fixture
def logits(arrays):
    names = ("labelled", "unlabelled", "mixed")
    return {name: arrays[f"logits_{name}"].clone().requires_grad_() for name in names}


def softmaxes(logits) -> list[torch.Tensor]:
    return [torch.softmax(logits[name], dim=1) for name in ("unlabelled", "mixed")]


@pytest.mark.parametrize("form", ["released", "paper"])
def test_regions_of_both_forms(form, arrays, logits):
    method = new_method(disregarded="released")
    if form == "paper":
        method = new_method(disregarded="paper", tau=float(arrays["entropy10_at_tau"]))
    regions = method.split(softmaxes(logits))
    entropies = torch.stack([arrays[f"entropy10_{name}"] for name in ("unlabelled", "mixed")])
    tau = arrays["entropy10_at_tau"]
    sure = ((entropies - tau).abs() > OUTPUT * tau).all(dim=0)
    assert sure.float().mean() > 0.99
    assert torch.equal(regions.delta[sure], arrays["region_ignored"][sure])
    assert torch.equal(regions.omega[sure], arrays["region_consistent"][sure])
    assert torch.equal(regions.theta[sure], arrays["region_inconsistent"][sure])


def test_entropy_in_base_ten(arrays, logits):
    for probability, name in zip(softmaxes(logits), ("unlabelled", "mixed"), strict=True):
        close(entropy(probability), arrays[f"entropy10_{name}"])


def test_supervised_loss(arrays, logits):
    loss, terms = new_method().labelled_loss(logits["labelled"], arrays["label"])
    close(terms["labelled_cross_entropy"], arrays["released_sup_ce"])
    close(terms["labelled_dice"], arrays["released_sup_dice"])
    close(loss, arrays["released_sup"])


@pytest.mark.parametrize(("view", "letter"), [("unlabelled", "u"), ("mixed", "m")])
def test_regional_terms_of_each_view(view, letter, arrays, logits):
    method = new_method()
    regions = method.split(softmaxes(logits))
    _, terms = method.regional_loss([logits[view]], arrays["pseudo_label"], regions)
    cross_entropy = terms["consistent_cross_entropy"] + terms["noise_robust_cross_entropy"]
    close(cross_entropy, arrays[f"released_ce_{letter}"])
    for name, stored in (("consistent_dice", "con"), ("noise_robust_dice", "nr")):
        expected = arrays[f"released_dice_{stored}_{letter}"]
        close(terms[name], expected)


def test_total_loss_and_its_gradients(arrays, logits):
    method = new_method()
    views = [logits["unlabelled"], logits["mixed"]]
    regions = method.split(softmaxes(logits))
    supervised, _ = method.labelled_loss(logits["labelled"], arrays["label"])
    unsupervised, _ = method.regional_loss(views, arrays["pseudo_label"], regions)
    weight = method.rampup(1500)
    total = supervised + weight * unsupervised
    total.backward()
    close(unsupervised, arrays["released_pseudo"])
    close(weight, arrays["weight_iter_1500"])
    close(total, arrays["released_total"])
    for name, tensor in logits.items():
        gradient_close(tensor.grad, arrays[f"grad_logits_{name}"])


@pytest.mark.parametrize(
    "settings",
    [
        {"omega": "nr", "theta": "con"},
        {"omega": "nr"},
        {"omega": "nr", "delta": "nr"},
        {"theta": "con", "delta": "con"},
        {"disregarded": "paper", "tau": 0.3011},
    ],
)
def test_rows_that_both_forms_of_an_ablation_share_are_one_run(settings, arrays, logits):
    views = [logits["unlabelled"], logits["mixed"]]
    found = []
    for form in ("released", "paper"):
        method = new_method(**settings, consistent_cross_entropy=form)
        regions = method.split(softmaxes(logits))
        found.append(method.regional_loss(views, arrays["pseudo_label"], regions))
    (loss, terms), (other, others) = found
    assert loss.item() == other.item()
    assert {name: term.item() for name, term in terms.items()} == {
        name: term.item() for name, term in others.items()
    }


@pytest.mark.parametrize("form", ["released", "paper"])
def test_the_threshold_moves_the_consistent_cross_entropy_only_as_printed(form, arrays, logits):
    values = []
    for tau in (0.10, 0.20, 0.28, 0.301, 0.3011):
        method = new_method(disregarded="paper", tau=tau, consistent_cross_entropy=form)
        regions = method.split(softmaxes(logits))
        views = [logits["unlabelled"], logits["mixed"]]
        _, terms = method.regional_loss(views, arrays["pseudo_label"], regions)
        values.append(terms["consistent_cross_entropy"].item())
    assert not regions.delta.any()  # above log10 2
    if form == "released":
        assert values == pytest.approx([values[0]] * len(values), rel=1e-6)
    else:
        assert all(one < other for one, other in pairwise(values))


def test_ramp(arrays):
    method = new_method()
    values = [method.rampup(int(iteration)) for iteration in arrays["ramp_iterations"]]
    close(values, arrays["ramp_values"], floor=0)


def test_mixing(arrays):
    mixed = mix(
        arrays["mix_labelled"] + arrays["mix_noise_labelled"],
        arrays["mix_unlabelled"] + arrays["mix_noise_unlabelled"],
        arrays["mix_lambda"],
        arrays["mix_partner"],
    )
    within(mixed, arrays["mix_result"], 1e-5, absolute=1e-6)


def small_network(values: torch.Tensor) -> nn.Module:
    """A convolution and a batch norm that hold a flattened state."""
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2))
    start = 0
    for tensor in network.state_dict().values():
        tensor.copy_(values[start : start + tensor.numel()].view(tensor.shape))
        start += tensor.numel()
    return network


def flattened(network: nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in network.state_dict().values()])


def test_teacher_update_and_student_decay(arrays):
    method = new_method()
    method.network = small_network(arrays["ema_student_start"])
    method.teacher = small_network(arrays["ema_teacher_start"])
    optimizer = method.optimizers()[0]
    optimizer.param_groups.clear()
    optimizer.add_param_group({"params": list(method.network.parameters())})
    for iteration in range(1, sum(name.startswith("ema_input") for name in arrays) + 1):
        images = arrays[f"ema_input{iteration}"]
        with torch.no_grad():
            method.teacher(images + 0.1)
        optimizer.zero_grad()
        (method.network(images) ** 3).mean().backward()
        optimizer.step()
        expected = arrays[f"ema_student_after_sgd{iteration}"]
        within(flattened(method.network), expected, 1e-5, absolute=1e-6)
        method.after_step(iteration)
        for network, name in ((method.network, "student"), (method.teacher, "teacher")):
            expected = arrays[f"ema_{name}{iteration}"]
            within(flattened(network), expected, 1e-5, absolute=1e-6)


def test_shared_start_gives_the_student_the_teachers_weights(arrays):
    teacher = small_network(arrays["ema_teacher_start"])
    student = small_network(arrays["ema_student_start"])
    average_into(student, teacher, decay=0.0, buffers=True)
    within(flattened(student), arrays["ema_teacher_start"])
    method = new_method()
    assert torch.equal(flattened(method.network), flattened(method.teacher))
