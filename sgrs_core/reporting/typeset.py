r"""Tables for readers: Markdown and LaTeX, one part for each selection and scoring.

What is the same in all rows moves out of the table into its caption; titles stand for names, and
published numbers only where they are comparable. A LaTeX part is as wide as the text, 160 mm on A4
or what else \linewidth is: the first column wraps. No torch here: a job that writes a table starts
in a second.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame
from pylatexenc.latexencode import unicode_to_latex

from sgrs_core.reporting.statistics import (
    DIFFERENT,
    EQUIVALENT,
    INCONCLUSIVE,
    NOT_SHOWN,
    WITHIN,
    WORSE,
)
from sgrs_core.reporting.tables import METRICS, NAMES, PERCENT, PRIMARY, UNITS, Rules

MISSING = "–"
VERDICT_MARKS = {EQUIVALENT: "=", DIFFERENT: "≠", INCONCLUSIVE: "?"}
TESTED_MARK = "†"
LATEX_HEAD = (
    "% One table for each selection and scoring, as wide as the text.\n"
    "% Needs \\usepackage[T1]{fontenc} and the packages booktabs and tabularx.\n"
)


def number(value: float | None, form: str = ".2f") -> str:
    """A number as text, or a dash where there is none."""
    return MISSING if value is None or math.isnan(value) else format(value, form)


def spread(value: float) -> str:
    """A standard deviation behind its mean; nothing from one seed."""
    return "" if math.isnan(value) else f"± {value:.2f}"


def interval(low: float, high: float, form: str = ".2f") -> str:
    """An interval in brackets; nothing where it is not known."""
    return "" if math.isnan(low) else f"[{low:{form}}, {high:{form}}]"


def marks(row: Mapping[Any, Any], metric: str, confidence: float) -> str:
    """The verdict on a published number, and whether the primary metric's test found something."""
    verdict = VERDICT_MARKS.get(row[f"{metric}_verdict"], "")
    found = metric == PRIMARY and row[f"{metric}_p"] < 1 - confidence
    return verdict + (TESTED_MARK if found else "")


def meaning_of_marks(rules: Rules, reference: str) -> dict[str, str]:
    """What each mark says, in a sentence; reference: the title of the row tested against."""
    margin = ", ".join(
        f"{rules.margin[metric]:g} {'points' if metric in PERCENT else 'voxels'} of {NAMES[metric]}"
        for metric in METRICS
    )
    level = f"{1 - rules.confidence:.2g}"
    return {
        "=": f"=: the published number is equivalent to ours over seeds, within {margin}.",
        "≠": f"≠: it differs from ours by more than seeds do (level {level}).",
        "?": "?: the seeds are too few, or too far apart, to tell.",
        TESTED_MARK: f"{TESTED_MARK}: {NAMES[PRIMARY]} differs from {reference}'s over seeds and "
        f"scans (hierarchical bootstrap, Holm's correction, p < {level}).",
    }


def parts_of(table: DataFrame) -> Iterator[tuple[str, str, DataFrame]]:
    """Each selection and scoring of a table, and its rows."""
    for (selection, scoring), part in table.groupby(["selection", "scoring"], sort=False):
        yield str(selection), str(scoring), part


def reference_of(table: DataFrame) -> str:
    """The title of the row that others are tested against; some words where there is none."""
    titles = table.loc[table["method"].isin(set(table["reference"])), "title"]
    return " or ".join(dict.fromkeys(titles)) or "the reference"


def has_published(part: DataFrame) -> bool:
    """Whether published numbers stand beside some of ours."""
    return bool(part[[f"{metric}_published" for metric in METRICS]].notna().any(axis=None))


def to_markdown(table: DataFrame, title: str, note: str, rules: Rules) -> str:
    """The table as Markdown."""
    texts = [f"# {_markdown(title)}", *([_markdown(note)] if note else [])]
    for selection, scoring, part in parts_of(table):
        printed = _printed(part, rules)
        texts += [
            f"## Selection {selection}, scoring {scoring}",
            _markdown(" ".join(printed.caption)),
            _markdown_grid(printed),
            *map(_markdown, printed.beneath),
        ]
    return "\n\n".join(texts) + "\n"


def to_latex(table: DataFrame, name: str, title: str, note: str, rules: Rules) -> str:
    """The table as LaTeX; name: its label's."""
    texts = [LATEX_HEAD]
    for selection, scoring, part in parts_of(table):
        printed = _printed(part, rules)
        heading = f"{title}. Selection {selection}, scoring {scoring}."
        caption = " ".join(filter(None, [heading, *printed.caption, note.strip()]))
        label = "-".join(re.sub("[^A-Za-z0-9]+", "-", one) for one in (name, selection, scoring))
        texts += [
            "\\begin{table}[p]\n\\centering",
            f"\\caption{{{_latex(caption)}}}\n\\label{{tab:{label}}}",
            _latex_grid(printed),
            *(f"\\par\\smallskip\\raggedright\\small {_latex(line)}" for line in printed.beneath),
            "\\end{table}\n",
        ]
    return "\n".join(texts)


