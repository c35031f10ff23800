"""Whether the demo shows what it says: SGRS-Net above V-Net with 4 labels, seed by seed.

    python benchmarks/demo.py

Runs config/demo.yaml's trainings with five seeds in place of one, through the workflow, so that a
second call goes on where the first one was stopped; results lie in results/demo_seeds. Prints a
line for each row of the demo's table: the mean Dice of each seed and their mean.
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

PROJECT = Path(__file__).parents[1]
EXPERIMENT = "demo_seeds"
COLUMNS = ("labelled", "method", "dice", "mean", "spread", "hardware")


def experiment(seeds: int) -> dict[str, object]:
    """What goes over config/demo.yaml."""
    return {"experiment": EXPERIMENT, "seeds": list(range(seeds)), "only": ["table2"]}


def run(values: dict[str, object], cores: int) -> None:
    """The experiment, to its table."""
    with tempfile.TemporaryDirectory() as folder:
        over = Path(folder) / "over.yaml"
        over.write_text(yaml.safe_dump(values), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "snakemake", "--cores", str(cores)),
            *("--configfile", "config/demo.yaml", str(over)),
        ]
        subprocess.run(command, cwd=PROJECT, check=True)


def dice_of(folder: Path) -> list[float]:
    """Of each seed of a method, the mean over the test scans, in per cent."""
    files = sorted(folder.glob("seed-*/last/scores.csv"))
    return [100 * float(pandas.read_csv(file)["dice"].mean()) for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()

    run(experiment(arguments.seeds), arguments.cores)
    table = Table(arguments.output, COLUMNS, unprinted=["hardware"])
    results = PROJECT / "results" / EXPERIMENT / "la"
    for folder in sorted(results.glob("labelled-*/*"), key=lambda path: path.parts[-2:]):
        dice = dice_of(folder)
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
