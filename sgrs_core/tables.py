"""Tables: the published numbers beside ours, computed from the per-scan score files alone.

No torch here: a job that writes a table starts in a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from pandas import DataFrame

METRICS = ("dice", "jaccard", "hd95", "asd")
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
SCORINGS = ("published", "strict")
KEYS = ["dataset", "labelled", "method", "selection", "scoring"]
PARTS = ("published", "ours", "difference")


def build_table(
    dataset: str, lines: Sequence[Mapping[str, Any]], published: DataFrame
) -> DataFrame:
    """One row per line, selection and scoring, and per published row that we do not run.

    lines: each with `variant`, `labelled` and `scores`, the score files by selection, one per seed.
    published: the rows of one published table (columns variant, labelled, METRICS); may be empty.
    Columns: KEYS, seeds, for each metric published, ours, difference and spread (the standard
    deviation over seeds), and `empty`, the number of empty predictions over all seeds. Dice and
    Jaccard in per cent, 95HD and ASD in voxels.
    """
    selections = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    rows = [
        _row(dataset, variant, labelled, selection, scoring, files, published)
        for selection in selections
        for scoring in SCORINGS
        for variant, labelled, files in _pairs(lines, selection, published)
    ]
    return DataFrame(rows)


def summarise(scores: DataFrame, scoring: str) -> dict[str, float]:
    """The mean of each metric over one seed's scans, in a table's units.

    published: an empty prediction counts as 0 for all four metrics, distances included.
    strict: it counts as 0 for Dice and Jaccard, and is left out of the distances.
    """
    values = scores[list(METRICS)].astype(float)
    if scoring == "published":
        values = values.mask(scores["empty"], 0.0)
    means = values.mean()
    return {name: float(means[name]) * (100 if name in PERCENT else 1) for name in METRICS}


def to_markdown(table: DataFrame, title: str, note: str) -> str:
    """The table as Markdown, one part per selection and scoring."""
    parts = [f"# {title}", *([note] if note else []), LEGEND]
    for heading, part in _parts(table):
        parts += [f"## {heading}", _readable(part).to_markdown(index=False, disable_numparse=True)]
    return "\n\n".join(parts) + "\n"


def to_latex(table: DataFrame, title: str, note: str) -> str:
    """The table as LaTeX (needs booktabs), one part per selection and scoring."""
    parts = []
    for heading, part in _parts(table):
        readable = _readable(part)
        alignment = "rl" + "r" * (len(readable.columns) - 2)
        body = readable.to_latex(index=False, escape=True, column_format=alignment)
        caption = " ".join(filter(None, [f"{title}. {heading}.", note])).replace("%", r"\%")
        parts.append(f"\\begin{{table}}\n\\caption{{{caption}}}\n{body}\\end{{table}}\n")
    return "\n".join(parts)


LEGEND = (
    "Each cell: published / ours (spread over seeds) / difference. Dice and Jaccard in %, 95HD and "
    "ASD in voxels. Scoring `published` counts an empty prediction as 0 for all four metrics; "
    "`strict` leaves it out of the distances."
)


def _pairs(
    lines: Sequence[Mapping[str, Any]], selection: str, published: DataFrame
) -> Iterator[tuple[str, int, list[str]]]:
    """(variant, labelled, our score files), in the published order, then what is ours alone."""
    ours = {(line["variant"], line["labelled"]): line["scores"][selection] for line in lines}
    printed = list(zip(published["variant"], published["labelled"], strict=True))
    for key in [*printed, *(key for key in ours if key not in printed)]:
        yield key[0], int(key[1]), ours.get(key, [])


def _row(
    dataset: str,
    variant: str,
    labelled: int,
    selection: str,
    scoring: str,
    files: Sequence[str],
    published: DataFrame,
) -> dict[str, Any]:
    keys = zip(KEYS, (dataset, labelled, variant, selection, scoring), strict=True)
    row: dict[str, Any] = {**dict(keys), "seeds": len(files)}
    match = published[(published["variant"] == variant) & (published["labelled"] == labelled)]
    scores = [pandas.read_csv(file) for file in files]
    seeds = DataFrame([summarise(one, scoring) for one in scores], columns=list(METRICS))
    for metric in METRICS:
        printed = float(match[metric].iloc[0]) if len(match) else np.nan
        ours = float(seeds[metric].mean())
        row[f"{metric}_published"] = printed
        row[f"{metric}_ours"] = ours
        row[f"{metric}_difference"] = ours - printed
        row[f"{metric}_spread"] = float(seeds[metric].std())
    row["empty"] = sum(int(one["empty"].sum()) for one in scores) if scores else np.nan
    return row


def _parts(table: DataFrame) -> Iterator[tuple[str, DataFrame]]:
    for (selection, scoring), part in table.groupby(["selection", "scoring"], sort=False):
        yield f"Selection {selection}, scoring {scoring}", part


def _readable(part: DataFrame) -> DataFrame:
    """Numbers as text, the three parts of a metric in one cell."""
    shown = part[["labelled", "method"]].copy()
    for metric, name in zip(METRICS, ("Dice", "Jaccard", "95HD", "ASD"), strict=True):
        shown[name] = [_cell(row, metric) for _, row in part.iterrows()]
    shown["seeds"] = part["seeds"]
    shown["empty"] = ["–" if np.isnan(count) else str(int(count)) for count in part["empty"]]
    return shown


def _cell(row: "pandas.Series[Any]", metric: str) -> str:
    published, ours, difference = (_number(row[f"{metric}_{part}"]) for part in PARTS)
    spread = row[f"{metric}_spread"]
    if not np.isnan(spread):
        ours += f" ({spread:.2f})"
    sign = "+" if row[f"{metric}_difference"] > 0 else ""
    return f"{published} / {ours} / {sign}{difference}"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
