import pytest
import torch

from sgrs_core.networks.vnet import InstanceNorm, VNet


def test_the_papers_network_has_the_published_size():
    network = VNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_448_866
    assert len(list(network.parameters())) == 118
    assert len(list(network.buffers())) == 87


@pytest.mark.parametrize("shape", [(16, 16, 16), (32, 16, 48)])
def test_logits_have_two_classes_and_the_patchs_sides(shape):
    network = VNet(base_filters=2)
    assert network(torch.zeros(2, 1, *shape)).shape == (2, 2, *shape)


def test_the_encoder_halves_the_sides_and_doubles_the_features_four_times():
    encoded = VNet(base_filters=2).encoder(torch.zeros(2, 1, 32, 32, 16))
    assert [tuple(features.shape) for features in encoded] == [
        (2, 2 * 2**k, 32 // 2**k, 32 // 2**k, 16 // 2**k) for k in range(5)
    ]


def test_dropout_acts_in_train_mode_only():
    torch.manual_seed(0)
    network, images = VNet(base_filters=4), torch.randn(2, 1, 16, 16, 16)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_two_patches_of_a_batch_do_not_meet_in_eval_mode():
    torch.manual_seed(0)
    network, images = VNet(base_filters=2).eval(), torch.randn(2, 1, 16, 16, 16)
    torch.testing.assert_close(network(images)[:1], network(images[:1]))


def test_the_norm_sets_a_lone_voxel_to_0_and_others_to_mean_0_and_variance_1():
    lone = torch.randn(2, 3, 1, 1, 1, requires_grad=True)
    result = InstanceNorm(3)(lone)
    result.sum().backward()
    assert torch.equal(result, torch.zeros_like(lone))
    assert torch.equal(lone.grad, torch.zeros_like(lone))
    features = InstanceNorm(3)(5 + 2 * torch.randn(2, 3, 4, 4, 4)).flatten(2)
    torch.testing.assert_close(features.mean(2), torch.zeros(2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(features.var(2, correction=0), torch.ones(2, 3), atol=1e-3, rtol=0)
