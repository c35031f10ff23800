"""The table of sources in docs/data.md, made from config/sources.csv and the data sets' files.

.venv/bin/python docs/tools/source_table.py
"""

import csv
import re
from pathlib import Path
from typing import Any

import yaml

from sgrs_core.files import write_text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/data.md"
BEGIN, END = "<!-- made by docs/tools/source_table.py -->", "<!-- end -->"
COLUMNS = ("what", "`source`", "licence", "size", "checked by", "login", "seen")


def page() -> str:
    """docs/data.md as it should be."""
    text = PAGE.read_text(encoding="utf-8")
    table = f"{BEGIN}\n\n{source_table()}\n\n{END}"
    return re.sub(f"{BEGIN}.*?{END}", lambda match: table, text, flags=re.DOTALL)


def source_table() -> str:
    """A line for each source, in the file's order, as Markdown."""
    lines = [f"| data set | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for entry in sources():
        title = dataset(entry["dataset"])["title"]
        what = f"[{entry['what']}]({address_of(entry)})"
        source = ", ".join(f"`{one}`" for one in entry["source"].split(", "))
        rest = (entry[key] for key in ("licence", "size", "check", "login", "seen"))
        lines.append(f"| {' | '.join((title, what, source, *rest))} |")
    return "\n".join(lines)


def sources() -> list[dict[str, str]]:
    """The lines of config/sources.csv."""
    with (ROOT / "config/sources.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def address_of(entry: dict[str, str]) -> str:
    """Its URL, looked up where the line names a key of the data set's file."""
    if entry["address"].startswith("https://"):
        return entry["address"]
    value: Any = dataset(entry["dataset"])
    for key in entry["address"].split("."):
        value = value[key]
    return str(value)


def dataset(name: str) -> dict[str, Any]:
    """A data set's file."""
    file = ROOT / f"config/datasets/{name}.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return values


if __name__ == "__main__":
    write_text(PAGE, page())
