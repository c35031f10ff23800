"""What was found on real scans: README's table, docs/findings.md, tables and figures of it.

    python -m docs.tools.findings

docs/findings.md and the page of scans of the training are templates beside this file with their
numbers filled in; README.md, the results' own pages and SGRS-Net's hold a table between two marks.
All values are means over test scans, but for those on scans of the training.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from docs.tools.ablations import (
    ablations,
    between_forms,
    between_seeds,
    draw_ablations,
    ends_of_pseudo_labels,
    further_ablated,
    parts_table,
    published_lead,
)
from docs.tools.forms import (
    ABLATIONS,
    OTHER_HARDWARE,
    PSEUDO_LABELS,
    REFERENCE_RUNS,
    ROOT,
    SCORES,
    TEN_METHODS,
    as_markdown,
    dice_of,
    draw_pseudo_labels,
    equations,
    mean_dice,
    published,
    runs_of,
)
from docs.tools.reference_tables import draw_thresholds, reference_tables
from sgrs_core.evaluation.units import FACTORS
from sgrs_core.experiment.run import Run
from sgrs_core.files import read_json, write_text
from sgrs_core.methods import new_method
from sgrs_core.reporting.scores import Scores, gather, read_scores
from sgrs_core.reporting.statistics import (
    CONFIDENCE,
    Difference,
    compare,
    error_of_p,
    holm,
    mean_interval,
)
from sgrs_core.reporting.typeset import with_interval

TRAINING_SCANS = REFERENCE_RUNS / "la_half_training_scans"
FLOAT32 = REFERENCE_RUNS / "la_half_float32"
FINDINGS, FIGURE = ROOT / "docs/findings.md", TEN_METHODS / "figures/dice.png"
TEMPLATES = {FINDINGS: "findings.md.j2", TRAINING_SCANS / "README.md": "training_scans.md.j2"}
README = ROOT / "README.md"
FORMS = ROOT / "docs/methods/sgrs.md"
BEGIN, END = "<!-- made by docs/tools/findings.py -->", "<!-- end -->"
BETWEEN = re.compile(f"{BEGIN}.*?{END}", re.DOTALL)
REFERENCE = "sgrs"
SGRS = (REFERENCE, 4)
PARTS = ("labelled", "unlabelled")
COLUMNS = (
    "method", "labelled scans", "seeds", "Dice, last checkpoint", "of each seed",
    "SGRS-Net's lead", "p", "Dice, chosen on test scans", "95HD (voxels), last", "empty masks",
    "published Dice, at full size",
)  # fmt: skip
IN_README, IN_FINDINGS = (
    [column for column in COLUMNS if column not in left_out]
    for left_out in (
        ("of each seed", "p", "95HD (voxels), last", "empty masks"),
        ("of each seed", "95HD (voxels), last", "empty masks"),
    )
)


class Row(NamedTuple):
    """A method's seeds: their scores under both selections."""

    method: str
    labelled: int
    last: Scores
    best_on_test: Scores

    @property
    def dice(self) -> np.ndarray:
        """Dice of each seed at the last checkpoint, in per cent."""
        return self.last.of("dice").mean(axis=1)

    @property
    def apart(self) -> float:
        """How far seeds lie apart in it."""
        return float(np.ptp(self.dice))

    @property
    def gain(self) -> float:
        """What choosing on the test scans adds to Dice."""
        return float(self.best_on_test.of("dice").mean() - self.last.of("dice").mean())


@cache
def row(method: str, labelled: int = 4) -> Row:
    """A method's committed runs."""
    runs = runs_of("la_half", method, labelled).values()

    def scores(selection: str) -> Scores:
        return gather([read_scores(run / selection / "scores.csv") for run in runs], "strict")

    return Row(method, labelled, scores("last"), scores("best_on_test"))


@cache
def rows() -> list[Row]:
    """All of them, the best mean Dice first, and fully labelled training at the end."""
    folders = (path for path in (TEN_METHODS / "la").glob("labelled-*/*") if path.is_dir())
    found = [row(path.name, int(path.parent.name.split("-")[1])) for path in folders]
    return sorted(found, key=lambda one: (one.labelled, -one.dice.mean()))


def title(method: str) -> str:
    """What tables call a method."""
    text = (ROOT / f"config/methods/{method}.yaml").read_text(encoding="utf-8")
    return str(yaml.safe_load(text)["title"])


Trained = tuple[str, int]  # a method, and with how many labelled scans


@cache  # asked for by each page that shows it
def lead(one: Trained, other: Trained) -> Difference:
    """By how much the first one's Dice at the last checkpoint is higher."""
    return compare(row(*one).last.of("dice"), row(*other).last.of("dice"))


