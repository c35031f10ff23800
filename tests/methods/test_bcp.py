import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgrs_core.data.batch import Batch
from sgrs_core.data.components import largest_components
from sgrs_core.data.masks import largest_component
from sgrs_core.data.sampling import Sample
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.bcp import mixed_loss, region_cross_entropy, region_dice
from sgrs_core.methods import bcp
from sgrs_core.methods.bcp import BcpSettings, BidirectionalCopyPaste
from sgrs_core.methods.mixing import outside_box, pairing, paste, random_box
from sgrs_core.networks.vnet import VNet, instance_norm_vnet
from sgrs_core.training.loop import set_learning_rates, start_stage, take_step

SECOND_STAGE = 5  # an iteration of it, by the tiny settings


def batch(patches: int = 2, sides: tuple[int, int, int] = (16, 16, 16)) -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2 * patches, 1, *sides, generator=generator)
    return Batch(images[:patches], (images[:patches, 0] > 0.5).long(), images[patches:])


def new_method(run: TrainingSettings, **settings) -> BidirectionalCopyPaste:
    torch.manual_seed(0)
    return BidirectionalCopyPaste(run, BcpSettings(**settings))


def state(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])


def row(foreground: list[float]) -> torch.Tensor:
    """Logits (1, 2, n, 1, 1) of a row of voxels with these foreground probabilities."""
    p = torch.tensor(foreground, dtype=torch.float64)
    return torch.stack([torch.log(1 - p), torch.log(p)]).view(1, 2, -1, 1, 1)


def labels(values: list[int]) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)


# The loss


def test_the_mixed_loss_of_a_hand_computed_row_of_voxels():
    # Two voxels outside the box (foreground 0.8, 0.4; labels 1, 0), one inside (0.3; label 1).
    logits, outside = row([0.8, 0.4, 0.3]), torch.tensor([True, True, False]).view(3, 1, 1)
    outer, inner = labels([1, 0, 0]), labels([0, 0, 1])
    # Dice scores outside: foreground 2 * 0.8 / (1.2 + 1), background 2 * 0.6 / (0.8 + 1).
    dice_outside = 1 - (1.6 / 2.2 + 1.2 / 1.8) / 2
    cross_entropy_outside = -(math.log(0.8) + math.log(0.6)) / 2
    # Inside: foreground 2 * 0.3 / (0.3 + 1); background 0 / 0.7.
    dice_inside = 1 - (0.6 / 1.3) / 2
    cross_entropy_inside = -math.log(0.3)
    expected = 0.5 * (dice_outside + cross_entropy_outside)
    expected += 0.5 * 0.5 * (dice_inside + cross_entropy_inside)
    value = mixed_loss(logits, outer, inner, outside, 1.0, 0.5).item()
    assert value == pytest.approx(expected, abs=2e-5)  # s = 1e-5 in the Dice scores


def test_labels_on_the_other_side_of_the_box_do_not_matter():
    logits, outside = row([0.8, 0.4, 0.3]), torch.tensor([True, True, False]).view(3, 1, 1)
    one = mixed_loss(logits, labels([1, 0, 0]), labels([0, 0, 1]), outside, 1.0, 0.5)
    other = mixed_loss(logits, labels([1, 0, 1]), labels([1, 1, 1]), outside, 1.0, 0.5)
    assert one == other


@settings(deadline=None)
@given(st.integers(0, 2**16))
def test_swapping_the_sides_and_their_weights_changes_nothing(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 2, 3, 3, 3, generator=generator)
    outer, inner = torch.randint(2, (2, 2, 3, 3, 3), generator=generator)
    outside = torch.rand(3, 3, 3, generator=generator) > 0.5
    one = mixed_loss(logits, outer, inner, outside, 1.0, 0.5)
    other = mixed_loss(logits, inner, outer, ~outside, 0.5, 1.0)
    torch.testing.assert_close(one, other)
    assert one >= 0


