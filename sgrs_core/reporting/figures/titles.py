"""What figures call their rows."""

from collections.abc import Mapping, Sequence
from typing import Any


def with_distinct_titles(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows; a `title` that several variants share has the `variant` behind it, in brackets."""
    variants: dict[str, set[str]] = {}
    for row in rows:
        variants.setdefault(row["title"], set()).add(row["variant"])
    return [
        {**row, "title": f"{row['title']} ({row['variant']})"}
        if len(variants[row["title"]]) > 1
        else dict(row)
        for row in rows
    ]
