import torch

from sgrs_core.training.diagnostics import diagnose


def test_fractions_and_dice_of_a_hand_made_case():
    truth = torch.tensor([[[[0, 1, 1, 1]]]])
    observed = {
        "pseudo_labels": torch.tensor([[[[0, 0, 1, 1]]]]),
        "region_delta": torch.tensor([[[[True, False, False, False]]]]),
    }
    assert diagnose(observed, truth) == {"delta_fraction": 0.25, "pseudo_label_dice": 4 / 5}


def test_two_empty_masks_agree():
    nothing = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    assert diagnose({"pseudo_labels": nothing}, nothing) == {"pseudo_label_dice": 1.0}


def test_a_method_that_shows_nothing_has_no_diagnostics():
    assert diagnose({}, torch.zeros(1, 2, 2, 2)) == {}
