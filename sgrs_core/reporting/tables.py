"""Tables: published numbers beside ours, computed from the per-scan score files alone.

How they are printed: typeset.py. No torch here: a job that writes a table starts in a second.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
from numpy.typing import NDArray
from pandas import DataFrame

from sgrs_core.experiment.settings import Margins
from sgrs_core.reporting.statistics import (
    CONFIDENCE,
    Difference,
    compare,
    holm,
    mean_interval,
    non_inferiority,
    verdict,
)

METRICS = ("dice", "jaccard", "hd95", "asd")
PRIMARY = "dice"  # the metric that claims rest on; the others are exploratory
NAMES = dict(zip(METRICS, ("Dice", "Jaccard", "95HD", "ASD"), strict=True))  # as printed
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
UNITS = {metric: "%" if metric in PERCENT else "voxels" for metric in METRICS}
SCORINGS = ("published", "strict")
KEYS = ["dataset", "labelled", "method", "recipe", "title", "selection", "scoring"]
PARTS = (
    *("published", "ours", "difference", "spread", "low", "high", "verdict", "p"),
    *("against", "against_low", "against_high"),
)
BOUND_PARTS = ("labelled", "difference", "low", "high", "verdict")
BOUND = ("upper_bound", *(f"upper_bound_{part}" for part in BOUND_PARTS))
BOUND_WORDS = ("upper_bound", "upper_bound_verdict")


class Rules(NamedTuple):
    """What a table's words mean. margin: by metric, in a table's units."""

    margin: Mapping[str, float] = vars(Margins())
    confidence: float = CONFIDENCE


class Scores(NamedTuple):
    """One line's scores of one selection.

    values: (metric, seed, scan) in a table's units; NaN where nothing can be counted. empty: the
    number of empty predictions over all seeds.
    """

    scans: tuple[str, ...]
    values: NDArray[np.float64]
    empty: int

    def of(self, metric: str) -> NDArray[np.float64]:
        """One metric: (seed, scan)."""
        return self.values[METRICS.index(metric)]


def build_table(
    dataset: str,
    lines: Sequence[Mapping[str, Any]],
    published: DataFrame,
    rules: Rules = Rules(),  # noqa: B008 (it cannot change)
) -> DataFrame:
    """One row per line, selection and scoring; a line without numbers of its own or published ones
    is left out.

    lines: each with `variant`, `labelled` and `scores`, the score files by selection, one per seed;
    none where it is not run. And, where they differ from the defaults: `title` (its variant),
    `recipe` ("shared"), `published` (its variant), the name of the published row beside it;
    `published_selection` (None), the only one under which that may stand; `reference` (False),
    whether the others with as many labelled scans are tested against it; `upper_bound` (False),
    whether the references should come close to it.
    published: the rows of one published table (columns variant, labelled, METRICS); may be empty.

    Columns: KEYS, seeds, scans, for each metric the PARTS, BOUND, `reference`, the variant of the
    row's, and `empty`, the number of empty predictions over all seeds. Dice and Jaccard in per
    cent, 95HD and ASD in voxels. All of ours follow from the same scans of all seeds: ours, their
    mean; spread, the standard deviation of the seeds' means; low and high, Student's interval of
    the scans' means. Published numbers stand under scoring `published` alone; verdict:
    `statistics.verdict`. against, with its interval: ours minus the reference's, and p of
    no difference, by `statistics.compare`, corrected by Holm's method for the table's
    other methods with as many labelled scans. Distances that hold an empty prediction's 0 are not
    judged.
    Raises ValueError where score files that belong together are not of the same scans, where one
    is named twice, and as `read_scores` does.
    """
    check_each_once(lines)
    selections = list(dict.fromkeys(name for line in lines for name in line["scores"]))
    rows: list[dict[str, Any]] = []
    for selection in selections:
        files = [
            [read_scores(file) for file in line["scores"].get(selection, ())] for line in lines
        ]
        for scoring in SCORINGS:
            part = [
                _Line(line, gather(read, scoring) if read else None, selection, scoring)
                for line, read in zip(lines, files, strict=True)
            ]
            rows += _rows(dataset, part, published, rules)
    return DataFrame(rows)


def check_each_once(lines: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where a line has a score file twice: one seed, counted as two."""
    for line in lines:
        for files in line["scores"].values():
            twice = next((file for file in files if list(files).count(file) > 1), None)
            if twice is not None:
                raise ValueError(f"{twice} stands twice behind {line['variant']}: name each once")


def read_table(file: str | Path) -> DataFrame:
    """A table's CSV, as `build_table` made it: empty verdicts are empty texts."""
    words = [*(f"{metric}_verdict" for metric in METRICS), "reference", *BOUND_WORDS]
    table = pandas.read_csv(file)
    return table.assign(**{name: table[name].astype(object).fillna("") for name in words})


