"""The numbers of a table, computed from the score files in another way than the project's.

    python -m tests.recompute results/<experiment>

checks the tables whose rows are called as their runs are: Tables 2 to 4.
"""

import csv
import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

METRICS = {"dice": 100, "jaccard": 100, "hd95": 1, "asd": 1}  # and the factor to a table's unit


def read(path: Path) -> list[dict[str, str]]:
    """A CSV file's lines, all values as texts."""
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def mean(lines: list[dict[str, str]], metric: str, scoring: str) -> float:
    """The mean over scans of one metric, straight from the texts in the score file."""
    values = []
    for line in lines:
        if line["empty"] == "False":
            values.append(float(line[metric]))
        elif scoring == "published" or metric in ("dice", "jaccard"):
            values.append(0.0)
        else:
            values.append(float(line.get("diagonal", math.nan)))
    return METRICS[metric] * statistics.fmean(values)


def called_as_its_row(file: Path, row: dict[str, str]) -> list[Path]:
    """The runs of a table's row, where their folder is called as the row is."""
    folder = file.parents[1] / row["dataset"] / f"labelled-{row['labelled']}" / row["method"]
    return list(folder.glob("seed-*"))


def check_table(
    file: Path, runs_of: Callable[[Path, dict[str, str]], list[Path]] = called_as_its_row
) -> int:
    """Compare all our numbers of a table's CSV with the scores; how many rows it has."""
    rows = [row for row in read(file) if int(row["seeds"])]
    for row in rows:
        seeds = [read(run / row["selection"] / "scores.csv") for run in runs_of(file, row)]
        assert len(seeds) == int(row["seeds"])
        for metric in METRICS:
            expected = statistics.fmean(mean(scores, metric, row["scoring"]) for scores in seeds)
            ours, published, difference = (
                float(row[f"{metric}_{part}"] or "nan")
                for part in ("ours", "published", "difference")
            )
            assert ours == pytest.approx(expected, rel=1e-12, nan_ok=True)
            assert difference == pytest.approx(expected - published, rel=1e-9, nan_ok=True)
        empty = sum(line["empty"] == "True" for scores in seeds for line in scores)
        assert int(float(row["empty"])) == empty
    return len(rows)


if __name__ == "__main__":
    folder, checked = Path(sys.argv[1]), 0
    for file in sorted((folder / "tables").glob("*.csv")):
        rows = [row for row in read(file) if row.get("dice_ours")]
        # Rows of ablations have names of their own; their runs are called after their settings.
        runs = [folder / x["dataset"] / f"labelled-{x['labelled']}" / x["method"] for x in rows]
        if runs and all(run.is_dir() for run in runs):
            checked += check_table(file)
            print(f"{file.stem}: all {len(rows)} rows are the means of their scores")
    assert checked, f"no table in {folder} has rows that are called as their runs are"
