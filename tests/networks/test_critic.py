from itertools import pairwise

import torch
from torch import nn

from sgrs_core.networks.critic import WIDTHS, Critic, critic_probability


def test_probabilities_of_a_quarter_of_a_million_voxels_are_those_of_double_precision():
    torch.manual_seed(0)
    critic, probability = Critic(), torch.rand(2, 64, 64, 32) ** 4
    exact = Critic().double()
    exact.load_state_dict(critic.state_dict())
    with torch.no_grad():
        difference = critic_probability(critic, probability) - torch.sigmoid(
            exact(probability.double())
        )
    assert difference.abs().max() < 1e-5


def test_a_critic_of_plain_linear_layers_can_be_loaded():
    """Saved models of earlier versions hold one: their names, shapes and outputs are the same."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for cin, cout in pairwise(WIDTHS):
        layers += [nn.Linear(cin, cout, bias=False), nn.BatchNorm1d(cout), nn.LeakyReLU(0.2)]
    plain, critic = nn.Sequential(*layers), Critic()
    critic.load_state_dict(plain.state_dict())
    probability = torch.rand(2, 4, 4, 4)
    expected = torch.sigmoid(plain(probability.view(-1, 1)))
    torch.testing.assert_close(
        critic_probability(critic, probability), expected.view(probability.shape)
    )
