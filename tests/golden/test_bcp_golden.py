"""BCP equals its public code: boxes, losses, pseudo labels, networks, inference, whole steps."""

from types import SimpleNamespace

import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor, nn

from sgrs_core.data.batch import Batch
from sgrs_core.data.components import largest_components
from sgrs_core.data.masks import largest_component
from sgrs_core.data.sampling import Sample, Scan, TwoStreamSampler, padding
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.bcp import mixed_loss, region_cross_entropy, region_dice, region_loss
from sgrs_core.methods import bcp
from sgrs_core.methods.base import StepOutput
from sgrs_core.methods.bcp import BcpSettings, BidirectionalCopyPaste
from sgrs_core.methods.mixing import random_box
from sgrs_core.networks.vnet import VNet, instance_norm_vnet
from sgrs_core.training.loop import start_stage, take_step
from tests.golden.closeness import close, gradient_close, scan_close, within
from tests.golden.stored import Factors, Recorded, copy_into, flattened, numbered


@pytest.fixture(scope="module")
def arrays(tensors):
    return tensors("bcp")


# Boxes


@pytest.mark.parametrize(("recipe", "patch"), [("la", (112, 112, 80)), ("pancreas", (96, 96, 96))])
def test_sides_and_places_of_the_boxes(recipe, patch, arrays):
    stored = arrays[f"{recipe}_mask_boxes"].view(-1, 3, 2)
    sides = (stored[:, :, 1] - stored[:, :, 0]).unique(dim=0)
    assert len(sides) == 1
    for seed in range(5):
        torch.manual_seed(seed)
        inside = (~random_box(torch.empty(1, 1, *patch), BcpSettings().box)).nonzero()
        lowest, highest = inside.amin(0), inside.amax(0)
        assert len(inside) == sides.prod()
        assert (highest + 1 - lowest).tolist() == sides[0].tolist()


def test_the_range_of_the_corners(arrays, monkeypatch):
    bounds = []
    monkeypatch.setattr(torch, "randint", lambda high, size: bounds.append(high) or 0)
    random_box(torch.empty(112, 112, 80), BcpSettings().box)
    assert arrays["la_mask_corner_min"].tolist() == [0, 0, 0]
    assert arrays["la_mask_corner_max"].tolist() == [bound - 1 for bound in bounds]


# Losses


def test_the_losses_of_both_directions_and_of_pretraining(arrays):
    label, pseudo, outside = arrays["label"], arrays["pseudo_label"], arrays["mask"] == 1
    logits_l, logits_u = (arrays[f"logits_{s}"].clone().requires_grad_() for s in "lu")
    half = len(logits_l)
    inward = mixed_loss(logits_l, label[:half], pseudo[:half], outside, 1.0, 0.5)
    outward = mixed_loss(logits_u, pseudo[half:], label[half:], outside, 0.5, 1.0)
    everywhere = torch.ones_like(outside)
    pretraining = region_loss(logits_l, label[:half], everywhere)
    (inward + outward).backward()
    close(inward, arrays["loss_l"])
    close(outward, arrays["loss_u"])
    close(pretraining, arrays["loss_pretrain"])
    gradient_close(logits_l.grad, arrays["grad_logits_l"])
    gradient_close(logits_u.grad, arrays["grad_logits_u"])


@pytest.fixture
def given(arrays) -> SimpleNamespace:
    """The logits of the section on losses, with their labels and M."""
    return SimpleNamespace(
        logits=arrays["loss_logits"].clone().requires_grad_(),
        label=arrays["loss_label"],
        pseudo=arrays["loss_pseudo"].long(),
        outside=arrays["loss_mask"] == 1,
    )


@pytest.mark.parametrize("name", ["loss_inward", "loss_outward", "loss_all_ones_mask"])
def test_mixed_losses_and_their_gradients(name, given, arrays):
    outside = torch.ones_like(given.outside) if name == "loss_all_ones_mask" else given.outside
    if name == "loss_outward":
        loss = mixed_loss(given.logits, given.pseudo, given.label, outside, 0.5, 1.0)
    else:
        loss = mixed_loss(given.logits, given.label, given.pseudo, outside, 1.0, 0.5)
    loss.backward()
    close(loss, arrays[name])
    gradient_close(given.logits.grad, arrays[f"{name}_grad"])


