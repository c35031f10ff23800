"""Say what an experiment found, and where everything lies.

python workflow_scripts/show.py results/<experiment>
"""

import sys
from pathlib import Path

import pandas

COLUMNS = ["labelled", "title", "seeds", "dice_ours", "dice_published", "hd95_ours"]


def main(folder: str) -> None:
    results = Path(folder)
    for file in sorted(results.glob("tables/*.csv")):
        table = pandas.read_csv(file)
        if "scoring" not in table:
            continue  # not a table of methods
        ours = table[(table["seeds"] > 0) & (table["scoring"] == "strict")]
        for selection, part in ours.groupby("selection", sort=False):
            shown = part[COLUMNS].dropna(axis="columns", how="all")
            print(f"\n{file.stem}, checkpoint {selection}:")
            print(shown.to_string(index=False, float_format="%.2f", na_rep="-"))
    findings = results / "findings.md"
    if findings.is_file():
        print(f"\n{findings.read_text(encoding='utf-8').replace('**', '')}")
    for what, pattern in (("tables", "tables/*.md"), ("figures", "figures/*.png")):
        print(f"{what}:", *sorted(map(str, results.glob(pattern))))
    print("report:", results / "report.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
