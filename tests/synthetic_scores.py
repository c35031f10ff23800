"""Score files of synthetic runs: what a table is built from, with known means and noises."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
from pandas import DataFrame

SCANS = 20
DIAGONAL = 200.0


def scores(
    dice: float = 80.0, *, scans: int = SCANS, seed: int = 0, empty: Sequence[int] = ()
) -> DataFrame:
    """One seed's scores of so many scans, around a mean Dice in %. empty: scans without a voxel."""
    generator = np.random.default_rng(seed)
    own = np.clip(dice / 100 + generator.normal(0, 0.05, scans), 0.01, 0.99)
    table = DataFrame({"dice": own, "jaccard": own / (2 - own)})
    table["hd95"], table["asd"] = 40 * (1 - own), 10 * (1 - own)
    table.insert(0, "scan", [f"scan {place:02}" for place in range(scans)])
    table["empty"], table["diagonal"] = False, DIAGONAL
    table.loc[list(empty), "empty"] = True
    table.loc[list(empty), ["dice", "jaccard", "hd95", "asd"]] = [0, 0, np.nan, np.nan]
    return table


def moved(table: DataFrame, points: float) -> DataFrame:
    """The same scans with so many points more of Dice."""
    return table.assign(dice=table["dice"] + points / 100)


def write(folder: Path, name: str, tables: Sequence[DataFrame]) -> list[str]:
    """Write one score file per seed, the scans in another order in each; returns their paths."""
    files = []
    for seed, table in enumerate(tables):
        files.append(str(folder / f"{name}-{seed}.csv"))
        table.sample(frac=1, random_state=seed).to_csv(files[-1], index=False)
    return files


def published(**dice: float) -> DataFrame:
    """Rows of a published table with 4 labels: Dice by variant, all else 1."""
    rows = [
        {"variant": variant, "labelled": 4, "dice": value, "jaccard": 1.0, "hd95": 1.0, "asd": 1.0}
        for variant, value in dice.items()
    ]
    return pandas.DataFrame(rows, columns=["variant", "labelled", "dice", "jaccard", "hd95", "asd"])
