import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import tensor

from sgrs_core.losses.common import (
    binary_dice_loss,
    cross_entropy_map,
    most_probable,
    one_hot,
    squared_dice_loss,
)


def test_one_hot_puts_classes_second():
    label = torch.randint(3, (2, 4, 5, 6))
    encoded = one_hot(label, 3)
    assert encoded.shape == (2, 3, 4, 5, 6)
    assert torch.equal(encoded.argmax(dim=1), label)


def test_cross_entropy_is_minus_the_log_probability_of_the_label():
    logits, label = torch.randn(2, 2, 3, 3, 3), torch.randint(2, (2, 3, 3, 3))
    probability = torch.softmax(logits, 1).gather(1, label.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(cross_entropy_map(logits, label), -probability.log())


def test_squared_dice_of_a_hand_computed_case():
    probability, label = tensor([[[[0.5, 1.0]]]]), tensor([[[[1, 0]]]])
    # overlap 2 * 0.5, sizes 1.25 and 1
    torch.testing.assert_close(squared_dice_loss(probability, label), tensor(1 - 1 / 2.25))


def test_squared_dice_is_zero_for_a_perfect_prediction_and_an_empty_patch():
    label = torch.randint(2, (2, 4, 4, 4))
    assert squared_dice_loss(label.float(), label).abs() < 1e-6
    assert squared_dice_loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)) == 0


def test_binary_dice_of_a_hand_computed_case():
    probability, label = tensor([[[[0.5, 1.0]]]]), tensor([[[[1, 0]]]])
    # overlap 2 * 0.5, sizes 1.5 and 1
    torch.testing.assert_close(binary_dice_loss(probability, label), tensor(1 - 1 / 2.5))


def test_binary_dice_is_zero_for_a_perfect_prediction_and_an_empty_patch():
    label = torch.randint(2, (2, 4, 4, 4))
    assert binary_dice_loss(label.float(), label).abs() < 1e-6
    assert binary_dice_loss(torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)) == 0


@settings(max_examples=50, deadline=None)
@given(classes=st.integers(2, 4), seed=st.integers(0, 1_000))
def test_the_most_probable_class_is_the_first_of_the_largest(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    # Few levels, so that there are ties.
    probability = torch.randint(0, 3, (2, classes, 3, 4, 5), generator=generator).float()
    expected = torch.from_numpy(np.argmax(probability.numpy(), axis=1))
    assert torch.equal(most_probable(probability), expected)