@dataclass(frozen=True)
class _Number:
    """A cell: a mean and what stands behind it."""

    mean: str
    spread: str = ""
    marks: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class _Printed:
    """A part as its readers see it, before it is Markdown or LaTeX.

    caption, beneath: sentences. metrics: the numbers' headings. more: headings of the last columns.
    groups: for each number of labelled scans its name, and rows of title, numbers (of each metric
    the published one, where there is one, and ours), and texts of the last columns.
    """

    caption: Sequence[str]
    beneath: Sequence[str]
    metrics: Sequence[str]
    has_published: bool
    more: Sequence[str]
    groups: Sequence[tuple[str, Sequence[tuple[str, Sequence[_Number], Sequence[str]]]]]


def _printed(part: DataFrame, rules: Rules) -> _Printed:
    run = part[part["seeds"] > 0]
    more = {
        heading: [number(value, ".0f") if column != "recipe" else value for value in part[column]]
        for heading, column, shown in (
            ("Seeds", "seeds", run["seeds"].nunique() > 1),
            ("Recipe", "recipe", part["recipe"].nunique() > 1),
            ("Empty", "empty", run["empty"].sum() > 0),
        )
        if shown
    }
    rows, beside_published = part.to_dict("records"), has_published(part)
    groups = []
    for labelled in sorted({row["labelled"] for row in rows}):
        places = [place for place, row in enumerate(rows) if row["labelled"] == labelled]
        best = _best([rows[place] for place in places])
        lines = [
            (
                str(rows[place]["title"]),
                list(_numbers(rows[place], best, beside_published, rules)),
                [column[place] for column in more.values()],
            )
            for place in places
        ]
        groups.append((_scans(labelled), lines))
    caption = _caption(part, run, [name for name, _ in groups], rules)
    metrics = [f"{NAMES[metric]} ({UNITS[metric]})" for metric in METRICS]
    return _Printed(
        caption, list(_beneath(rows, rules)), metrics, beside_published, list(more), groups
    )


def _scans(labelled: int) -> str:
    return f"{labelled} labelled scan{'s' if labelled > 1 else ''}"


def _best(rows: Sequence[Mapping[Any, Any]]) -> dict[str, str]:
    """The best mean of each metric as it is printed, where there are several.

    A distance that holds an empty prediction's 0 keeps all distances beside it from being the best.
    """
    best = {}
    for metric in METRICS:
        flattered = any(row["scoring"] == "published" and row["empty"] > 0 for row in rows)
        if flattered and metric not in PERCENT:
            continue
        values = [row[f"{metric}_ours"] for row in rows if not math.isnan(row[f"{metric}_ours"])]
        if len(values) > 1:
            best[metric] = number(max(values) if metric in PERCENT else min(values))
    return best


def _numbers(
    row: Mapping[Any, Any], best: Mapping[str, str], beside_published: bool, rules: Rules
) -> Iterator[_Number]:
    for metric in METRICS:
        if beside_published:
            yield _Number(number(row[f"{metric}_published"]))
        ours = number(row[f"{metric}_ours"])
        yield _Number(
            ours,
            spread(row[f"{metric}_spread"]),
            marks(row, metric, rules.confidence),
            is_best=ours == best.get(metric),
        )


def _caption(part: DataFrame, run: DataFrame, groups: Sequence[str], rules: Rules) -> list[str]:
    """What is the same in all rows, and what their marks mean."""
    recipes = list(dict.fromkeys(part["recipe"]))
    seeds = sorted(set(run["seeds"]))
    scans = ", ".join(str(count) for count in sorted(set(run["scans"])))
    sentences = [
        f"Recipe{'s' if len(recipes) > 1 else ''}: {', '.join(recipes)}.",
        *([f"{groups[0]}."] if len(groups) == 1 else []),
        f"Means over {scans} test scans"
        + (", one seed." if seeds == [1] else f" and {_counts(seeds)} seeds ± deviation of seeds."),
    ]
    if run["labelled"].duplicated().any():
        sentences.append("Bold: the best of those with as many labelled scans.")
    used = {mark for row in part.to_dict("records") for metric in METRICS
            for mark in marks(row, metric, rules.confidence)}  # fmt: skip
    meanings = meaning_of_marks(rules, reference_of(part))
    sentences += [text for mark, text in meanings.items() if mark in used]
    if run["empty"].sum() == 0:
        sentences.append("No prediction was empty.")
    elif run[[f"{metric}_ours" for metric in METRICS]].isna().any(axis=None):
        sentences.append(
            "Empty: predictions without a voxel; where a score file does not name the image's "
            "diagonal, they have no distance, nor has their row."
        )
    else:
        sentences.append(f"Empty: predictions without a voxel, counted as {_as(part)}.")
    return sentences


def _as(part: DataFrame) -> str:
    if set(part["scoring"]) == {"published"}:
        return "0 in all four metrics, so as perfect distances"
    return "0 in Dice and Jaccard and as the image's diagonal in distances"


