import math
from dataclasses import replace

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.sgrs import (
    SgrsSettings,
    SynergyGuidedRegionalSupervision,
    entropy,
    is_uncertain_by_probability,
    mix,
    partition,
)
from tests.places import CONFIG

PAPER = SgrsSettings(**yaml.safe_load((CONFIG / "methods/sgrs_paper.yaml").read_text())["settings"])
FORMS = [name for name, key in SgrsSettings.model_fields.items() if key.default == "released"]
RELEASED_2024 = SgrsSettings(
    **yaml.safe_load((CONFIG / "methods/sgrs_released_2024.yaml").read_text())["settings"]
)


def probabilities(foreground: float) -> torch.Tensor:
    """One voxel, two classes."""
    return torch.tensor([1 - foreground, foreground]).view(1, 2, 1, 1, 1)


def batch() -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    labels = (images[:2, 0] > 0.5).long()
    return Batch(images[:2], labels, images[2:])


def new_method(run: TrainingSettings, settings: SgrsSettings):
    torch.manual_seed(0)
    return SynergyGuidedRegionalSupervision(run, settings)


def loss_of(run: TrainingSettings, settings: SgrsSettings) -> float:
    """The loss, weight 1, of random outputs that are often sure and do not always agree."""
    generator = torch.Generator().manual_seed(2)
    views = [3 * torch.randn(2, 2, 8, 8, 8, generator=generator) for _ in range(3)]
    label, pseudo_label = torch.randint(2, (2, 2, 8, 8, 8), generator=generator)
    method = new_method(run, settings)
    regions = method.split([torch.softmax(logits, dim=1) for logits in views[1:]])
    supervised, _ = method.labelled_loss(views[0], label)
    unsupervised, _ = method.regional_loss(views[1:], pseudo_label, regions)
    return (supervised + unsupervised).item()


@given(st.floats(0.0, 1.0))
def test_entropy_is_base_ten_symmetric_and_at_most_log10_of_2(foreground):
    value = entropy(probabilities(foreground)).item()
    assert -1e-7 <= value <= math.log10(2) + 1e-6
    assert value == pytest.approx(entropy(probabilities(1 - foreground)).item(), abs=1e-6)


def test_the_printed_threshold_is_the_released_probability_rounded():
    value = entropy(probabilities(0.425)).item()
    assert value == pytest.approx(0.296125694, abs=1e-6)
    assert round(value, 3) == 0.296


@pytest.mark.parametrize(
    ("foreground", "uncertain"),
    [(0.42, (False, True)), (0.43, (True, True)), (0.5, (True, True)), (0.58, (False, True)),
     (0.6, (False, False))],
)  # fmt: skip
def test_voxels_between_the_two_probabilities_of_a_version_are_uncertain(foreground, uncertain):
    voxel = probabilities(foreground)
    found = [is_uncertain_by_probability(voxel, limit).item() for limit in (0.425, 0.410)]
    assert tuple(found) == uncertain


def test_in_the_code_of_2024_the_mixed_view_decides_nothing(tiny_training):
    sure, unsure = probabilities(0.9), probabilities(0.55)
    of_2024, of_2025 = (new_method(tiny_training, one) for one in (RELEASED_2024, SgrsSettings()))
    assert of_2024.split([sure, unsure]).omega.all()
    assert of_2025.split([sure, unsure]).delta.all()
    assert of_2024.split([unsure, sure]).delta.all()


@given(st.integers(0, 2**16))
def test_every_voxel_lies_in_exactly_one_region(seed):
    generator = torch.Generator().manual_seed(seed)
    p_u, p_m = (torch.rand(2, 2, 3, 3, 3, generator=generator) for _ in range(2))
    uncertain = torch.rand(2, 3, 3, 3, generator=generator) > 0.5
    regions = partition(p_u, p_m, uncertain)
    members = regions.omega.int() + regions.theta.int() + regions.delta.int()
    assert (members == 1).all()


@pytest.mark.parametrize(
    ("p_u", "p_m", "region"),
    [(0.9, 0.8, "omega"), (0.9, 0.2, "theta"), (0.5, 0.9, "delta"), (0.9, 0.5, "delta")],
)
def test_regions_of_hand_made_voxels(p_u, p_m, region, tiny_training):
    for settings in (SgrsSettings(), PAPER):
        method = new_method(tiny_training, settings)
        regions = method.split([probabilities(p_u), probabilities(p_m)])
        assert getattr(regions, region).all()


def test_mixing_keeps_more_of_the_unlabelled_patch_than_of_its_partner():
    labelled, unlabelled = torch.zeros(2, 1, 2, 2, 2), torch.ones(2, 1, 2, 2, 2)
    labelled[1] = 10
    mixed = mix(labelled, unlabelled, torch.tensor([0.75, 0.5]), torch.tensor([1, 0]))
    assert torch.equal(mixed[0], torch.full((1, 2, 2, 2), 0.75 + 0.25 * 10))
    assert torch.equal(mixed[1], torch.full((1, 2, 2, 2), 0.5))


