import precision
import pytest
import yaml
from snakemake.utils import update_config

from sgrs_core.experiment.planning import load_plan
from sgrs_core.methods.check import check_methods
from tests.places import CONFIG


@pytest.mark.parametrize("way", precision.WAYS)
def test_each_way_trains_the_same_runs(way):
    more = precision.experiment(way, "cpu", seeds=3, training={"iterations": 240})
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(values, more)
    plan = load_plan(values, [CONFIG / "config.yaml"], CONFIG)
    check_methods(plan)
    runs = [plan.run(point) for point in plan.rows]
    assert len(runs) == len(precision.METHODS) * 3
    asked = {"iterations": 240, "base_filters": 16, **precision.WAYS[way]}
    for run in runs:
        assert asked.items() <= vars(run.training).items()


def test_a_way_s_interval_is_student_s_of_the_mean_difference_over_seeds():
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t of two degrees 4.303."""
    columns = precision.compare([71.0, 82.0, 93.0], first=[70.0, 80.0, 90.0])
    assert columns["differences"] == "+1.0 +2.0 +3.0"
    assert (columns["low"], columns["difference"], columns["high"]) == ("-0.5", "+2.0", "+4.5")


def test_the_first_way_and_a_single_seed_have_no_interval():
    assert "low" not in precision.compare([70.0, 80.0], first=[70.0, 80.0])
    assert "low" not in precision.compare([71.0], first=[70.0])