def test_the_terms_of_the_inward_loss(given, arrays):
    probability = torch.softmax(given.logits, dim=1)
    for label, where, region in (
        (given.label, "label_in_mask", given.outside),
        (given.pseudo, "pseudo_out_of_mask", ~given.outside),
    ):
        dice = region_dice(probability, label, region)
        cross_entropy = region_cross_entropy(given.logits, label, region)
        close(dice, arrays[f"dice_{where}"])
        close(cross_entropy, arrays[f"ce_{where}"])


def test_the_loss_of_pretraining_its_terms_and_its_gradient(given, arrays):
    everywhere = torch.ones_like(given.outside)
    dice = region_dice(torch.softmax(given.logits, dim=1), given.label, everywhere)
    cross_entropy = region_cross_entropy(given.logits, given.label, everywhere)
    loss = region_loss(given.logits, given.label, everywhere)
    loss.backward()
    close(dice, arrays["pretrain_dice"])
    close(cross_entropy, arrays["pretrain_ce"])
    close(loss, arrays["pretrain_loss"])
    gradient_close(given.logits.grad, arrays["pretrain_grad"])


# Pseudo labels


@pytest.mark.parametrize("recipe", ["la", "pancreas"])
def test_pseudo_labels(recipe, arrays):
    for component, expected in ((True, f"pseudo_{recipe}"), (False, "pseudo_threshold")):
        settings = BcpSettings(recipe=recipe, component=component)
        method = BidirectionalCopyPaste(TrainingSettings(base_filters=1), settings)
        method.teacher = Recorded(arrays["pseudo_logits"])
        assert torch.equal(method.pseudo_label(arrays["pseudo_logits"]), arrays[expected])
    neighbours = bcp.NEIGHBOURS[recipe]
    kept = largest_components(arrays["pseudo_threshold"] == 1, neighbours)
    assert torch.equal(kept.long(), arrays[f"pseudo_{recipe}"])


# Augmentation and crops


class Draws:
    """Stands for the generator: the given numbers in turn; keeps the upper bounds asked for."""

    def __init__(self, *numbers: int) -> None:
        self.numbers, self.bounds = list(numbers), []

    def integers(self, bound: int) -> int:
        self.bounds.append(bound)
        return self.numbers.pop(0)


def draw_patch(scan: Scan, size, augmentation: str, draws: Draws) -> tuple[Tensor, Tensor]:
    run = SimpleNamespace(patch=tuple(size), augmentation=augmentation)
    sampler = TwoStreamSampler([], [], run, 0, torch.device("cpu"))
    images, labels = sampler.patches([scan], draws)
    return images[0, 0].to(scan.voxels.dtype), labels[0].to(scan.label.dtype)


def test_turns_and_flips(arrays):
    scan = Scan(arrays["aug_image"], arrays["aug_label"])
    for index, (image, label) in enumerate(
        zip(arrays["aug_images"], arrays["aug_labels"], strict=True)
    ):
        turns, axis = divmod(index, 2)
        drawn = draw_patch(scan, scan.label.shape, "rotate_flip", Draws(turns, axis, 0, 0, 0))
        assert torch.equal(drawn[0], image)
        assert torch.equal(drawn[1], label)


@pytest.mark.parametrize("name", ["crop_la_corner1", "crop_la_padded"])
def test_crops_and_the_range_of_their_corners(name, arrays):
    image, expected = arrays["crop_image"], arrays[name]
    padded = nn.functional.pad(image, padding(image.shape, tuple(expected.shape)))
    draws = Draws(1, 1, 1)
    image, _ = draw_patch(Scan(padded, padded), expected.shape, "none", draws)
    assert torch.equal(image, expected)
    assert draws.bounds == arrays[f"{name}_upper"].tolist()


# Networks


@pytest.fixture
def la_network(arrays) -> VNet:
    parameters = numbered(arrays, "p")
    base_filters = len(parameters[0])
    network = VNet(len(parameters[-1]), base_filters)
    copy_into(network.parameters(), parameters)
    copy_into(network.buffers(), numbered(arrays, "b"))
    return network


@pytest.fixture
def pancreas_network(arrays) -> VNet:
    parameters = numbered(arrays, "pancreas_p")
    base_filters = len(parameters[0])
    network = instance_norm_vnet(len(parameters[-1]), base_filters)
    copy_into(network.parameters(), parameters)
    return network