def test_the_mixing_coefficient_is_at_least_a_half_and_partners_are_labelled(tiny_training):
    method = new_method(tiny_training, SgrsSettings())
    lam, partner = method.draw_mixing(labelled=3, unlabelled=7)
    assert lam.min() >= 0.5
    assert lam.max() <= 1
    assert set(partner.tolist()) <= {0, 1, 2}


def test_noise_stays_within_its_limit(tiny_training):
    images = torch.zeros(1, 1, 16, 16, 16)
    noise = new_method(tiny_training, SgrsSettings()).add_noise(images)
    assert 0.09 < noise.std() < 0.1
    assert noise.abs().max() == pytest.approx(0.2)
    assert torch.equal(new_method(tiny_training, PAPER).add_noise(images), images)


@pytest.mark.parametrize("kind", ["flip_h", "flip_v"])
def test_flipped_views_are_compared_in_one_frame(kind, tiny_training):
    method = new_method(tiny_training, SgrsSettings(augmentation=kind))
    method.eval()  # without dropout and batch statistics, the frame is all that could differ
    images = torch.rand(1, 1, 16, 16, 16)
    patches = Batch(images, torch.zeros(1, 16, 16, 16, dtype=torch.int64), images)
    _, plain, flipped = method.student_outputs(patches, images, images)
    axis = {"flip_h": 2, "flip_v": 3}[kind]
    expected = method.network(images.flip(axis)).flip(axis)
    torch.testing.assert_close(flipped, expected)
    assert not torch.allclose(plain, flipped)


def test_without_augmentation_there_is_one_view_and_nothing_is_inconsistent(tiny_training):
    method = new_method(tiny_training, SgrsSettings(augmentation="none"))
    output = method.step(batch(), 1)
    assert not output.observed["region_theta"].any()


def test_the_student_can_be_its_own_teacher(tiny_training):
    method = new_method(tiny_training, SgrsSettings(teacher="student"))
    assert not any(name.startswith("teacher") for name in method.state_dict())
    assert torch.isfinite(method.step(batch(), 1).loss)
    method.after_step(1)


def test_regions_with_the_same_loss_are_supervised_as_one(tiny_training):
    whole = SgrsSettings(omega="con", theta="con", delta="con")
    method = new_method(tiny_training, whole)
    probability = torch.rand(2, 2, 4, 4, 4)
    regions = partition(probability, 1 - probability, torch.rand(2, 4, 4, 4) > 0.5)
    assert method.regions_by_loss(regions)["con"].all()


def test_without_any_regional_loss_only_the_labelled_patches_count(tiny_training):
    nothing = SgrsSettings(omega="none", theta="none", delta="none")
    output = new_method(tiny_training, nothing).step(batch(), 100)
    terms = output.terms
    expected = 0.5 * (terms["labelled_cross_entropy"] + terms["labelled_dice"])
    torch.testing.assert_close(output.loss.detach(), expected)


def test_the_printed_form_switches_every_numbered_difference_and_the_noise():
    as_printed = {name for name in FORMS if getattr(PAPER, name) == "paper"}
    assert as_printed == set(FORMS) - {"cross_entropy"}  # whose printed sum cannot be trained
    assert len(FORMS) == 11
    assert PAPER.noise == 0
    assert PAPER.uncertain_views == "both"


def test_the_form_of_2024_differs_from_todays_in_two_points():
    one, other = RELEASED_2024.model_dump(), SgrsSettings().model_dump()
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {"disregarded", "uncertain_views"}


