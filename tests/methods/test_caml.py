import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.losses.caml import correlation, correlations, most_confident, omni_correlation
from sgrs_core.methods.caml import (
    CamlSettings,
    CorrelationAwareMutualLearning,
    rows,
    rows_as_read,
)
from sgrs_core.networks.caml import AuxiliaryVNet, CrossSampleAttention, Heads, view


def batch(scans=(0, 1)) -> Batch:
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(4, 1, 16, 16, 16, generator=generator)
    return Batch(images[:2], (images[:2, 0] > 0.5).long(), images[2:], scans)


def new_method(run: TrainingSettings, **settings) -> CorrelationAwareMutualLearning:
    torch.manual_seed(0)
    return CorrelationAwareMutualLearning(run, CamlSettings(**settings))


def test_a_hand_computed_correlation():
    # T = 0.5: f m^T / T is (2 log 3, 0), so exp gives 9 : 1
    vectors, memory = torch.tensor([[math.log(3)]]), torch.tensor([[1.0], [0.0]])
    torch.testing.assert_close(correlation(vectors, memory, 0.5), torch.tensor([[0.9, 0.1]]))


def test_a_hand_computed_omni_correlation():
    vanilla = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    auxiliary = torch.tensor([[0.2, 0.8], [1.0, 0.0]])
    # the mean of 0.2 log 2 + 0.8 log 2, and log 4
    expected = (math.log(2) + math.log(4)) / 2
    assert omni_correlation(vanilla, auxiliary).item() == pytest.approx(expected)


def test_the_omni_correlation_is_bounded_where_the_networks_contradict_each_other():
    sure = torch.tensor([[1.0, 0.0]])
    assert omni_correlation(sure, sure).item() == pytest.approx(0, abs=1e-6)
    assert omni_correlation(sure, sure.flip(1)).item() == pytest.approx(-math.log(1e-8))


def test_the_gradient_of_the_omni_correlation_flows_into_both_networks():
    vectors = [torch.randn(3, 4, requires_grad=True) for _ in range(2)]
    memory = torch.randn(5, 4)
    omni_correlation(*correlations(vectors, [memory, None], 0.1)).backward()
    assert all(each.grad.abs().max() > 0 for each in vectors)


@given(st.integers(0, 2**16), st.integers(1, 12))
def test_the_order_of_a_memorys_vectors_does_not_matter(seed, n):
    generator = torch.Generator().manual_seed(seed)
    vectors = [torch.randn(n, 4, generator=generator) for _ in range(2)]
    memories = [torch.randn(5, 4, generator=generator) for _ in range(2)]
    one = correlations(vectors, memories, 0.1)
    torch.testing.assert_close(one[0].sum(dim=1), torch.ones(n))
    other = correlations(vectors, [memories[1], memories[0].flip(0)], 0.1)
    torch.testing.assert_close(omni_correlation(*one), omni_correlation(*other))


def test_without_memory_or_voxels_there_is_no_correlation():
    vectors = [torch.ones(3, 4, requires_grad=True)] * 2
    for missing in (
        correlations(vectors, [None, None], 0.1),
        correlations([each[:0] for each in vectors], [torch.ones(5, 4), None], 0.1),
    ):
        assert [each.shape for each in missing] == [(0, 0), (0, 0)]
        assert omni_correlation(*missing) == 0


def test_the_most_confident_voxels_of_each_class_by_falling_confidence():
    confidence = torch.tensor([0.6, 0.9, 0.7, 0.8, 0.95])
    label = torch.tensor([1, 0, 0, 1, 0])
    assert most_confident(confidence, label, 2, 2).tolist() == [4, 1, 3, 0]
    assert most_confident(confidence, label, 2, 9).tolist() == [4, 1, 2, 3, 0]


def test_a_class_with_a_single_voxel_is_left_out():
    chosen = most_confident(torch.tensor([0.6, 0.9, 0.7]), torch.tensor([0, 1, 0]), 2, 9)
    assert chosen.tolist() == [2, 0]
    assert len(most_confident(torch.tensor([0.6]), torch.tensor([1]), 2, 9)) == 0


def test_rows_of_a_hand_made_tensor_in_both_layouts():
    # 2 channels, 3 voxels along z: channel 0 holds 0 1 2, channel 1 holds 10 11 12
    features = torch.tensor([[0, 1, 2], [10, 11, 12]]).view(1, 2, 1, 1, 3)
    assert rows(features).tolist() == [[0, 10], [1, 11], [2, 12]]
    assert rows_as_read(features, "corrected").tolist() == [[0, 10], [1, 11], [2, 12]]
    assert rows_as_read(features, "published").tolist() == [[0, 1], [2, 10], [11, 12]]


def test_the_published_layout_does_not_depend_on_the_memory_format():
    features = torch.randn(2, 4, 3, 3, 3)
    moved = features.to(memory_format=torch.channels_last_3d)
    assert torch.equal(rows_as_read(moved, "published"), rows_as_read(features, "published"))


def test_attention_treats_patches_alike_and_sleeps_in_eval_mode():
    torch.manual_seed(0)
    attention = CrossSampleAttention(8, dropout=0)
    features = torch.randn(3, 8, 2, 2, 3)
    order = torch.tensor([2, 0, 1])
    attended = attention(features)
    torch.testing.assert_close(attention(features[order]), attended[order])
    other = torch.cat([features[:1], features[1:] + 1])
    assert not torch.allclose(attention(other)[0], attended[0])  # a patch sees the others
    assert torch.equal(attention.eval()(features), features)


