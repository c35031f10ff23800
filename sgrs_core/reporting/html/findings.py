"""What was found, in sentences made from the scores: how the report begins."""

import math
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from pandas import DataFrame

from sgrs_core.reporting import typeset
from sgrs_core.reporting.html import SELECTIONS
from sgrs_core.reporting.scores import PRIMARY, gather, read_seeds
from sgrs_core.reporting.statistics import Difference, Numbers, compare
from sgrs_core.reporting.tables import Rules

SCORING = "strict"
DICE, SPREAD, P = (f"{PRIMARY}_{part}" for part in ("ours", "spread", "p"))
AGAINST = [f"{PRIMARY}_against{part}" for part in ("", "_low", "_high")]
PHANTOMS = "these scans are phantoms, which are made up: the scores say nothing about real scans"


class Finding(NamedTuple):
    """What the sentences are about, and the sentences."""

    about: str
    text: str


def findings_of(table: Mapping[str, Any], frame: DataFrame) -> Iterator[Finding]:
    """What a table says, for each number of labelled scans.

    table: as `contents_of` lists it, with its `lines`, whose score files are read. All of the first
    selection, under SCORING, in Dice.
    """
    is_shown = (frame["scoring"] == SCORING) & (frame["selection"] == _first(frame))
    part = frame[is_shown & (frame["seeds"] > 0)]
    rules = Rules(table["margin"], table["confidence"])
    for labelled in sorted(set(part["labelled"])):
        group = part[part["labelled"] == labelled]
        sentences = [
            *_first_of(group, table["lines"], rules.confidence),
            *_against_reference(group, rules),
            *typeset.about_upper_bound(part, rules, labelled),
            *_empty(group),
        ]
        yield Finding(f"{table['title']}, {typeset.scans(labelled)}", " ".join(sentences))


def setting_of(contents: Mapping[str, Any], frames: Sequence[DataFrame]) -> str:
    """How the numbers of the findings are to be read."""
    chosen = ", ".join(dict.fromkeys(SELECTIONS[_first(frame)] for frame in frames if len(frame)))
    seeds, folds = len(contents["seeds"]), any("folds" in frame for frame in frames)
    return (
        f"Dice in %: the mean over test scans and {seeds} seed{'s' if seeds > 1 else ''}, "
        f"± the deviation of {'folds and ' if folds else ''}seeds. Checkpoint: {chosen}. "
        "An empty prediction counts as 0. "
        "In brackets: the interval of a difference, over seeds and scans together"
        + (f", cut off at 100 points. {typeset.TWO_SEEDS}" if seeds == 2 else ".")
    )


def selection_worth(gain: DataFrame | None) -> Finding:
    """What choosing a checkpoint on the test scans adds, if both ways were measured."""
    about = "Choosing the checkpoint on the test scans"
    if gain is None or gain.empty:
        return Finding(about, "What it is worth was not measured: that needs both selections.")
    column = f"{PRIMARY}_gain"
    rows = sorted(gain.to_dict("records"), key=itemgetter(column))
    several = gain["dataset"].nunique() > 1
    ends = [
        f"{row[column]:.1f} ({row['method']}, {typeset.scans(row['labelled'])}"
        f"{', ' + row['dataset'] if several else ''})"
        for row in (rows[0], rows[-1])
    ]
    mean = f"It adds {gain[column].mean():.1f} points of Dice in the mean of {len(gain)} rows"
    return Finding(about, f"{mean}, from {ends[0]} to {ends[1]}.")