def gained(one: Row) -> str:
    """What choosing on the test scans adds to Dice, with its interval over scans."""
    of_scans = one.best_on_test.of("dice").mean(axis=0) - one.last.of("dice").mean(axis=0)
    return with_interval(Difference(one.gain, *mean_interval(of_scans)))


def made_twice(place: Path, other: Path) -> str:
    """Dice of the last checkpoints of a place's runs, beside the same runs of the other's."""
    found = []
    for file in sorted(place.glob("la/labelled-4/*/seed-*/last/scores.csv")):
        dice, beside = map(mean_dice, (file, other / file.relative_to(place)))
        found.append(f"{title(file.parts[-4])} {dice:.1f} in place of {beside:.1f}")
    return ", ".join(found)


def dice_on(part: str, method: str, seed: int = 0) -> float:
    """Dice of a last checkpoint on scans of its training: the part `labelled` or `unlabelled`."""
    file = TRAINING_SCANS / f"labelled-4/{method}/seed-{seed}/{part}/scores.csv"
    return mean_dice(file)


def on_training_scans() -> str:
    """Last checkpoints on scans whose labels they learned, on others and on test scans."""
    found: list[tuple[str, int, float, float, str]] = []
    for run in TRAINING_SCANS.glob("labelled-4/*/seed-*"):
        method, seed = run.parent.name, int(run.name.removeprefix("seed-"))
        test = "not looked at"
        if (tested := TEN_METHODS / "la/labelled-4" / method / run.name / SCORES).exists():
            test = f"{mean_dice(tested):.1f}"
        labelled, unlabelled = (dice_on(part, method, seed) for part in PARTS)
        found.append((method, seed, labelled, unlabelled, test))
    lines = []
    for method, seed, labelled, unlabelled, test in sorted(found, key=lambda one: -one[3]):
        name, *changed = method.split("+")
        words = ", ".join([title(name), *(f"`{one}`" for one in changed), f"seed {seed}"])
        lines.append((words, f"{labelled:.1f}", f"{unlabelled:.1f}", test))
    return as_markdown(("run", "scans with labels", "scans without", "test scans"), lines)


def at_full_rate(method: str, iterations: int) -> int:
    """How many iterations, of a training that long, have the rate that it starts with."""
    rates = rates_of(method, iterations)
    return rates.count(rates[0])


def rates_of(method: str, iterations: int) -> list[float]:
    """The learning rates of a training that long."""
    record = TEN_METHODS / f"la/labelled-4/{method}/seed-0/record.json"
    run = Run.from_description(read_json(record, "run")["run"])
    longer = replace(run, training=replace(run.training, iterations=iterations))
    trained = new_method(longer)
    return [trained.learning_rate(iteration) for iteration in range(1, iterations + 1)]


class Comparison(NamedTuple):
    """A method against SGRS-Net, and its p after Holm's correction over all of them."""

    method: str
    difference: Difference
    p: float

    @property
    def error(self) -> float:
        """By how much other draws of the bootstrap would move p, a standard error."""
        return self.p / self.difference.p * error_of_p(self.difference.p)

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than chance, as the report and tables have it."""
        return self.p < 1 - CONFIDENCE


@cache
def comparisons(prefer_cpu: bool = False) -> list[Comparison]:
    """Every method with 4 labelled scans and several seeds, against SGRS-Net; as in the table.

    prefer_cpu: with the CPU's of those runs that were made twice, in place of the GPU's.
    """
    methods = [
        one.method
        for one in rows()
        if one.labelled == 4 and one.method != REFERENCE and len(one.dice) > 1
    ]
    dice = {name: dice_of_scans(name, prefer_cpu) for name in (REFERENCE, *methods)}
    found = [compare(dice[REFERENCE], dice[method]) for method in methods]
    return list(map(Comparison, methods, found, holm([one.p for one in found])))


def dice_of_scans(method: str, prefer_cpu: bool) -> np.ndarray:
    """Dice of last checkpoints with 4 labelled scans, in per cent: (seeds, scans)."""
    runs = [
        other if prefer_cpu and (other / SCORES).is_file() else run
        for run in runs_of("la_half", method).values()
        for other in (OTHER_HARDWARE / run.relative_to(TEN_METHODS),)
    ]
    return gather([read_scores(run / SCORES) for run in runs], "strict").of("dice")


def p_of(method: str, prefer_cpu: bool = False) -> float:
    """Of a method against SGRS-Net, corrected."""
    return next(one.p for one in comparisons(prefer_cpu) if one.method == method)


def listed(some: Sequence[Comparison]) -> str:
    """Methods, and in brackets by how much SGRS-Net is better than they are."""
    each = [f"{title(one.method)} ({with_interval(one.difference)}, p {one.p:.3f})" for one in some]
    return f"{', '.join(each[:-1])} and {each[-1]}"


def listed_p(some: Sequence[Comparison], prefer_cpu: bool) -> str:
    """p of methods among other runs."""
    p = {one.method: one.p for one in comparisons(prefer_cpu)}
    each = [f"{p[one.method]:.3f} for {title(one.method)}" for one in some]
    return f"{', '.join(each[:-1])} and {each[-1]}"


def swaps() -> list[float]:
    """How often single seeds, one of each drawn at random, swap each pair of neighbours."""
    with_few = [one.dice for one in rows() if one.labelled == 4]
    return [float((lower > upper[:, None]).mean()) for upper, lower in pairwise(with_few)]


def median_pseudo_label(method: str, seed: int, after: int) -> float:
    """The median Dice of a run's outputs on its unlabelled patches, in per cent, from its log."""
    log = pandas.read_csv(TEN_METHODS / f"la/labelled-4/{method}/seed-{seed}/log.csv")
    late = log.loc[log["iteration"] > after, "pseudo_label_dice"]
    return float(late.median()) * FACTORS["dice"]


