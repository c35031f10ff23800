r"""Tables for readers: Markdown and LaTeX, one part for each selection and scoring.

What is the same in all rows moves out of the table into its caption; titles stand for names, and
published numbers only where they are comparable. Numbers and sentences are made here, the tables'
layout is in templates/.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pandas import DataFrame
from pylatexenc.latexencode import unicode_to_latex

from sgrs_core.evaluation.units import (
    DIFFERENCES_WITHIN,
    HEADINGS,
    MEANS_WITHIN,
    METRICS,
    NAMES,
    PERCENT,
)
from sgrs_core.reporting import statistics
from sgrs_core.reporting.scores import PRIMARY
from sgrs_core.reporting.tables import Rules
from sgrs_core.reporting.templating import render

LATEX_DELIMITERS = {
    "variable_start_string": "<<", "variable_end_string": ">>",
    "block_start_string": "<%", "block_end_string": "%>",
    "comment_start_string": "<#", "comment_end_string": "#>",
}  # fmt: skip
MISSING = "–"
VERDICT_MARKS = {
    statistics.EQUIVALENT: "=",
    statistics.DIFFERENT: "≠",
    statistics.INCONCLUSIVE: "?",
}
TESTED_MARK = "†"
TWO_SEEDS = "Two seeds hardly say how far seeds lie apart, so intervals over them are wide."


class Score(NamedTuple):
    """One metric of a row as texts; what is not known is empty, a missing number a dash."""

    published: str
    ours: str
    difference: str
    interval: str
    spread: str
    marks: str


def to_markdown(table: DataFrame, title: str, note: str, rules: Rules) -> str:
    """The table as Markdown."""
    values = _values(table, title, note, rules)
    return render("table.md.j2", values, finalize=_markdown)


def to_latex(table: DataFrame, name: str, title: str, note: str, rules: Rules) -> str:
    """The table as LaTeX; name: its label's."""
    values = _values(table, title, note, rules)
    for part in values["parts"]:
        words = filter(None, (name, part["selection"], part["scoring"]))
        part["label"] = re.sub("[^A-Za-z0-9]+", "-", "-".join(words))
    return render("table.tex.j2", values, finalize=_latex, **LATEX_DELIMITERS)


def number(value: float | None, form: str = ".2f") -> str:
    """A number as text, or a dash where there is none."""
    return MISSING if value is None or math.isnan(value) else format(value, form)


def interval(low: float, high: float, within: tuple[float, float], form: str = ".2f") -> str:
    """An interval in brackets, cut off where nothing can lie; nothing where it is not known."""
    least, most = within
    ends = max(low, least), min(high, most)
    return "" if math.isnan(low) else "[" + ", ".join(format(end, form) for end in ends) + "]"


def with_interval(difference: statistics.Difference) -> str:
    """A difference of the primary metric, and its interval where there are seeds to have one."""
    ends = interval(difference.low, difference.high, DIFFERENCES_WITHIN[PRIMARY], ".1f")
    return f"{difference.value:.1f} {ends}".rstrip()


def score_of(row: Mapping[Any, Any], metric: str, confidence: float) -> Score:
    """One metric of a table's row as texts.

    marks: the verdict on a published number, and whether the primary metric's test found something.
    """
    spread = row[f"{metric}_spread"]
    found = metric == PRIMARY and row[f"{metric}_p"] < 1 - confidence
    return Score(
        number(row[f"{metric}_published"]),
        number(row[f"{metric}_ours"]),
        number(row[f"{metric}_difference"], "+.2f"),
        interval(row[f"{metric}_low"], row[f"{metric}_high"], MEANS_WITHIN[metric]),
        "" if math.isnan(spread) else f"± {spread:.2f}",
        VERDICT_MARKS.get(row[f"{metric}_verdict"], "") + (TESTED_MARK if found else ""),
    )


