"""Whether the demo shows what it says: SGRS-Net above V-Net with 4 labels, seed by seed.

    python benchmarks/demo.py

Runs config/demo.yaml's trainings with five seeds in place of one, through the workflow, so that a
second call goes on where the first one was stopped; results lie in results/demo_seeds. Prints a
line for each row of the demo's table: the mean Dice of each seed and their mean.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

import torch
from experiments import PROJECT, mean_dice, run_experiment
from measuring import Table, hardware

EXPERIMENT = "demo_seeds"
COLUMNS = ("labelled", "method", "dice", "mean", "spread", "hardware")


def experiment(seeds: int) -> dict[str, object]:
    """What goes over config/demo.yaml."""
    return {"experiment": EXPERIMENT, "seeds": list(range(seeds)), "only": ["table2"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()

    run_experiment("demo", experiment(arguments.seeds), arguments.cores)
    table = Table(arguments.output, COLUMNS, unprinted=["hardware"])
    results = PROJECT / "results" / EXPERIMENT / "la"
    for folder in sorted(results.glob("labelled-*/*"), key=lambda path: path.parts[-2:]):
        dice = [mean_dice(file) for file in sorted(folder.glob("seed-*/last/scores.csv"))]
        table.add(
            labelled=folder.parent.name.removeprefix("labelled-"),
            method=folder.name,
            dice=" ".join(f"{value:.1f}" for value in dice),
            mean=f"{mean(dice):.1f}",
            spread=f"{stdev(dice):.1f}" if len(dice) > 1 else "",
            hardware=hardware(torch.device("cpu")),
        )


if __name__ == "__main__":
    main()