def test_the_network_of_la_in_eval_and_in_train_mode(la_network, arrays):
    close(la_network.eval()(arrays["net_input"]), arrays["net_la_output_eval"])
    la_network.encoder.dropout = Factors(arrays["net_la_dropout_bottleneck"])
    la_network.decoder.dropout = Factors(arrays["net_la_dropout_output"])
    close(la_network.train()(arrays["net_input"]), arrays["net_la_output_train"])


def test_the_network_of_pancreas_is_the_same_in_both_modes(pancreas_network, arrays):
    assert not list(pancreas_network.buffers())
    for network in (pancreas_network.train(), pancreas_network.eval()):
        close(network(arrays["net_input"]), arrays["net_pancreas_output"])


def test_both_recipes_networks_have_the_published_sizes():
    for recipe, tensors, numbers in (("la", 118, 9_448_866), ("pancreas", 60, 9_443_266)):
        method = BidirectionalCopyPaste(TrainingSettings(), BcpSettings(recipe=recipe))
        parameters = list(method.network.parameters())
        assert len(parameters) == tensors
        assert sum(parameter.numel() for parameter in parameters) == numbers


# Inference


@pytest.mark.parametrize(
    ("recipe", "patch", "stride"),
    [("la", (16, 16, 16), (6, 6, 4)), ("pancreas", (32, 16, 16), (9, 9, 5))],
)
def test_scores_and_labels_of_a_scan(recipe, patch, stride, request, arrays):
    network = request.getfixturevalue(f"{recipe}_network")
    method = BidirectionalCopyPaste(TrainingSettings(base_filters=1), BcpSettings(recipe=recipe))
    method.network = network
    if recipe == "la":
        network.decoder.output.bias.data.copy_(arrays["infer_la_output_bias"])
    method.eval()
    image = arrays[f"infer_{recipe}_image"].numpy()
    score = foreground_score(method.predict, image, patch, stride)
    label = arrays[f"infer_{recipe}_label"].numpy()
    scan_close(score, arrays[f"infer_{recipe}_score"], label)
    if recipe == "la":
        component = largest_component(label == 1, bcp.NEIGHBOURS[recipe])
        assert_array_equal(component, arrays["infer_la_label_lcc"].numpy())


# Three iterations of each recipe


def sample(arrays, prefix: str, swap: bool) -> Sample:
    """The stored patches as a step's; swap: U_B before U_A."""
    images, labels = arrays[f"{prefix}_images"], arrays[f"{prefix}_labels"]
    images_l = images[: len(labels)]
    images_u = images[len(labels) :] if len(images) > len(labels) else torch.zeros_like(images_l)
    if swap:
        images_u = images_u.roll(len(images_u) // 2, 0)
    return Sample(Batch(images_l, labels, images_u), torch.zeros_like(labels))


class Training:
    """A method on its way through the stored iterations, by the loop's own functions."""

    def __init__(self, arrays, recipe: str, monkeypatch) -> None:
        self.arrays, self.swap = arrays, recipe == "pancreas"
        self.prefix = {"la": "step", "pancreas": "pstep"}[recipe]
        parameters = numbered(arrays, f"{self.prefix}_p")
        self.run = TrainingSettings(
            iterations=3, base_filters=len(parameters[0]), dropout=0, channels_last=False
        )
        settings = BcpSettings(recipe=recipe, pretraining=1 / 3, rate_levels=1)
        self.method = BidirectionalCopyPaste(self.run, settings)
        copy_into(self.method.network.parameters(), parameters)
        copy_into(self.method.network.buffers(), numbered(arrays, f"{self.prefix}_b"))
        self.optimizers = self.method.optimizers()
        self.monkeypatch = monkeypatch

    def step(self, number: int) -> StepOutput:
        """With the stored pseudo labels: ours differ by rounding, and what follows by more."""
        stored = f"{self.prefix}{number}"
        outside = self.arrays[f"{stored}_mask"] == 1
        self.monkeypatch.setattr(bcp, "random_box", lambda like, share: outside)
        halves = "ba" if self.swap else "ab"
        mine, predict = [], self.method.pseudo_label

        def pseudo_label(images: Tensor) -> Tensor:
            mine.append(predict(images))
            return self.arrays[f"{stored}_pseudo_{halves[len(mine) - 1]}"]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.method, "pseudo_label", pseudo_label)
            patches = sample(self.arrays, stored, self.swap)
            if self.method.starts_stage(number + 1):
                start_stage(self.method, self.optimizers, number + 1, {})
            output = take_step(self.method, self.optimizers, patches, number + 1, self.run)
        if mine:
            assert (torch.cat(mine) != output.observed["pseudo_labels"]).float().mean() <= 1e-3
        return output