def test_the_auxiliary_network_predicts_each_patch_by_itself():
    network = AuxiliaryVNet(base_filters=2).eval()
    images = torch.randn(2, 1, 32, 16, 16)
    with torch.no_grad():
        logits, features = view(network, images)
        torch.testing.assert_close(network(images), logits)
        torch.testing.assert_close(network(images[:1]), logits[:1])
    assert logits.shape == (2, 2, 32, 16, 16)
    assert features.shape == (2, 2, 32, 16, 16)


def test_projecting_for_the_memory_leaves_the_heads_as_they_are():
    heads = Heads(4, 8)
    before = {key: value.clone() for key, value in heads.state_dict().items()}
    vectors = heads.projection.evaluate(torch.randn(5, 4, requires_grad=True))
    assert not vectors.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in heads.state_dict().items())
    assert all(module.training for module in heads.modules())
    assert heads.projection.evaluate(torch.randn(0, 4)).shape == (0, 8)


def test_the_loss_is_the_weighted_sum(tiny_training):
    settings = {"supervised_weight": 0.25, "consistency_weight": 2.0, "correlation_weight": 0.5}
    method = new_method(tiny_training, **settings)
    for iteration in (1, 3, 8):
        output = method.step(batch(), iteration)
        terms = output.terms
        unsupervised = 2 * terms["consistency"] + 0.5 * terms["correlation"]
        expected = 0.25 * terms["labelled_dice"] + terms["weight"] * unsupervised
        torch.testing.assert_close(output.loss.detach(), expected)
        assert terms["weight"] == pytest.approx(method.weight(iteration))
        assert terms["correlation"] > 0


def test_the_papers_supervised_weight_counts_twice_the_public_codes(tiny_training):
    losses = []
    for weight in (0.5, 1.0):
        method = new_method(tiny_training, supervised_weight=weight)
        torch.manual_seed(1)
        output = method.step(batch(), 8)
        losses.append(output.loss.detach() - weight * output.terms["labelled_dice"])
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize(("share", "end"), [(1.0, 6000), (0.5, 3000), (0.375, 2250)])
def test_the_published_ramps_end_after_40_20_and_15_blocks(share, end):
    method = new_method(TrainingSettings(base_filters=1), ramp_share=share)
    assert method.weight(1) == pytest.approx(math.exp(-5))
    assert method.weight(end - 1) < method.weight(end) == method.weight(15_000) == 1


class Sure(nn.Module):
    """Stands for a network: foreground where the image is above 0.5, the image as features."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 20 * torch.cat([0.5 - images, images - 0.5], dim=1)


def test_the_memory_takes_the_labelled_voxels_that_both_networks_get_right(
    tiny_training,
):
    method = new_method(tiny_training)
    patches = batch(scans=(3, 1))
    wrong = patches.labels_l.clone()
    wrong[0] = 1 - wrong[0]
    method.step(patches, 1)
    images = torch.cat([patches.images_l, patches.images_u])
    views = [each._replace(logits=Sure()(images)) for each in method.views(images)]
    method.remember(patches, views)
    foreground = patches.labels_l.flatten(1).sum(dim=1)
    assert method.memory.counts[[3, 1], 1].tolist() == foreground.tolist()
    assert method.memory.counts[[3, 1]].sum() == patches.labels_l.numel()
    method.remember(patches._replace(labels_l=wrong), views)
    assert method.memory.counts[3].tolist() == [0, 0]
    assert method.memory.counts[[0, 2]].sum() == 0


def test_both_layouts_give_other_memories(tiny_training):
    memories = []
    for layout in ("published", "corrected"):
        method = new_method(tiny_training, memory_layout=layout)
        torch.manual_seed(1)
        method.step(batch(), 1)
        memories.append(method.memory)
    assert torch.equal(memories[0].counts, memories[1].counts)
    assert not torch.allclose(memories[0].vectors, memories[1].vectors)


def test_the_heads_statistics_move_once_a_step(tiny_training):
    method = new_method(tiny_training)
    for steps in (1, 2):
        method.step(batch(), steps)
        for heads in (method.heads_v, method.heads_a):
            for head in (heads.projection, heads.prediction):
                assert head[1].num_batches_tracked == steps


def test_both_networks_and_all_heads_learn_on_unlabelled_patches(tiny_training):
    method = new_method(tiny_training, supervised_weight=0.0, consistency_weight=0.0)
    method.step(batch(), 8).loss.backward()
    for part in (method.network.encoder, method.auxiliary.encoder, method.heads_v, method.heads_a):
        assert max(p.grad.abs().max() for p in part.parameters() if p.grad is not None) > 0


def test_a_step_works_without_enough_memory(tiny_training):
    output = new_method(tiny_training, memory_number=10**5).step(batch(), 1)
    assert output.terms["correlation"] == 0
    output.loss.backward()


def test_losses_stay_in_float32_when_the_networks_do_not(tiny_training):
    method = new_method(tiny_training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = method.step(batch(), 8)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert torch.isfinite(output.loss)
    assert method.memory.vectors.dtype == torch.float32