def spread(values: np.ndarray) -> str:
    """A mean over seeds, with their standard deviation where there are several."""
    mean = f"{values.mean():.1f}"
    return mean if len(values) < 2 else f"{mean} ± {values.std(ddof=1):.1f}"


def table(columns: Sequence[str] = COLUMNS) -> str:
    """Every method, as Markdown."""
    lines = []
    corrected = {one.method: f"{one.p:.3f}" for one in comparisons()}
    for one in rows():
        compared = one.labelled == 4 and one.method != REFERENCE
        cells = (
            title(one.method), one.labelled, len(one.dice), spread(one.dice),
            ", ".join(f"{value:.1f}" for value in one.dice),
            with_interval(lead(SGRS, (one.method, 4))) if compared else "",
            corrected.get(one.method, "") if compared else "",
            spread(one.best_on_test.of("dice").mean(axis=1)),
            "–" if np.isnan(distance := one.last.of("hd95").mean()) else f"{distance:.1f}",
            f"{one.last.empty} of {one.last.of('dice').size}" if one.last.empty else "",
            published("2", one.method, one.labelled),
        )  # fmt: skip
        shown = dict(zip(COLUMNS, map(str, cells), strict=True))
        lines.append([shown[column] for column in columns])
    return as_markdown(columns, lines)


def pages() -> dict[Path, str]:
    """Each page and table with numbers of these results, as it should be."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    shown = (
        row,
        rows,
        comparisons,
        listed_p,
        listed,
        spread,
        table,
        dice_on,
        at_full_rate,
        swaps,
        median_pseudo_label,
        published,
        dice_of,
        on_training_scans,
        between_forms,
        between_seeds,
        ends_of_pseudo_labels,
        parts_table,
        published_lead,
        further_ablated,
        lead,
        gained,
        with_interval,
    )
    environment.globals.update({one.__name__: one for one in shown}, IN_FINDINGS=IN_FINDINGS)
    made = {page: environment.get_template(name).render() for page, name in TEMPLATES.items()}
    found = {**made, **reference_tables()}
    tables = {
        README: table(IN_README),
        TEN_METHODS / "README.md": table(COLUMNS),
        FORMS: equations(),
        ABLATIONS / "README.md": ablations(),
    }
    for path, text in tables.items():
        before, after = BETWEEN.split(path.read_text(encoding="utf-8"))
        found[path] = f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
    return found


def draw(path: Path) -> None:
    """Dice of every seed and the mean of each method, at the last checkpoint."""
    shown = rows()[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(shown) + 0.9), layout="constrained")
    for place, one in enumerate(shown):
        colour = "C3" if one.method == REFERENCE else "0.35"
        axes.plot(one.dice, [place] * len(one.dice), "o", color=colour, alpha=0.7, markersize=6)
        axes.plot(one.dice.mean(), place, "|", color=colour, markersize=16, markeredgewidth=2)
    names = [f"{title(one.method)}, {one.labelled} labelled" for one in shown]
    axes.set_yticks(range(len(shown)), names)
    axes.set_xlabel("Dice (%) at the last checkpoint; points: seeds, strokes: their means")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    for page, text in pages().items():
        write_text(page, text)
    draw(FIGURE)
    draw_pseudo_labels(PSEUDO_LABELS)
    draw_ablations()
    draw_thresholds()
