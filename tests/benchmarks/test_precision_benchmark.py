from pathlib import Path

import precision
import pytest
import yaml
from snakemake.utils import update_config

from sgrs_core.planning import check_methods, load_plan

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_each_precision_trains_the_same_runs(name):
    more = precision.experiment(name, "cpu", seeds=3, iterations=240)
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    update_config(values, more)
    plan = load_plan(values, [CONFIG / "config.yaml"], CONFIG)
    check_methods(plan)
    runs = {point: plan.run(point)["training"] for point in plan.rows}
    assert len(runs) == len(precision.METHODS) * 3
    assert {training["precision"] for training in runs.values()} == {name}