def test_a_region_without_voxels_costs_nothing_and_has_no_gradient():
    logits = row([0.8, 0.4]).requires_grad_()
    nowhere = torch.zeros(2, 1, 1, dtype=torch.bool)
    dice = region_dice(torch.softmax(logits, dim=1), labels([1, 0]), nowhere)
    cross_entropy = region_cross_entropy(logits, labels([1, 0]), nowhere)
    assert dice.item() == pytest.approx(0, abs=1e-6)
    assert cross_entropy.item() == 0
    (dice + cross_entropy).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


# Copy and paste


@pytest.mark.parametrize(
    ("patches", "first", "second"),
    [(1, [0], [0]), (2, [0, 1], [1, 0]), (3, [0, 1, 2], [2, 1, 0]), (4, [0, 1], [2, 3])],
)
def test_which_patches_are_pasted_into_each_other(patches, first, second):
    assert pairing(patches) == (first, second)


def test_pasting_keeps_the_outer_patch_outside_the_box_and_the_inner_one_inside():
    outer, inner = torch.zeros(2, 1, 4, 4, 4), torch.ones(2, 1, 4, 4, 4)
    mixed = paste(outer, inner, outside_box((1, 0, 2), (2, 3, 1), outer))
    assert mixed.sum() == 2 * 2 * 3 * 1
    assert mixed[:, :, 1:3, 0:3, 2:3].all()


@settings(deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 0.9))
def test_a_random_box_has_its_sides_and_lies_inside_the_patch(seed, share):
    torch.manual_seed(seed)
    sides = (16, 12, 20)
    inside = (~random_box(torch.empty(1, 1, *sides), share)).nonzero()
    lengths = (inside.amax(0) + 1 - inside.amin(0)).tolist()
    assert lengths == [int(side * share) for side in sides]
    assert len(inside) == math.prod(lengths)
    assert all((inside.amax(0) < torch.tensor(sides) - 1).tolist())  # never the far faces


# Components


def test_neighbours_across_edges_and_corners():
    mask = np.zeros((5, 5, 5), bool)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[2, 2, 1] = True  # an edge, then a corner
    assert largest_component(mask, 26).sum() == 3
    assert largest_component(mask, 18).sum() == 2


def test_the_first_of_equal_components_is_kept_and_nothing_of_an_empty_patch():
    masks = torch.zeros(2, 5, 1, 1, dtype=torch.bool)
    masks[0, [0, 1, 3, 4]] = True
    kept = largest_components(masks)
    assert kept[0].flatten().tolist() == [True, True, False, False, False]
    assert not kept[1].any()


# The step


def test_the_stages_share_the_iterations_as_published(tiny_training):
    published = replace(tiny_training, iterations=17_000)
    assert new_method(published).pretraining == 2_000
    assert new_method(replace(tiny_training, iterations=68_000)).pretraining == 8_000
    assert new_method(tiny_training).pretraining == 1
    assert new_method(tiny_training, pretraining=0.0).pretraining == 0
    assert new_method(tiny_training, pretraining=0.99).pretraining == 7  # one is left


def test_the_first_stage_does_not_look_at_unlabelled_patches(tiny_training):
    values = []
    for factor in (1, 100):
        method, patches = new_method(tiny_training), batch()
        torch.manual_seed(1)
        output = method.step(patches._replace(images_u=factor * patches.images_u), 1)
        values.append(output.loss.item())
        assert set(output.terms) == {"pretraining"}
        assert not output.observed  # there are no pseudo labels to be judged
    assert values[0] == values[1]


@pytest.mark.parametrize("iteration", [1, SECOND_STAGE])
def test_a_step_draws_one_box_of_the_set_size(iteration, tiny_training, monkeypatch):
    shares = []

    def recorded(like, share):
        shares.append(share)
        return random_box(like, share)

    monkeypatch.setattr(bcp, "random_box", recorded)
    new_method(tiny_training, box=0.4).step(batch(), iteration)
    assert shares == [0.4]


