"""Tables: the published numbers beside ours, computed from the per-scan score files alone.

No torch here: a job that writes a table starts in a second.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from pandas import DataFrame

from sgrs_core.statistics import holm, interval, paired_p

METRICS = ("dice", "jaccard", "hd95", "asd")
NAMES = dict(zip(METRICS, ("Dice", "Jaccard", "95HD", "ASD"), strict=True))  # as printed
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
SCORINGS = ("published", "strict")
KEYS = ["dataset", "labelled", "method", "selection", "scoring"]
PARTS = ("published", "ours", "difference", "spread", "low", "high", "reproduced", "p")
SIGNIFICANT = 0.05
LATEX = {"✓": r"$\checkmark$", "†": r"$\dagger$"}


def build_table(
    dataset: str, lines: Sequence[Mapping[str, Any]], published: DataFrame
) -> DataFrame:
    """One row per line, selection and scoring, and per published row that we do not run.

    lines: each with `variant`, `labelled`, `scores`, the score files by selection, one per seed,
    and `reference`: whether the others with as many labelled scans are tested against it.
    published: the rows of one published table (columns variant, labelled, METRICS); may be empty.
    Columns: KEYS, seeds, for each metric the PARTS, and `empty`, the number of empty predictions
    over all seeds. Dice and Jaccard in per cent, 95HD and ASD in voxels. spread: the standard
    deviation over seeds. low, high: the bootstrap 95% interval of the mean over scans. reproduced:
    whether the published value lies in it. p: Wilcoxon's signed-rank test of the scans against the
    reference, by Holm's method corrected for the table's other methods with as many labelled scans.
    """
    selections = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    rows: list[dict[str, Any]] = []
    for selection in selections:
        ours = {
            (line["variant"], line["labelled"]): [
                pandas.read_csv(file) for file in line["scores"][selection]
            ]
            for line in lines
        }
        reference = {line["labelled"]: line["variant"] for line in lines if line.get("reference")}
        for scoring in SCORINGS:
            part = [
                {
                    **dict(
                        zip(KEYS, (dataset, labelled, variant, selection, scoring), strict=True)
                    ),
                    **_ours_beside_published(
                        ours.get((variant, labelled), []),
                        scoring,
                        _printed(published, variant, labelled),
                    ),
                }
                for variant, labelled in _pairs(ours, published)
            ]
            _test_against(reference, part, ours, scoring)
            rows += part
    return DataFrame(rows)


def summarise(scores: DataFrame, scoring: str) -> dict[str, float]:
    """The mean of each metric over one seed's scans, in a table's units.

    published: an empty prediction counts as 0 for all four metrics, distances included.
    strict: it counts as 0 for Dice and Jaccard, and is left out of the distances.
    """
    return {str(name): float(value) for name, value in counted(scores, scoring).mean().items()}


def to_markdown(table: DataFrame, title: str, note: str) -> str:
    """The table as Markdown, one part per selection and scoring."""
    parts = [f"# {title}", *([note] if note else []), LEGEND]
    for heading, part in _parts(table):
        parts += [f"## {heading}", _readable(part).to_markdown(index=False, disable_numparse=True)]
    return "\n\n".join(parts) + "\n"


def to_latex(table: DataFrame, title: str, note: str) -> str:
    """The table as LaTeX (needs booktabs, amssymb), one part per selection and scoring."""
    parts = []
    for heading, part in _parts(table):
        readable = _readable(part)
        alignment = "rl" + "r" * (len(readable.columns) - 2)
        body = readable.to_latex(index=False, escape=True, column_format=alignment)
        caption = " ".join(filter(None, [f"{title}. {heading}.", note])).replace("%", r"\%")
        for mark, command in LATEX.items():
            body = body.replace(mark, command)
        parts.append(f"\\begin{{table}}\n\\caption{{{caption}}}\n{body}\\end{{table}}\n")
    return "\n".join(parts)


LEGEND = (
    "Each cell: published / ours (spread over seeds) [95% interval over scans] / difference. Dice "
    "and Jaccard in %, 95HD and ASD in voxels. ✓: the published value lies in our interval. "
    "†: differs from SGRS-Net on the same scans (Wilcoxon's signed-rank test, Holm's correction, "
    "p < 0.05). Scoring `published` counts an empty prediction as 0 for all four metrics; `strict` "
    "leaves it out of the distances."
)


def scan_means(scores: Sequence[DataFrame], scoring: str) -> DataFrame:
    """Each scan's metrics, means over seeds, in a table's units; the index is the scan's name."""
    values = [counted(one, scoring).set_axis(one["scan"]) for one in scores]
    return pandas.concat(values).groupby(level=0).mean()


