"""Tables: published numbers beside ours, computed from the per-scan score files alone.

How they are printed: typeset.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
from pandas import DataFrame

from sgrs_core.evaluation.units import METRICS
from sgrs_core.experiment.settings import Margins
from sgrs_core.reporting import statistics
from sgrs_core.reporting.scores import (
    PRIMARY,
    SCORINGS,
    Scores,
    check_same_scans,
    gather,
    read_seeds,
)

KEYS = ["dataset", "labelled", "method", "recipe", "title", "selection", "scoring"]
PARTS = [
    *("published", "ours", "difference", "spread", "low", "high", "verdict", "p"),
    *("against", "against_low", "against_high"),
]
BOUND = ["upper_bound"] + [
    f"upper_bound_{part}" for part in ("labelled", "difference", "low", "high", "verdict")
]
COLUMNS = [
    *(*KEYS, "seeds", "scans"),
    *(f"{metric}_{part}" for metric in METRICS for part in PARTS),
    *(*BOUND, "reference", "empty"),
]
TEXTS = [
    *("dataset", "method", "recipe", "title", "selection", "scoring"),
    *(f"{metric}_verdict" for metric in METRICS),
    *("reference", "upper_bound", "upper_bound_verdict"),
]


class Rules(NamedTuple):
    """What a table's words mean. margin: by metric, in a table's units."""

    margin: Mapping[str, float] = vars(Margins())
    confidence: float = statistics.CONFIDENCE


def build_table(
    dataset: str,
    specs: Sequence[Mapping[str, Any]],
    published: DataFrame,
    rules: Rules = Rules(),  # noqa: B008 (it cannot change)
) -> DataFrame:
    """One row per row spec, selection and scoring; one without numbers of its own or published ones
    is left out.

    specs: each with `variant`, `labelled` and `scores`, the score files by selection, one per seed
    and fold; none where it is not run. And, where they differ from the defaults: `folds` (1), in
    how many the scans of a seed are tested; `title` (its variant),
    `recipe` ("shared"), `published` (its variant), the name of the published row beside it;
    `published_selection` (None), the only one under which that may stand; `reference` (False),
    whether the others with as many labelled scans are tested against it; `upper_bound` (False),
    whether the references should come close to it.
    published: the rows of one published table (columns variant, labelled, METRICS); may be empty.

    Columns: KEYS, seeds, scans, for each metric the PARTS, BOUND, `reference`, the variant of the
    row's, and `empty`, the number of empty predictions over all seeds; and `folds` if there are.
    Dice and Jaccard in per cent, 95HD and ASD in voxels. All of ours follow from the same scans of
    all seeds: ours, their mean; spread, the standard deviation of the means of runs, one for each
    seed and fold; low and high, Student's interval of the scans' means. Published numbers stand
    under scoring `published` alone; verdict: `statistics.verdict`. against, with its interval: ours
    minus the reference's, and p of no difference, by `statistics.compare`, corrected by Holm's
    method for the table's other methods with as many labelled scans. Distances that hold an empty
    prediction's 0 are not judged.
    Raises ValueError where score files that belong together are not of the same scans, where one
    is named twice, and as `read_scores` does.
    """
    rows: list[dict[str, Any]] = []
    for selection in dict.fromkeys(name for spec in specs for name in spec["scores"]):
        seeds = [_read(spec, selection) for spec in specs]
        for scoring in SCORINGS:
            made = (
                _row(spec, one, selection, scoring, published, rules)
                for spec, one in zip(specs, seeds, strict=True)
            )
            shown = [row for row in made if row is not None]
            run = [row for row in shown if row.scores is not None]
            for reference in (row for row in run if row.is_reference):
                _test_against(reference, run, rules)
            _compare_with_upper_bound(run, rules)
            rows += [{"dataset": dataset, **row.columns} for row in shown]
    further = ["folds"] if any(spec.get("folds", 1) > 1 for spec in specs) else []
    return _with_texts(DataFrame(rows, columns=[*COLUMNS, *further]))


def read_table(file: str | Path) -> DataFrame:
    """A table's CSV, as `build_table` made it: texts are texts, even where a title is `2024`."""
    return _with_texts(pandas.read_csv(file, dtype=dict.fromkeys(TEXTS, str)))


def _with_texts(table: DataFrame) -> DataFrame:
    """The table, in which words that nobody said are empty texts."""
    return table.assign(**{name: table[name].astype(object).fillna("") for name in TEXTS})


@dataclass
class _Row:
    """A row under one selection and scoring: what it is made of, and its columns as they fill."""

    spec: Mapping[str, Any]
    scores: Scores | None
    columns: dict[str, Any]

    @property
    def is_reference(self) -> bool:
        return bool(self.spec.get("reference"))

    def nearest(self, others: Sequence["_Row"]) -> "_Row | None":
        """The first of its own recipe, else the first; None of none."""
        recipe = self.columns["recipe"]
        return min(others, key=lambda other: other.columns["recipe"] != recipe, default=None)


