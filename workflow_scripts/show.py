"""Print what we ran of an experiment's tables, and where everything lies.

python workflow_scripts/show.py results/<experiment>
"""

import sys
from pathlib import Path

import pandas


def main(folder: str) -> None:
    columns = ["labelled", "title", "dice_published", "dice_ours", "hd95_published", "hd95_ours"]
    for file in sorted(Path(folder).glob("tables/*.csv")):
        table = pandas.read_csv(file)
        if "scoring" not in table:
            continue  # not a table of methods beside published ones
        ours = table[table["seeds"] > 0]
        for (selection, scoring), part in ours.groupby(["selection", "scoring"], sort=False):
            shown = part[columns].dropna(axis="columns", how="all")
            if scoring != "strict" and "dice_published" not in shown:
                continue  # says no more than the strict one
            print(f"\n{file.stem}, selection {selection}, scoring {scoring}; all of it: {file}")
            print(shown.to_string(index=False, float_format="%.2f", na_rep="-"))
    print("\nFigures:", *sorted(map(str, Path(folder).glob("figures/*.p*"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