def counted(scores: DataFrame, scoring: str) -> DataFrame:
    """The metrics of one seed's scans as a scoring counts them, in a table's units."""
    values = scores[list(METRICS)].astype(float)
    if scoring == "published":
        values = values.mask(scores["empty"], 0.0)
    return values * [100 if name in PERCENT else 1 for name in METRICS]


def _pairs(ours: Iterable[tuple[str, int]], published: DataFrame) -> list[tuple[str, int]]:
    """(variant, labelled) of all rows, in the published order, then what is ours alone."""
    printed = zip(published["variant"], map(int, published["labelled"]), strict=True)
    return list(dict.fromkeys([*printed, *ours]))


def _printed(published: DataFrame, variant: str, labelled: int) -> dict[str, float]:
    match = published[(published["variant"] == variant) & (published["labelled"] == labelled)]
    return {metric: float(match[metric].iloc[0]) if len(match) else np.nan for metric in METRICS}


def _ours_beside_published(
    scores: Sequence[DataFrame], scoring: str, printed: Mapping[str, float]
) -> dict[str, Any]:
    row: dict[str, Any] = {"seeds": len(scores)}
    seeds = DataFrame([summarise(one, scoring) for one in scores], columns=list(METRICS))
    scans = scan_means(scores, scoring) if scores else DataFrame(columns=list(METRICS))
    for metric in METRICS:
        ours, (low, high) = float(seeds[metric].mean()), interval(scans[metric])
        row |= {
            f"{metric}_published": printed[metric],
            f"{metric}_ours": ours,
            f"{metric}_difference": ours - printed[metric],
            f"{metric}_spread": float(seeds[metric].std()),
            f"{metric}_low": low,
            f"{metric}_high": high,
            f"{metric}_reproduced": low <= printed[metric] <= high,
            f"{metric}_p": np.nan,
        }
    row["empty"] = sum(int(one["empty"].sum()) for one in scores) if scores else np.nan
    return row


def _test_against(
    reference: Mapping[int, str],
    rows: Sequence[dict[str, Any]],
    ours: Mapping[tuple[str, int], Sequence[DataFrame]],
    scoring: str,
) -> None:
    """Fill in p, for each number of labelled scans and metric."""
    for labelled, variant in reference.items():
        against = scan_means(ours[variant, labelled], scoring)
        tested = [
            row
            for row in rows
            if row["labelled"] == labelled and row["seeds"] and row["method"] != variant
        ]
        scans = [
            scan_means(ours[row["method"], labelled], scoring).reindex(against.index)
            for row in tested
        ]
        for metric in METRICS:
            values = [paired_p(one[metric], against[metric]) for one in scans]
            for row, p in zip(tested, holm(values), strict=True):
                row[f"{metric}_p"] = p


def _parts(table: DataFrame) -> Iterator[tuple[str, DataFrame]]:
    for (selection, scoring), part in table.groupby(["selection", "scoring"], sort=False):
        yield f"Selection {selection}, scoring {scoring}", part


def _readable(part: DataFrame) -> DataFrame:
    """Numbers as text, the three parts of a metric in one cell."""
    shown = part[["labelled", "method"]].copy()
    for metric, name in NAMES.items():
        shown[name] = [_cell(row, metric) for _, row in part.iterrows()]
    for name in ("selection", "scoring", "seeds"):
        shown[name] = part[name]
    shown["empty"] = ["–" if np.isnan(count) else str(int(count)) for count in part["empty"]]
    return shown


def _cell(row: "pandas.Series[Any]", metric: str) -> str:
    value = {part: row[f"{metric}_{part}"] for part in PARTS}
    ours = _number(value["ours"])
    if not np.isnan(value["spread"]):
        ours += f" ({value['spread']:.2f})"
    if not np.isnan(value["low"]):
        ours += f" [{value['low']:.2f}, {value['high']:.2f}]"
    sign = "+" if value["difference"] > 0 else ""
    marks = ("✓" if value["reproduced"] else "") + ("†" if value["p"] < SIGNIFICANT else "")
    cell = f"{_number(value['published'])} / {ours} / {sign}{_number(value['difference'])}"
    return f"{cell} {marks}".rstrip()


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