def test_two_patches_are_labelled_in_one_pass_and_four_in_two(tiny_training):
    for patches, passes in ((2, [2]), (4, [2, 2])):
        method, sizes = new_method(tiny_training), []
        method.teacher.register_forward_hook(
            lambda module, images, output, sizes=sizes: sizes.append(len(output))
        )
        method.step(batch(patches), SECOND_STAGE)
        assert sizes == passes


@pytest.mark.parametrize("patches", [1, 2, 4])
def test_a_step_of_the_second_stage_shows_a_pseudo_label_for_each_patch(patches, tiny_training):
    sides = (32, 16, 16)  # one patch in a pass needs more than one voxel at the bottleneck
    output = new_method(tiny_training).step(batch(patches, sides), SECOND_STAGE)
    assert torch.isfinite(output.loss)
    assert output.observed["pseudo_labels"].shape == (patches, *sides)
    both = output.terms["inward"] + output.terms["outward"]
    torch.testing.assert_close(output.loss.detach(), both)
    assert set(output.terms) == {"inward", "outward"}


def test_without_weight_pseudo_labels_do_not_matter(tiny_training):
    losses = []
    for bias in (-100.0, 100.0):  # a teacher that says background, or foreground, everywhere
        method = new_method(tiny_training, alpha=0.0)
        method.teacher.decoder.output.bias.data[1] = bias
        torch.manual_seed(1)
        output = method.step(batch(), SECOND_STAGE)
        losses.append(output.loss.item())
        assert output.observed["pseudo_labels"].float().mean() == (bias > 0)
    assert losses[0] == losses[1]


def test_pseudo_labels_are_one_component_unless_told_otherwise(tiny_training):
    images = batch().images_u
    shown = {}
    for component in (True, False):
        method = new_method(tiny_training, component=component, teacher_mode="eval")
        method.teacher.decoder.output.bias.data.zero_()
        shown[component] = method.pseudo_label(images) == 1
    assert torch.equal(shown[True], largest_components(shown[False]))
    assert shown[True].sum() < shown[False].sum()


def test_unequal_numbers_of_patches_are_refused(tiny_training):
    with pytest.raises(ValueError, match="allowed for copy-paste are equal numbers"):
        new_method(replace(tiny_training, unlabelled_patches=1))


# Teacher and optimiser


def advance(method: BidirectionalCopyPaste, optimizers, iteration: int, patches: Batch) -> None:
    if method.starts_stage(iteration):
        start_stage(method, optimizers, iteration, {})
    take_step(
        method, optimizers, Sample(patches, patches.labels_l), iteration, method.training_settings
    )


def test_the_second_stage_starts_from_the_first_and_sgd_without_momentum(tiny_training):
    method = new_method(tiny_training, pretraining=2 / 8)
    optimizers = method.optimizers()
    advance(method, optimizers, 1, batch())
    assert not torch.equal(state(method.teacher), state(method.network))
    assert optimizers[0].state
    advance(method, optimizers, 2, batch())
    momenta = list(optimizers[0].state.values())
    method.start_stage({}, optimizers)
    assert momenta
    assert torch.equal(state(method.teacher), state(method.network))
    assert not optimizers[0].state


def test_the_second_stage_can_start_from_what_was_chosen_in_the_first(tiny_training):
    method = new_method(tiny_training, pretraining=2 / 8, second_stage="best_on_test")
    chosen = {name: value + 1 for name, value in method.state_dict().items()}
    method.start_stage({"best_on_test": chosen}, method.optimizers())
    assert torch.equal(state(method.network), state(method.teacher))
    assert all(torch.equal(value, chosen[name]) for name, value in method.state_dict().items()
               if name.startswith("network."))  # fmt: skip


def test_a_start_from_test_scans_is_said_to_shape_the_training():
    trained_on = BidirectionalCopyPaste.trained_on
    assert trained_on(BcpSettings()) == set()
    assert trained_on(BcpSettings(second_stage="best_on_test")) == {"best_on_test"}