def missing_of(contents: Mapping[str, Any], frames: Sequence[DataFrame]) -> Finding:
    """What one might look for and will not find."""
    said = []
    for table, frame in zip(contents["tables"], frames, strict=True):
        absent = frame[frame["seeds"] == 0].drop_duplicates(["title", "labelled"])
        names = [
            f"{', '.join(rows['title'])} with {typeset.scans(rows['labelled'].iloc[0])}"
            for _, rows in absent.groupby("labelled")
        ]
        if names:
            said.append(f"{table['title']}: not run are {'; '.join(names)}")
    if len(contents["seeds"]) < 2:
        said.append(
            "with one seed, nobody knows what of a difference is that seed's luck: no test was made"
        )
    for one in contents["datasets"]:
        if one["absent scans"]:
            said.append(f"{one['title']}: {one['absent scans']} of its scans are not there")
        if one["source"] == "phantom":
            said.append(f"{one['title']}: {PHANTOMS}")
    sentences = [f"{one[0].upper()}{one[1:]}." for one in said]
    return Finding("Missing", " ".join(sentences) or "Nothing that the tables ask for.")


def _first(frame: DataFrame) -> str:
    return str(frame["selection"].iloc[0]) if len(frame) else "last"


def _first_of(
    group: DataFrame, lines: Sequence[Mapping[str, Any]], confidence: float
) -> Iterator[str]:
    """Which method is first, and by how much."""
    ordered = group.sort_values(DICE, ascending=False, kind="stable")
    first, *others = ordered.to_dict("records")
    score = _mean_dice(first)
    ties = [row["title"] for row in others if row[DICE] == first[DICE]]
    if not others:
        yield f"{first['title']}, alone: {score}."
    elif ties:
        shared = ", ".join([first["title"], *ties])
        yield f"{shared} share the highest Dice of {len(ordered)} rows: {score}."
    else:
        ours, beside = (_dice_of(row, lines) for row in (first, others[0]))
        found = compare(ours, beside, confidence)
        sure = f", {'' if found.low > 0 else 'not '}shown to be more than chance"
        yield (
            f"{first['title']} is first of {len(ordered)} with a Dice of {score}, "
            f"{typeset.with_interval(found)} more than {others[0]['title']}, the second"
            f"{'' if math.isnan(found.low) else sure}."
        )


def _against_reference(group: DataFrame, rules: Rules) -> Iterator[str]:
    """Which differences from the reference were shown, by tests over all of them."""
    name, level = typeset.reference_of(group), 1 - rules.confidence
    tested = group[group["reference"] != ""]
    shown = tested[tested[P] < level].sort_values(AGAINST[0])
    for sign, word in ((-1, "better"), (1, "worse")):
        each = []
        for row in shown[shown[AGAINST[0]] * sign > 0].to_dict("records"):
            value, *ends = (sign * row[column] for column in AGAINST)
            size = typeset.with_interval(Difference(value, min(ends), max(ends)))
            each.append(f"than {row['title']} by {size}")
        if each:
            yield f"{name} is shown to be {word} {', '.join(each)}."
    if tested[P].notna().any() and len(shown) < len(tested):
        yield f"No other difference from {name} is shown (p < {level:.2g}, Holm's correction)."


def _dice_of(row: Mapping[Any, Any], lines: Sequence[Mapping[str, Any]]) -> Numbers:
    """A table's row's Dice of each seed and scan, from the score files behind it."""
    key = row["method"], row["labelled"]
    line = next(one for one in lines if (one["variant"], one["labelled"]) == key)
    files = line["scores"][row["selection"]]
    return gather(read_seeds(files, line.get("folds", 1)), SCORING).of(PRIMARY)


def _mean_dice(row: Mapping[Any, Any]) -> str:
    spread = "" if math.isnan(row[SPREAD]) else f" ± {row[SPREAD]:.1f}"
    seeds = f"{row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    return f"{row[DICE]:.1f}{spread} ({seeds}, {typeset.scans(row['scans'], 'test')})"


def _empty(group: DataFrame) -> Iterator[str]:
    empty, total = int(group["empty"].sum()), (group["seeds"] * group["scans"]).sum()
    if empty == total:
        yield f"All {total} predictions are empty."
    elif empty:
        worst = max(group.to_dict("records"), key=itemgetter("empty"))
        yield f"{empty} of {total} predictions are empty, most of them by {worst['title']}."