def meanings_in(table: DataFrame, rules: Rules) -> Iterator[str]:
    """What the marks that stand in a table say, each in a sentence."""
    margin = ", ".join(
        f"{rules.margin[metric]:g} {'points' if metric in PERCENT else 'voxels'} of {NAMES[metric]}"
        for metric in METRICS
    )
    level = f"{1 - rules.confidence:.2g}"
    meanings = {
        "=": f"=: the published number is equivalent to ours over seeds, within {margin}.",
        "≠": f"≠: it differs from ours by more than seeds do (level {level}).",
        "?": "?: the seeds are too few, or too far apart, to tell.",
        TESTED_MARK: f"{TESTED_MARK}: {NAMES[PRIMARY]} differs from {reference_of(table)}'s over "
        f"seeds and scans (hierarchical bootstrap, Holm's correction, p < {level}).",
    }
    used = "".join(
        score_of(row, metric, rules.confidence).marks
        for row in table.to_dict("records")
        for metric in METRICS
    )
    yield from (meaning for mark, meaning in meanings.items() if mark in used)


def parts_of(table: DataFrame) -> Iterator[tuple[str, str, DataFrame]]:
    """Each selection and scoring of a table, and its rows.

    Once for both scorings, as "", where they agree: nothing was empty, nor is compared with
    published numbers, which one scoring has alone.
    """
    for selection, chosen in table.groupby("selection", sort=False):
        parts = {str(scoring): part for scoring, part in chosen.groupby("scoring", sort=False)}
        if len(parts) > 1 and not chosen["empty"].sum() and not has_published(chosen):
            parts = {"": parts.popitem()[1]}
        for scoring, part in parts.items():
            yield str(selection), scoring, part


def reference_of(table: DataFrame) -> str:
    """The title of the row that others are tested against; some words where there is none."""
    titles = table.loc[table["method"].isin(set(table["reference"])), "title"]
    return " or ".join(dict.fromkeys(titles)) or "the reference"


def has_published(part: DataFrame) -> bool:
    """Whether published numbers stand beside some of ours."""
    return bool(part[[f"{metric}_published" for metric in METRICS]].notna().any(axis=None))


def _markdown(text: object) -> str:
    """Words as words: nothing in them is markup, and none begins a list."""
    escaped = re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"^([-+#])", r"\\\1", escaped)


def _latex(text: object) -> str:
    """Words as words: nothing in them is a command."""
    words = " ".join(str(text).split())
    return unicode_to_latex(words, unknown_char_policy="replace", unknown_char_warning=False)


def _values(table: DataFrame, title: str, note: str, rules: Rules) -> dict[str, Any]:
    """What the templates show: plain texts, which each of them escapes."""
    parts = [_part(*selected, rules) for selected in parts_of(table)]
    return {"title": title, "note": note.strip(), "headings": HEADINGS, "parts": parts}


def _part(selection: str, scoring: str, part: DataFrame, rules: Rules) -> dict[str, Any]:
    """A part as its readers see it, before it is Markdown or LaTeX.

    caption, beneath: sentences. more: headings of the last columns. groups: of each number of
    labelled scans its name, the best mean of each metric as it is printed, and the rows: the title,
    the scores by metric, and the texts of the last columns.
    """
    run = part[part["seeds"] > 0]
    more = {
        "Seeds": run["seeds"].nunique() > 1,
        "Recipe": part["recipe"].nunique() > 1,
        "Empty": run["empty"].sum() > 0,
    }
    last = [heading for heading, is_shown in more.items() if is_shown]
    groups = [
        {
            "name": scans(group["labelled"].iloc[0]),
            "best": _best(group),
            "rows": [
                {
                    "title": row["title"],
                    "scores": {one: score_of(row, one, rules.confidence) for one in METRICS},
                    "more": [_plain(row[heading.lower()]) for heading in last],
                }
                for row in group.to_dict("records")
            ],
        }
        for _, group in part.groupby("labelled")
    ]
    return {
        "selection": selection,
        "scoring": scoring,
        "caption": list(_caption(part, run, rules)),
        "beneath": list(about_upper_bound(part, rules)),
        "has_published": has_published(part),
        "more": last,
        "groups": groups,
    }


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else number(value, ".0f")


