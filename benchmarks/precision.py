"""Whether a lower precision costs Dice: the same trainings in each, over seeds.

    python benchmarks/precision.py
    python benchmarks/precision.py --device cuda --ways float32 contiguous tensorfloat32 bfloat16

Trains V-Net and SGRS-Net on BraTS2019 phantoms (the demo's, with the paper's 16 filters and more
test scans) and tests them, through the workflow, so that a second call goes on where the first one
was stopped; results lie in results/precision_<way>. A seed's runs start from the same weights and
see the same patches; only rounding differs, which is enough for trainings to part: `contiguous` is
float32 in another memory layout, and shows how far they part by chance. Prints a line for each
method and way: the mean Dice of each seed, their mean and standard deviation, the mean difference
from the first way's, seed by seed, and Student's 95% interval of that.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev

import torch
import yaml
from experiments import PROJECT, mean_dice, run_experiment
from measuring import Table, hardware
from scipy.stats import ttest_1samp

DATASET, TABLE, LABELLED = "brats2019", "table4", 12
METHODS = ["vnet", "sgrs"]
TEST_SCANS = 20
WAYS: dict[str, dict[str, object]] = {
    "float32": {"precision": "float32", "channels_last": True},
    "contiguous": {"precision": "float32", "channels_last": False},
    "tensorfloat32": {"precision": "tensorfloat32", "channels_last": True},
    "bfloat16": {"precision": "bfloat16", "channels_last": True},
}
COLUMNS = (
    *("method", "way", "dice", "mean", "spread"),
    *("difference", "low", "high", "differences", "hardware"),
)


def experiment(way: str, device: str, seeds: int, training: Mapping[str, object]) -> dict:
    """What goes over config/config.yaml; training: more settings, of every way."""
    demo = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text(encoding="utf-8"))
    others = dict.fromkeys(name for name in demo["datasets"] if name != DATASET)
    dataset = {
        "phantom": {"test_scans": TEST_SCANS},
        "training": {"device": device, "base_filters": 16, **training, **WAYS[way]},
    }
    tables = {TABLE: {"labelled": [LABELLED], "methods": METHODS}}
    return {
        "experiment": f"precision_{way}",
        "seeds": list(range(seeds)),
        "headline": [TABLE],
        "datasets": {**others, DATASET: dataset},
        "tables": {**dict.fromkeys(demo["tables"]), **tables},
        "figures": dict.fromkeys(demo["figures"]),
    }


def dice_of(way: str, method: str, seed: int) -> float:
    """The mean over the test scans, in per cent."""
    runs = PROJECT / "results" / f"precision_{way}" / DATASET / f"labelled-{LABELLED}"
    return mean_dice(runs / method / f"seed-{seed}" / "last" / "scores.csv")


def compare(dice: list[float], first: list[float]) -> dict[str, str]:
    """The columns about one way's Dice beside the first one's, both one number a seed."""
    differences = [one - other for one, other in zip(dice, first, strict=True)]
    columns = {
        "dice": " ".join(f"{value:.1f}" for value in dice),
        "mean": f"{mean(dice):.1f}",
        "difference": f"{mean(differences):+.1f}",
        "differences": " ".join(f"{value:+.1f}" for value in differences),
    }
    if len(dice) > 1:
        columns["spread"] = f"{stdev(dice):.1f}"
    if len(dice) > 1 and any(differences):
        low, high = ttest_1samp(differences, 0).confidence_interval()
        columns |= {"low": f"{low:+.1f}", "high": f"{high:+.1f}"}
    return columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["float32", "contiguous", "bfloat16"]
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=480)
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()

    training = {"iterations": arguments.iterations, "learning_rate": arguments.learning_rate}
    for way in arguments.ways:
        over = experiment(way, arguments.device, arguments.seeds, training)
        run_experiment("config", over, arguments.cores, "--quiet", "rules", "--", "headline")
    machine = hardware(torch.device(arguments.device))
    print(f"{machine}; {training}")
    table = Table(arguments.output, COLUMNS, unprinted=["hardware"])
    for method in METHODS:
        first: list[float] = []
        for way in arguments.ways:
            dice = [dice_of(way, method, seed) for seed in range(arguments.seeds)]
            first = first or dice
            table.add(method=method, way=way, hardware=machine, **compare(dice, first))


if __name__ == "__main__":
    main()