def test_adam_of_the_other_recipe_keeps_its_moments_and_its_rate(tiny_training):
    patches = batch(sides=(32, 16, 16))
    method = new_method(tiny_training, recipe="pancreas", pretraining=1 / 8)
    optimizers = method.optimizers()
    for iteration in range(1, 9):
        advance(method, optimizers, iteration, patches)
        assert optimizers[0].param_groups[0]["lr"] == 1e-3
        assert {int(moments["step"]) for moments in optimizers[0].state.values()} == {iteration}


@pytest.mark.parametrize("recipe", ["la", "pancreas"])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_going_on_before_at_and_after_the_change_of_stage(cut, recipe, tiny_training):
    """The first stage has two iterations, the second six."""

    def train(first: int, last: int, saved=None):
        method = new_method(tiny_training, recipe=recipe, pretraining=2 / 8)
        optimizers = method.optimizers()
        if saved is not None:
            method.load_state_dict(saved[0])
            optimizers[0].load_state_dict(saved[1])
        for iteration in range(first, last + 1):
            torch.manual_seed(iteration)
            advance(method, optimizers, iteration, batch(sides=(32, 16, 16)))
        return copy.deepcopy((method.state_dict(), optimizers[0].state_dict()))

    whole, _ = train(1, 5)
    resumed, _ = train(cut + 1, 5, train(1, cut))
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_teachers_parameters_are_the_moving_average(mode, tiny_training):
    method = new_method(tiny_training, teacher_mode=mode, decay=0.75)
    with torch.no_grad():
        for value in method.network.state_dict().values():
            value.add_(1)
    before = {name: value.clone() for name, value in method.teacher.state_dict().items()}
    parameters = dict(method.teacher.named_parameters())
    method.after_step(SECOND_STAGE)
    for name, value in method.teacher.state_dict().items():
        follows = name in parameters or (mode == "eval" and value.is_floating_point())
        expected = before[name] + 0.25 if follows else before[name]
        torch.testing.assert_close(value, expected)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_only_a_teacher_in_train_mode_has_dropout_and_its_own_statistics(mode, tiny_training):
    method = new_method(tiny_training, teacher_mode=mode).train()
    before = state(method.teacher)
    method.pseudo_label(batch().images_u)
    assert torch.equal(before, state(method.teacher)) is (mode == "eval")


def test_the_rate_falls_by_a_tenth_at_every_sixth_of_the_second_stage(tiny_training):
    run = replace(tiny_training, iterations=14)
    method = new_method(run, pretraining=2 / 14)
    optimizer = method.optimizers()[0]
    rates = []
    for iteration in range(1, 15):
        set_learning_rates(method, [optimizer], iteration)
        rates.append(optimizer.param_groups[0]["lr"])
    expected = [1e-2, 1e-2, *(10.0**-power for power in (2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7))]
    assert rates == pytest.approx(expected, rel=1e-9)
    constant = new_method(run, rate_levels=1)
    assert {constant.learning_rate(iteration) for iteration in range(1, 15)} == {1e-2}


# Precision, network, settings


@pytest.mark.parametrize("iteration", [1, SECOND_STAGE])
def test_losses_stay_in_float32_when_the_network_does_not(iteration, tiny_training):
    method = new_method(tiny_training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(batch(), iteration)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)


def test_instance_norm_keeps_patches_apart_and_the_names_of_the_v_net():
    network = instance_norm_vnet(base_filters=2)
    images = batch(1, (32, 16, 16)).images_l
    pair = torch.cat([images, 5 * images + 1])
    torch.testing.assert_close(network(pair)[:1], network(images), rtol=1e-4, atol=1e-5)
    names = {name for name, _ in network.named_parameters()}
    assert names < {name for name, _ in VNet(base_filters=2).named_parameters()}
