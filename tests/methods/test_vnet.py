import pytest

from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.vnet import SupervisedVNet, VNetSettings


def test_the_rate_is_constant_unless_the_settings_say_when_it_falls():
    method = SupervisedVNet(TrainingSettings(base_filters=1))
    assert {method.learning_rate(t) for t in (1, 7_500, 15_000)} == {0.01}


def test_the_official_rate_falls_to_a_tenth_after_2500_and_5000_of_6000_iterations():
    run = TrainingSettings(iterations=6_000, base_filters=1)
    rate = SupervisedVNet(run, VNetSettings(rate_falls=(0.41666667, 0.83333333))).learning_rate
    assert [rate(t) for t in (1, 2_500, 2_501, 5_000, 5_001, 6_000)] == pytest.approx(
        [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4]
    )