@pytest.mark.parametrize(
    "name",
    [
        "labelled_dice",
        "consistent_dice",
        "noise_robust_dice",
        "consistent_cross_entropy",
        "noise_robust_cross_entropy",
        "loss_weights",
        "cross_entropy",
    ],
)
def test_each_difference_of_the_losses_changes_the_loss(name, tiny_training):
    changed = loss_of(tiny_training, SgrsSettings(**{name: "paper"}))
    assert changed != pytest.approx(loss_of(tiny_training, SgrsSettings()), rel=1e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_student_and_teacher_start_alike_if_the_settings_say_so(shared, tiny_training):
    method = new_method(tiny_training, SgrsSettings(shared_start=shared))
    pairs = zip(method.network.parameters(), method.teacher.parameters(), strict=True)
    assert all(torch.equal(student, teacher) for student, teacher in pairs) is shared


@pytest.mark.parametrize("name", ["teacher_update", "student_decay"])
def test_each_difference_of_the_update_changes_the_weights(name, tiny_training):
    states = []
    for settings in (SgrsSettings(), SgrsSettings(**{name: "paper"})):
        method = new_method(tiny_training, settings)
        with torch.no_grad():
            for parameter in method.network.parameters():
                parameter.add_(0.1)
        method.after_step(3)
        states.append(torch.cat([value.flatten() for value in method.parameters()]))
    assert not torch.allclose(states[0], states[1])


def test_the_printed_teacher_is_the_plain_moving_average(tiny_training):
    method = new_method(tiny_training, PAPER.model_copy(update={"shared_start": False}))
    expected = [
        0.75 * teacher + 0.25 * student
        for teacher, student in zip(
            method.teacher.parameters(), method.network.parameters(), strict=True
        )
    ]
    method.after_step(3)  # a = 1 - 1 / 4
    for teacher, mean in zip(method.teacher.parameters(), expected, strict=True):
        torch.testing.assert_close(teacher, mean)


@pytest.mark.parametrize("update", ["paper", "released"])
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_the_teachers_batch_statistics_follow_somebody(mode, update, tiny_training):
    settings = SgrsSettings(teacher_mode=mode, teacher_update=update)
    method = new_method(tiny_training, settings)
    before = [value.clone() for value in method.teacher.buffers()]
    method.step(batch(), 1)
    method.after_step(1)
    moved = [not torch.equal(*pair) for pair in zip(before, method.teacher.buffers(), strict=True)]
    floating = [value.is_floating_point() for value in before]
    assert [a for a, b in zip(moved, floating, strict=True) if b] == [True] * sum(floating)


def test_the_printed_loss_is_the_sum_that_equation_19_says(tiny_training):
    method = new_method(replace(tiny_training, ramp_iterations=1), PAPER)
    output = method.step(batch(), 10)
    terms = output.terms
    labelled = terms["labelled_cross_entropy"] + terms["labelled_dice"]
    both_views = 2 * sum(
        terms[f"{kind}_{part}"]
        for kind in ("consistent", "noise_robust")
        for part in ("cross_entropy", "dice")
    )
    torch.testing.assert_close(output.loss.detach(), labelled + both_views)


def without_names(loss_and_terms):
    """The same function, whose terms have numbers for names."""

    def unnamed(*given):
        loss, terms = loss_and_terms(*given)
        return loss, {f"{id(terms)}_{k}": term for k, term in enumerate(terms.values())}

    return unnamed


@pytest.mark.parametrize("settings", [SgrsSettings(), PAPER], ids=["released", "paper"])
def test_the_names_of_the_log_do_not_enter_the_loss(settings, tiny_training):
    named, unnamed = new_method(tiny_training, settings), new_method(tiny_training, settings)
    unnamed.labelled_loss = without_names(unnamed.labelled_loss)
    unnamed.regional_loss = without_names(unnamed.regional_loss)
    losses = []
    for method in (named, unnamed):
        torch.manual_seed(1)
        output = method.step(batch(), 10)
        losses.append(output.loss)
    assert torch.equal(*losses)
    assert "labelled_dice" not in output.terms


def test_moving_tau_needs_the_entropy_form_of_the_threshold():
    with pytest.raises(ValueError, match="disregarded: paper"):
        SgrsSettings(tau=0.2)


def test_the_released_weight_rises_in_blocks_of_iterations_that_are_done():
    weight = new_method(TrainingSettings(base_filters=1), SgrsSettings()).weight
    assert weight(1) == weight(150) == pytest.approx(math.exp(-5))
    assert weight(150) < weight(151) == weight(300)
    assert weight(6_000) < weight(6_001) == weight(15_000) == 1


def test_the_printed_weight_rises_with_every_iteration():
    weight = new_method(TrainingSettings(base_filters=1), PAPER).weight
    assert weight(149) == pytest.approx(0.00861, abs=5e-6)
    assert all(weight(t) < weight(t + 1) for t in range(1, 6_000))
    assert weight(6_000) == weight(15_000) == 1


def test_the_printed_cross_entropy_is_a_sum_over_voxels(tiny_training):
    logits, label = torch.randn(2, 2, 4, 4, 4), torch.randint(2, (2, 4, 4, 4))
    method = new_method(tiny_training, PAPER.model_copy(update={"cross_entropy": "paper"}))
    _, terms = method.labelled_loss(logits, label)
    expected = torch.nn.functional.cross_entropy(logits, label, reduction="sum")
    torch.testing.assert_close(terms["labelled_cross_entropy"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [SgrsSettings(), PAPER], ids=["released", "paper"])
def test_what_is_fused_needs_no_value_on_the_way_and_computes_the_same(settings, tiny_training):
    run = replace(tiny_training, dropout=0.0)
    plain, fused = new_method(run, settings), new_method(run, settings)
    torch._dynamo.reset()
    # As graphs, forward and backward, but without code from them.
    for name in ("split", "labelled_loss", "regional_loss"):
        graph = torch.compile(getattr(fused, name), backend="aot_eager", fullgraph=True)
        setattr(fused, name, graph)
    for iteration in (1, 2):
        losses = []
        for method in (plain, fused):
            torch.manual_seed(iteration)
            losses.append(method.step(batch(), iteration).loss)
            losses[-1].backward()
        torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    for one, other in zip(plain.network.parameters(), fused.network.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)