def _read(spec: Mapping[str, Any], selection: str) -> list[DataFrame]:
    """The scores of a row's seeds; raises ValueError where a file would count as two of them."""
    files = list(spec["scores"].get(selection, ()))
    for file in files:
        if files.count(file) > 1:
            raise ValueError(f"{file} stands twice behind {spec['variant']}: name each once")
    return read_seeds(files, spec.get("folds", 1))


def _row(
    spec: Mapping[str, Any],
    seeds: Sequence[DataFrame],
    selection: str,
    scoring: str,
    published: DataFrame,
    rules: Rules,
) -> _Row | None:
    """A row with all that follows from its own scores; what compares rows is not known yet.

    None where there are neither scores nor published numbers that may stand beside them.
    """
    labelled, variant = spec["labelled"], spec["variant"]
    printed = dict.fromkeys(METRICS, np.nan)
    if scoring == "published" and spec.get("published_selection") == selection:
        name = spec.get("published", variant)
        found = published[(published["variant"] == name) & (published["labelled"] == labelled)]
        for match in found[:1].to_dict("records"):
            printed = {metric: float(match[metric]) for metric in METRICS}
    columns = {
        "labelled": labelled,
        "method": variant,
        "recipe": spec.get("recipe", "shared"),
        "title": spec.get("title", variant),
        "selection": selection,
        "scoring": scoring,
        **{f"{metric}_published": printed[metric] for metric in METRICS},
        "seeds": len(seeds),
        "scans": 0,
    }
    if not seeds:
        return None if np.isnan([*printed.values()]).all() else _Row(spec, None, columns)
    scores = gather(seeds, scoring)
    columns |= {"scans": len(scores.scans), "empty": scores.empty}
    columns["folds"] = len(np.unique(scores.folds))
    for metric in METRICS:
        values = scores.of(metric)
        means = values.mean(axis=1)  # of each seed
        ours = float(means.mean())
        low, high = statistics.mean_interval(values.mean(axis=0), rules.confidence)
        columns |= {
            f"{metric}_ours": ours,
            f"{metric}_difference": ours - printed[metric],
            f"{metric}_spread": scores.spread_of(metric),
            f"{metric}_low": low,
            f"{metric}_high": high,
        }
        if not np.isnan(printed[metric]) and metric in scores.judged:
            columns[f"{metric}_verdict"] = statistics.verdict(
                printed[metric], means, rules.margin[metric], rules.confidence
            )
    return _Row(spec, scores, columns)


def _test_against(reference: _Row, run: Sequence[_Row], rules: Rules) -> None:
    """Fill in the differences from a reference, with their intervals and p, where it is a row's."""
    near = [row for row in run if row.spec["labelled"] == reference.spec["labelled"]]
    references = [row for row in near if row.is_reference]
    others = [row for row in near if not row.is_reference and row.nearest(references) is reference]
    for row in others:
        row.columns["reference"] = reference.spec["variant"]
    for metric in METRICS:
        found = [_difference(row, reference, metric, rules) for row in others]
        corrected = statistics.holm([one.p for one in found])
        for row, one, p in zip(others, found, corrected, strict=True):
            row.columns |= {
                f"{metric}_p": p,
                f"{metric}_against": one.value,
                f"{metric}_against_low": one.low,
                f"{metric}_against_high": one.high,
            }


def _compare_with_upper_bound(run: Sequence[_Row], rules: Rules) -> None:
    """Fill in how close the references come to the upper bound, in the primary metric."""
    bounds = [row for row in run if row.spec.get("upper_bound")]
    for row in run:
        bound = row.nearest(bounds)
        if row.is_reference and bound is not None and bound is not row:
            found = _difference(row, bound, PRIMARY, rules)
            row.columns |= {
                "upper_bound": bound.spec["variant"],
                "upper_bound_labelled": bound.spec["labelled"],
                "upper_bound_difference": found.value,
                "upper_bound_low": found.least,
                "upper_bound_high": found.most,
                "upper_bound_verdict": statistics.non_inferiority(found, rules.margin[PRIMARY]),
            }


def _difference(row: _Row, other: _Row, metric: str, rules: Rules) -> statistics.Difference:
    """Nothing where a distance is an empty prediction's 0."""
    ours, others = row.scores, other.scores
    assert ours is not None  # only rows that are run are compared
    assert others is not None
    check_same_scans(others.scans, ours.scans)
    if metric not in ours.judged or metric not in others.judged:
        return statistics.Difference(np.nan)
    return statistics.compare(ours.of(metric), others.of(metric), rules.confidence)