def _counts(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"


def _beneath(rows: Sequence[Mapping[Any, Any]], rules: Rules) -> Iterator[str]:
    """A sentence for each reference that should come close to the upper bound."""
    margin = f"{rules.margin[PRIMARY]:g} point{'s' if rules.margin[PRIMARY] != 1 else ''}"
    words = {
        WITHIN: f"within {margin}, or better",
        WORSE: f"worse by more than {margin}",
        NOT_SHOWN: f"not shown to be within {margin}",
    }
    for row in rows:
        if not row["upper_bound"] or not isinstance(row["upper_bound"], str):
            continue
        key = (row["upper_bound"], row["upper_bound_labelled"])
        bound = next(one for one in rows if (one["method"], one["labelled"]) == key)
        low, high = row["upper_bound_low"], row["upper_bound_high"]
        ends = f" (one-sided {rules.confidence:.0%} bounds {low:+.2f} and {high:+.2f})"
        yield (
            f"{row['title']} with {_scans(row['labelled'])} against {bound['title']} with "
            f"{_scans(bound['labelled'])}: {number(row['upper_bound_difference'], '+.2f')} points "
            f"of {NAMES[PRIMARY]}{'' if math.isnan(low) else ends}: "
            f"{words[row['upper_bound_verdict']]}."
        )


def _markdown_grid(printed: _Printed) -> str:
    head = ["Method"]
    for name in printed.metrics:
        head += [f"{name}, paper", f"{name}, ours"] if printed.has_published else [name]
    head += printed.more
    lines = [head, [":--", *["--:"] * (len(head) - 1)]]
    for name, rows in printed.groups:
        if len(printed.groups) > 1:
            lines.append([f"*{name}*", *[""] * (len(head) - 1)])
        for title, numbers, more in rows:
            lines.append([_markdown(title), *map(_markdown_cell, numbers), *map(_markdown, more)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(cell: _Number) -> str:
    mean = f"**{cell.mean}**" if cell.is_best else cell.mean
    return " ".join(filter(None, [mean, cell.spread, cell.marks]))


def _markdown(text: str) -> str:
    """Words as words: nothing in them is markup, and none begins a list."""
    escaped = re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(str(text).split()))
    return re.sub(r"^([-+#])", r"\\\1", escaped)


def _latex_grid(printed: _Printed) -> str:
    r"""A tabularx of the text's width. Of ours, the mean is one column, right-aligned, and what
    stands behind it another, left-aligned, so that means stand below each other."""
    each = 3 if printed.has_published else 2
    columns = "r" * (each - 2) + "r@{}l"
    form = f"@{{}}>{{\\raggedright\\arraybackslash}}X{columns * len(printed.metrics)}"
    form += "l" * len(printed.more) + "@{}"
    width = 1 + each * len(printed.metrics) + len(printed.more)
    size, gap = ("\\footnotesize", 2) if printed.has_published else ("\\small", 4)
    more = [f" & {_latex(name)}" for name in printed.more]
    lines = [
        f"{size}\\setlength{{\\tabcolsep}}{{{gap}pt}}%",
        f"\\begin{{tabularx}}{{\\linewidth}}{{{form}}}",
        "\\toprule",
        "Method"
        + "".join(f" & \\multicolumn{{{each}}}{{c}}{{{_latex(name)}}}" for name in printed.metrics)
        + f"{''.join(more)} \\\\",
    ]
    if printed.has_published:
        ends = [(2 + each * place, 1 + each * (place + 1)) for place in range(len(printed.metrics))]
        lines.append("".join(f"\\cmidrule(lr){{{first}-{last}}}" for first, last in ends))
        both = " & paper & \\multicolumn{2}{c}{ours}" * len(printed.metrics)
        lines.append(f"{both}{' &' * len(printed.more)} \\\\")
    for name, rows in printed.groups:
        lines.append("\\midrule")
        if len(printed.groups) > 1:
            lines.append(f"\\multicolumn{{{width}}}{{@{{}}l}}{{\\emph{{{_latex(name)}}}}} \\\\")
        for title, numbers, rest in rows:
            # In braces, because after the end of a line [ and * would belong to it.
            cells = [f"{{{_latex(title)}}}", *_latex_cells(numbers, printed.has_published)]
            lines.append(f"{' & '.join([*cells, *map(_latex, rest)])} \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabularx}"])


def _latex_cells(numbers: Sequence[_Number], has_published: bool) -> Iterator[str]:
    for place, cell in enumerate(numbers):
        mean = _latex(cell.mean)
        yield f"\\textbf{{{mean}}}" if cell.is_best else mean
        if not has_published or place % 2:
            behind = f"\\,{_latex(cell.spread.replace(' ', ''))}" if cell.spread else ""
            mark = f"\\textsuperscript{{{_latex(cell.marks)}}}" if cell.marks else ""
            yield behind + mark


def _latex(text: str) -> str:
    """Words as words: nothing in them is a command."""
    words = " ".join(str(text).split())
    return unicode_to_latex(words, unknown_char_policy="replace", unknown_char_warning=False)
