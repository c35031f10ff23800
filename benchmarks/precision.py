"""Whether a lower precision costs Dice: the same trainings in each precision, over seeds.

    python benchmarks/precision.py
    python benchmarks/precision.py --device cuda --precisions float32 tensorfloat32 bfloat16

Trains V-Net and SGRS-Net on BraTS2019 phantoms (the demo's, with the paper's 16 filters) and
tests them, through the workflow, so that a second call goes on where the first one was stopped;
results lie in results/precision_<precision>. A seed's runs start from the same weights and see the
same patches; only rounding differs. Prints a line for each method and precision: the mean Dice of
each seed, their mean, and its difference from the first precision's, seed by seed.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

import pandas
import torch
import yaml
from measuring import Table, hardware

from sgrs_core.tables import summarise

PROJECT = Path(__file__).parents[1]
DATASET, TABLE, LABELLED = "brats2019", "table4", 12
METHODS = ["vnet", "sgrs"]
COLUMNS = ("method", "precision", "dice", "mean", "spread", "difference", "differences", "hardware")


def experiment(precision: str, device: str, seeds: int, iterations: int) -> dict:
    """What goes over config/config.yaml."""
    training = {
        "precision": precision,
        "device": device,
        "base_filters": 16,
        "channels_last": True,
        "iterations": iterations,
    }
    demo = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text(encoding="utf-8"))
    others = dict.fromkeys(name for name in demo["datasets"] if name != DATASET)
    tables = {TABLE: {"labelled": [LABELLED], "methods": METHODS}}
    return {
        "experiment": f"precision_{precision}",
        "seeds": list(range(seeds)),
        "headline": [TABLE],
        "datasets": {**others, DATASET: {"training": training}},
        "tables": {**dict.fromkeys(demo["tables"]), **tables},
        "figures": dict.fromkeys(demo["figures"]),
    }


def run(values: dict, cores: int) -> None:
    """The experiment, to its table."""
    with tempfile.TemporaryDirectory() as folder:
        over = Path(folder) / "over.yaml"
        over.write_text(yaml.safe_dump(values), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "rules"),
            *("--configfile", "config/config.yaml", str(over), "--", "headline"),
        ]
        subprocess.run(command, cwd=PROJECT, check=True)


def dice_of(precision: str, method: str, seed: int) -> float:
    """The mean over the test scans, in per cent."""
    runs = PROJECT / "results" / f"precision_{precision}" / DATASET / f"labelled-{LABELLED}"
    scores = runs / method / f"seed-{seed}" / "last" / "scores.csv"
    return summarise(pandas.read_csv(scores), "published")["dice"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=480)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()

    for precision in arguments.precisions:
        values = experiment(precision, arguments.device, arguments.seeds, arguments.iterations)
        run(values, arguments.cores)
    machine = hardware(torch.device(arguments.device))
    print(f"{machine}; {arguments.iterations} iterations")
    table = Table(arguments.output, COLUMNS, unprinted=["hardware"])
    for method in METHODS:
        first: list[float] = []
        for precision in arguments.precisions:
            dice = [dice_of(precision, method, seed) for seed in range(arguments.seeds)]
            first = first or dice
            differences = [one - other for one, other in zip(dice, first, strict=True)]
            table.add(
                method=method,
                precision=precision,
                dice=" ".join(f"{value:.1f}" for value in dice),
                mean=f"{mean(dice):.1f}",
                spread=f"{stdev(dice):.1f}" if len(dice) > 1 else "",
                difference=f"{mean(differences):+.1f}",
                differences=" ".join(f"{value:+.1f}" for value in differences),
                hardware=machine,
            )


if __name__ == "__main__":
    main()