def gather(files: Sequence[DataFrame], scoring: str) -> Scores:
    """The score files of one line, one per seed, as a scoring counts them.

    Raises ValueError where they are not of the same scans.
    """
    ordered = [one.sort_values("scan", kind="stable") for one in files]
    scans = tuple(map(str, ordered[0]["scan"]))
    for one in ordered[1:]:
        check_same_scans(scans, tuple(map(str, one["scan"])))
    values = np.array([counted(one, scoring).to_numpy().T for one in ordered]).swapaxes(0, 1)
    return Scores(scans, values, sum(int(one["empty"].sum()) for one in files))


def read_scores(file: str | Path) -> DataFrame:
    """A score file. Raises ValueError, naming it, as `check_scores` does."""
    scores = pandas.read_csv(file)
    try:
        check_scores(scores)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return scores


def check_scores(scores: DataFrame) -> None:
    """Raise ValueError, naming the scan, for scores that cannot be.

    A file without scans, a scan that stands there twice, a metric of a non-empty prediction that is
    no number, a Dice or Jaccard outside [0, 1].
    """
    if scores.empty:
        raise ValueError("a score file names no scan: evaluate its run anew")
    twice = scores["scan"][scores["scan"].duplicated()]
    if len(twice):
        raise ValueError(f"scan {twice.iloc[0]} stands twice in a score file: evaluate anew")
    found = scores[~scores["empty"].astype(bool)]
    for metric in METRICS:
        outside = found[metric].isna() | (found[metric] < 0)
        if metric in PERCENT:
            outside |= found[metric] > 1
        if outside.any():
            scan, value = found.loc[outside, ["scan", metric]].iloc[0]
            raise ValueError(f"scan {scan}: {metric} = {value} is no score: evaluate its run anew")


def counted(scores: DataFrame, scoring: str) -> DataFrame:
    """The metrics of one seed's scans as a scoring counts them, in a table's units.

    An empty prediction is 0 in Dice and Jaccard. Its distances are 0, the best there is, under
    `published`; the image's diagonal under `strict`, and NaN in files that do not name it.
    """
    empty = scores["empty"].astype(bool)
    values = scores[list(METRICS)].astype(float)
    if scoring == "published":
        values = values.mask(empty, 0.0)
    else:
        diagonal = scores.get("diagonal", pandas.Series(np.nan, scores.index))
        for metric in METRICS:
            values[metric] = values[metric].mask(empty, 0.0 if metric in PERCENT else diagonal)
    return in_units(values)


def in_units(values: DataFrame) -> DataFrame:
    """Columns METRICS of a score file in a table's units."""
    return values[list(METRICS)].astype(float) * [
        100 if metric in PERCENT else 1 for metric in METRICS
    ]


def summarise(scores: DataFrame, scoring: str) -> dict[str, float]:
    """The mean of each metric over one seed's scans, in a table's units; see `counted`."""
    means = gather([scores], scoring).values.mean(axis=(1, 2))
    return dict(zip(METRICS, map(float, means), strict=True))


class _Line(NamedTuple):
    """A line under one selection and scoring."""

    given: Mapping[str, Any]
    scores: Scores | None
    selection: str
    scoring: str

    @property
    def recipe(self) -> str:
        return str(self.given.get("recipe", "shared"))

    @property
    def is_reference(self) -> bool:
        return bool(self.given.get("reference"))

    @property
    def has_published(self) -> bool:
        return self.scoring == "published" and (
            self.given.get("published_selection") == self.selection
        )

    def may_be_judged(self, metric: str) -> bool:
        """Whether no distance is an empty prediction's 0."""
        assert self.scores is not None  # only lines that are run are judged
        return metric in PERCENT or self.scoring == "strict" or not self.scores.empty


Run = Sequence[tuple[_Line, dict[str, Any]]]  # the lines that are run, each with its row


def _rows(
    dataset: str, part: Sequence[_Line], published: DataFrame, rules: Rules
) -> list[dict[str, Any]]:
    """The rows of one selection and scoring."""
    rows = []
    for line in part:
        printed = _printed(line, published)
        if line.scores is not None or not all(map(np.isnan, printed.values())):
            rows.append((line, _row(dataset, line, printed, rules)))
    run = [(line, row) for line, row in rows if line.scores is not None]
    for reference, others in _groups(run):
        _test_against(reference, others, rules)
    _approach(run, rules)
    return [row for _, row in rows]