@pytest.fixture
def la(arrays, monkeypatch) -> Training:
    return Training(arrays, "la", monkeypatch)


@pytest.fixture
def pancreas(arrays, monkeypatch) -> Training:
    return Training(arrays, "pancreas", monkeypatch)


@pytest.mark.parametrize("recipe", ["la", "pancreas"])
def test_the_terms_of_an_iteration_of_pretraining(recipe, request, arrays):
    training = request.getfixturevalue(recipe)
    stored = f"{training.prefix}0"
    outside = arrays[f"{stored}_mask"] == 1
    images, labels = arrays[f"{stored}_images"], arrays[f"{stored}_labels"]
    half = len(labels) // 2
    mixed = torch.where(outside, images[:half], images[half:])
    label = torch.where(outside, labels[:half], labels[half:])
    logits = training.method.network(mixed)
    everywhere = torch.ones_like(outside)
    dice = region_dice(torch.softmax(logits, dim=1), label, everywhere)
    close(dice, arrays[f"{stored}_dice"])
    cross_entropy = region_cross_entropy(logits, label, everywhere)
    close(cross_entropy, arrays[f"{stored}_ce"])


def test_three_iterations_of_la(la, arrays):
    output = la.step(0)
    close(output.loss, arrays["step0_loss"])
    close(flattened(la.method.network.buffers()), arrays["step0_student_buffers"])

    passes = []
    la.method.network.register_forward_hook(lambda m, args, out: passes.append(out.detach()))
    for number, tolerance in ((1, 1e-4), (2, 1e-3)):
        output = la.step(number)
        close(output.terms["inward"], arrays[f"step{number}_loss_l"], tolerance)
        close(output.terms["outward"], arrays[f"step{number}_loss_u"], tolerance)
        close(output.loss, arrays[f"step{number}_loss"], tolerance)
    close(passes[0], arrays["step1_logits_l"])

    # Rounding: 6e-4 in the student's parameters, 0.3% of which beyond 1e-4; 2e-5 in all else.
    for name, network, absolute in (
        ("student", la.method.network, 1e-4), ("teacher", la.method.teacher, 2e-5),
    ):  # fmt: skip
        parameters, buffers = flattened(network.parameters()), flattened(network.buffers())
        within(parameters, arrays[f"step2_{name}_params"], absolute=absolute, share=0.99)
        close(buffers, arrays[f"step2_{name}_buffers"], floor=1e-4)


def test_three_iterations_of_pancreas(pancreas, arrays):
    """The stored x_1 is outward (U_A, B) and x_2 inward (A, U_B).

    Adam divides by its gradients' size, so that rounding reaches 1e-3 in the last loss and moves up
    to a quarter of the student's parameters by 1e-4; with a wrong state it is more than a half.
    """
    close(pancreas.step(0).loss, arrays["pstep0_loss"])
    for number, tolerance in ((1, 1e-4), (2, 2e-3)):
        output = pancreas.step(number)
        close(output.terms["outward"], arrays[f"pstep{number}_loss_1"], tolerance)
        close(output.terms["inward"], arrays[f"pstep{number}_loss_2"], tolerance)
        close(output.loss, arrays[f"pstep{number}_loss"], tolerance)

    student, teacher = pancreas.method.network, pancreas.method.teacher
    felt = [  # a bias before an instance norm has no effect, and Adam moves it by rounding alone
        torch.full_like(value, name.endswith("weight") or name == "decoder.output.bias").bool()
        for name, value in student.named_parameters()
    ]
    felt = torch.cat([each.flatten() for each in felt])
    for network, name, share in ((student, "student", 0.6), (teacher, "teacher", 0.999)):
        mine, expected = flattened(network.parameters()), arrays[f"pstep2_{name}_params"]
        within(mine[felt], expected[felt], absolute=1e-4, share=share)


def test_the_learning_rate_of_the_second_stage(arrays):
    """The published 2,000 + 15,000 iterations."""
    method = BidirectionalCopyPaste(TrainingSettings(iterations=17_000, base_filters=1))
    assert method.pretraining == 2_000
    rates = [method.learning_rate(2_000 + int(n)) for n in arrays["lr_iterations"]]
    close(rates, arrays["lr_values"], floor=0)