def scans(count: int, kind: str = "labelled") -> str:
    """So many scans of a kind."""
    return f"{count} {kind} scan{'s' if count > 1 else ''}"


def _best(group: DataFrame) -> dict[str, str]:
    """The best mean of each metric as it is printed, where there are several.

    A distance that holds an empty prediction's 0 keeps all distances beside it from being the best.
    """
    best = {}
    flattered = ((group["scoring"] == "published") & (group["empty"] > 0)).any()
    for metric in METRICS:
        values = group[f"{metric}_ours"].dropna()
        if len(values) > 1 and (metric in PERCENT or not flattered):
            best[metric] = number(values.max() if metric in PERCENT else values.min())
    return best


def _caption(part: DataFrame, run: DataFrame, rules: Rules) -> Iterator[str]:
    """Sentences: what is the same in all rows, and what their marks mean."""
    recipes = part["recipe"].unique()
    yield f"Recipe{'s' if len(recipes) > 1 else ''}: {', '.join(recipes)}."
    if part["labelled"].nunique() == 1:
        yield f"{scans(part['labelled'].iloc[0])}."
    seeds = sorted(set(run["seeds"]))
    counts = " to ".join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))
    folds = f" in {run['folds'].max():.0f} folds" if "folds" in run else ""
    over = ", one seed" if seeds == [1] else f" and {counts} seeds"
    varying = ["folds"] * bool(folds) + ["seeds"] * (seeds != [1])
    ending = folds + over + (f" ± deviation of {' and '.join(varying)}" if varying else "")
    yield f"Means over {', '.join(map(str, sorted(set(run['scans']))))} test scans{ending}."
    if seeds[0] == 2:
        yield TWO_SEEDS
    if run["labelled"].duplicated().any():
        yield "Bold: the best of those with as many labelled scans."
    yield from meanings_in(part, rules)
    yield _about_empty_predictions(part, run)


def _about_empty_predictions(part: DataFrame, run: DataFrame) -> str:
    if run["empty"].sum() == 0:
        return "No prediction was empty."
    if run[[f"{metric}_ours" for metric in METRICS]].isna().any(axis=None):
        return (
            "Empty: predictions without a voxel; where a score file does not name the image's "
            "diagonal, they have no distance, nor has their row."
        )
    counted = (
        "0 in all four metrics, so as perfect distances"
        if set(part["scoring"]) == {"published"}
        else "0 in Dice and Jaccard and as the image's diagonal in distances"
    )
    return f"Empty: predictions without a voxel, counted as {counted}."


def about_upper_bound(part: DataFrame, rules: Rules, labelled: int | None = None) -> Iterator[str]:
    """A sentence for each reference that should come close to the upper bound.

    labelled: of those with so many labelled scans alone.
    """
    margin = f"{rules.margin[PRIMARY]:g} point{'s' if rules.margin[PRIMARY] != 1 else ''}"
    words = {
        statistics.WITHIN: f"within {margin}, or better",
        statistics.WORSE: f"worse by more than {margin}",
        statistics.NOT_SHOWN: f"not shown to be within {margin}",
    }
    titles = part.set_index(["method", "labelled"])["title"]
    for row in part[part["upper_bound"] != ""].to_dict("records"):
        if labelled not in (None, row["labelled"]):
            continue
        most = int(row["upper_bound_labelled"])
        bound = titles[row["upper_bound"], most]
        low = max(row["upper_bound_low"], DIFFERENCES_WITHIN[PRIMARY][0])
        high = min(row["upper_bound_high"], DIFFERENCES_WITHIN[PRIMARY][1])
        found = (
            "; one seed is too few for a test"
            if math.isnan(low)
            else f" (one-sided {rules.confidence:.0%} bounds {low:+.2f} and {high:+.2f}): "
            + words[row["upper_bound_verdict"]]
        )
        yield (
            f"{row['title']} with {scans(row['labelled'])} against {bound} with "
            f"{scans(most)}: {number(row['upper_bound_difference'], '+.2f')} points "
            f"of {NAMES[PRIMARY]}{found}."
        )