def _printed(line: _Line, published: DataFrame) -> dict[str, float]:
    """The published numbers that may stand beside a line's."""
    name = line.given.get("published", line.given["variant"])
    match = published[
        (published["variant"] == name) & (published["labelled"] == line.given["labelled"])
    ]
    shown = line.has_published and len(match) > 0
    return {metric: float(match[metric].iloc[0]) if shown else np.nan for metric in METRICS}


def _row(dataset: str, line: _Line, printed: Mapping[str, float], rules: Rules) -> dict[str, Any]:
    """All of a row that follows from its own scores; what compares rows is not known yet."""
    labelled, variant = line.given["labelled"], line.given["variant"]
    title = line.given.get("title", variant)
    keys = (dataset, labelled, variant, line.recipe, title, line.selection, line.scoring)
    row: dict[str, Any] = dict(zip(KEYS, keys, strict=True))
    scores = line.scores
    row["seeds"] = scores.values.shape[1] if scores else 0
    row["scans"] = len(scores.scans) if scores else 0
    for metric in METRICS:
        value: dict[str, Any] = dict.fromkeys(PARTS, np.nan)
        value |= {"published": printed[metric], "verdict": ""}
        if scores:
            seeds = scores.of(metric).mean(axis=1)
            value["ours"] = float(seeds.mean())
            value["difference"] = value["ours"] - printed[metric]
            value["spread"] = float(seeds.std(ddof=1)) if len(seeds) > 1 else np.nan
            scans = scores.of(metric).mean(axis=0)
            value["low"], value["high"] = map(float, mean_interval(scans, rules.confidence))
            if not np.isnan(printed[metric]) and line.may_be_judged(metric):
                margin = rules.margin[metric]
                value["verdict"] = str(verdict(printed[metric], seeds, margin, rules.confidence))
        row |= {f"{metric}_{part}": value[part] for part in PARTS}
    row |= dict.fromkeys(BOUND, np.nan) | dict.fromkeys(("reference", *BOUND_WORDS), "")
    row["empty"] = scores.empty if scores else np.nan
    return row


def _groups(run: Run) -> Iterator[tuple[_Line, Run]]:
    """Each reference, and the lines that are tested against it."""
    references = [line for line, _ in run if line.is_reference]
    for reference in references:
        yield (
            reference,
            [
                (line, row)
                for line, row in run
                if not line.is_reference and _reference_of(line, references) is reference
            ],
        )


def _reference_of(line: _Line, references: Sequence[_Line]) -> _Line | None:
    """With as many labelled scans; that of the line's own recipe where there is a choice."""
    near = [one for one in references if one.given["labelled"] == line.given["labelled"]]
    return min(near, key=lambda one: one.recipe != line.recipe, default=None)


def _test_against(reference: _Line, others: Run, rules: Rules) -> None:
    """Fill in the differences from the reference, with their intervals and p."""
    for _, row in others:
        row["reference"] = reference.given["variant"]
    for metric in METRICS:
        found = [_difference(line, reference, metric, rules.confidence) for line, _ in others]
        corrected = holm([one.p for one in found])
        for (_, row), one, p in zip(others, found, corrected, strict=True):
            row[f"{metric}_p"] = p
            row[f"{metric}_against"] = one.value
            row[f"{metric}_against_low"], row[f"{metric}_against_high"] = one.low, one.high


def _approach(run: Run, rules: Rules) -> None:
    """Fill in how close the references come to the upper bound, in the primary metric."""
    bounds = [line for line, _ in run if line.given.get("upper_bound")]
    for line, row in run:
        own_recipe_first = sorted(bounds, key=lambda one: one.recipe != line.recipe)
        for bound in own_recipe_first[:1]:
            if line.is_reference and line is not bound:
                found = _difference(line, bound, PRIMARY, rules.confidence)
                word = non_inferiority(found, rules.margin[PRIMARY])
                ends = (found.value, found.least, found.most)
                values = (bound.given["variant"], bound.given["labelled"], *ends, word)
                row |= dict(zip(BOUND, values, strict=True))


def _difference(line: _Line, other: _Line, metric: str, confidence: float) -> Difference:
    """Nothing where a distance is an empty prediction's 0."""
    assert line.scores is not None  # only lines that are run are compared
    assert other.scores is not None
    check_same_scans(other.scores.scans, line.scores.scans)
    if not (line.may_be_judged(metric) and other.may_be_judged(metric)):
        return Difference(np.nan)
    return compare(line.scores.of(metric), other.scores.of(metric), confidence)


def check_same_scans(scans: Sequence[str], others: Sequence[str]) -> None:
    """Raise ValueError unless both name the same scans in the same order."""
    if tuple(scans) != tuple(others):
        different = sorted(set(scans) ^ set(others)) or sorted(scans)
        raise ValueError(
            f"score files of different scans, such as {different[0]}: evaluate these runs anew "
            "on the same test scans"
        )
