"""Every method refuses settings out of range, naming the key, the value and what is allowed."""

import math

import pytest

from sgrs_core.methods import METHODS

BELOW_0 = "greater than or equal to 0"
UP_TO_0 = "greater than 0"
AT_LEAST_1 = "greater than or equal to 1"

REFUSED = [
    ("bcp", "box", 0.0, UP_TO_0),
    ("bcp", "box", 1.0, "less than 1"),
    ("bcp", "alpha", -1.0, BELOW_0),
    ("bcp", "decay", 1.5, "less than or equal to 1"),
    ("bcp", "pretraining", 1.0, "less than 1"),
    ("bcp", "rate_levels", 0, AT_LEAST_1),
    ("caml", "temperature", 0.0, "greater than or equal to 0.01"),
    ("caml", "correlation_temperature", 0.0, UP_TO_0),
    ("caml", "ramp_share", 0.0, UP_TO_0),
    ("caml", "supervised_weight", -1.0, BELOW_0),
    ("caml", "correlation_weight", -1.0, BELOW_0),
    ("caml", "memory_number", 0, AT_LEAST_1),
    ("caml", "attention_dropout", 1.0, "less than 1"),
    ("cobionet", "threshold", 1.0, "less than 1"),
    ("cobionet", "supervised_weight", -1.0, BELOW_0),
    ("cobionet", "generator_weight", -1.0, BELOW_0),
    ("cobionet", "mutual_weight", -1.0, BELOW_0),
    ("dtc", "slope", 0.0, UP_TO_0),
    ("dtc", "rate_factor", 0.0, UP_TO_0),
    ("dtc", "rate_factor", 1.5, "less than or equal to 1"),
    ("mcf", "temperature", 0.0, "greater than or equal to 0.01"),
    ("mcf", "rectification_weight", -1.0, BELOW_0),
    ("mcf", "consistency_weight", -1.0, BELOW_0),
    ("mcf", "drop_every", 0, AT_LEAST_1),
    ("mcf", "drop_factor", 0.0, UP_TO_0),
    ("mcnet_plus", "temperature", 0.0, "greater than or equal to 0.01"),
    ("mcnet_plus", "dice_weight", -1.0, BELOW_0),
    ("mcnet_plus", "consistency_weight", -1.0, BELOW_0),
    ("sgrs", "tau", 0.5, "less than 0.302"),
    ("sgrs", "beta", 0.0, UP_TO_0),
    ("sgrs", "noise", -1.0, BELOW_0),
    ("sgrs", "eta", math.inf, "a finite number"),
    ("sgrs", "omega", "all", "'con', 'nr' or 'none'"),
    ("ssnet", "rate_levels", 0, AT_LEAST_1),
    ("ssnet", "rate_factor", 0.0, UP_TO_0),
    ("ssnet", "rate_factor", 1.5, "less than or equal to 1"),
    ("ssnet", "contrast_weight", -0.1, BELOW_0),
    ("ssnet", "consistency_weight", -1.0, BELOW_0),
    ("ssnet", "xi", 0.0, UP_TO_0),
    ("ssnet", "epsilon", -1.0, UP_TO_0),
    ("ssnet", "memory_size", 1, "greater than or equal to 2"),
    ("urpc", "base_rate", 0.0, UP_TO_0),
    ("urpc", "weight", -1.0, UP_TO_0),
    ("urpc", "ramp_blocks", 0, AT_LEAST_1),
    ("vnet", "rate_falls", (0.0,), UP_TO_0),
    ("vnet", "rate_falls", (1.0,), "less than 1"),
]


@pytest.mark.parametrize(("name", "key", "value", "allowed"), REFUSED)
def test_settings_out_of_range_are_refused(name, key, value, allowed):
    METHODS[name].Settings()
    with pytest.raises(ValueError, match=rf"(?s)\b{key}\b.*should be {allowed}"):
        METHODS[name].Settings(**{key: value})


def test_every_method_with_settings_is_in_the_list():
    assert {name for name, *_ in REFUSED} == set(METHODS)
