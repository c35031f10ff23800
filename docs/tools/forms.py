"""Committed runs on real scans, and the table of equations: forms of SGRS-Net, one by one."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import pandas

from sgrs_core.evaluation.units import FACTORS
from sgrs_core.experiment.planning import load_files
from sgrs_core.files import read_json
from sgrs_core.reporting.scores import gather, read_scores

ROOT = Path(__file__).parents[2]
REFERENCE_RUNS = ROOT / "results/reference"
TEN_METHODS = REFERENCE_RUNS / "la_half_ten_methods"
OTHER_HARDWARE = REFERENCE_RUNS / "la_half_other_hardware"
EQUATIONS, ABLATIONS = REFERENCE_RUNS / "equations", REFERENCE_RUNS / "ablations"
PLACES = {  # where an experiment's runs lie; of a run that lies in several, the last one counts
    "la_half": (TEN_METHODS,),
    "equations": (TEN_METHODS, OTHER_HARDWARE, EQUATIONS),
    "ablations": (TEN_METHODS, OTHER_HARDWARE, ABLATIONS),
}
PSEUDO_LABELS = EQUATIONS / "figures/pseudo_labels.png"
LOST = 1  # a Dice, in per cent, below which pseudo labels are background, as good as everywhere
SCORES = "last/scores.csv"
NOT_RUN, NOT_PRINTED = "not run yet", "–"


def mean_dice(file: Path) -> float:
    """The mean Dice of a score file, in per cent."""
    return float(gather([read_scores(file)], "strict").of("dice").mean())


class Line(NamedTuple):
    """A row of a table or figure, and its runs by seed."""

    variant: str
    title: str
    runs: dict[int, Path]

    def dice(self, seed: int = 0) -> float:
        """Dice at the last checkpoint, in per cent."""
        return mean_dice(self.runs[seed] / SCORES)

    def cell(self, seed: int = 0) -> str:
        """The same for a table; nothing where it was not run."""
        return f"{self.dice(seed):.1f}" if seed in self.runs else ""


def runs_of(experiment: str, variant: str, labelled: int = 4) -> dict[int, Path]:
    """The committed runs of an experiment's variant, by seed.

    Those of the equations and the ablations were all made on a CPU; whole forms, which stand among
    the ten methods' runs, were not run again.
    """
    runs = (
        run
        for place in PLACES[experiment]
        for run in sorted((place / f"la/labelled-{labelled}/{variant}").glob("seed-*"))
        if experiment == "la_half" or on_cpu(run)
    )
    found = {int(run.name.removeprefix("seed-")): run for run in runs}
    return dict(sorted(found.items()))


@cache
def lines_of(experiment: str, sheet: str) -> list[Line]:
    """The rows of a table or figure, as far as they were run."""
    plan = load_files([ROOT / f"config/{experiment}.yaml"], ROOT / "config")
    return [
        Line(
            entry.row.variant,
            entry.row.title or entry.row.variant,
            runs_of(experiment, entry.points[0].variant),
        )
        for entry in plan.entries(sheet)
    ]


def on_cpu(run: Path) -> bool:
    """Whether a run was made without a GPU, as its record says."""
    record = read_json(run / "record.json", "training")
    return bool(record["training"]["device"] == "cpu")


def one_at_a_time() -> dict[str, dict[int, Path]]:
    """The runs of each line of the table of equations, by its title, by seed."""
    return {line.title: line.runs for line in lines_of("equations", "table_equations")}


def dice_of(line: str, seed: int = 0) -> float:
    """Dice of a line of the table of equations at its last checkpoint."""
    return mean_dice(one_at_a_time()[line][seed] / SCORES)


@cache
def of_pseudo_labels(run: Path) -> pandas.Series:
    """Dice of a run's pseudo labels with the truth, which it did not see, by its iteration.

    In per cent, the mean over the 200 iterations before.
    """
    log = pandas.read_csv(run / "log.csv").set_index("iteration")
    rows = 200 // int(log.index[1] - log.index[0])
    smooth: pandas.Series = log["pseudo_label_dice"].rolling(rows, min_periods=1).mean()
    return smooth * FACTORS["dice"]


def lowest(run: Path) -> float:
    """Their lowest Dice after iteration 500, from when on they gain weight."""
    curve = of_pseudo_labels(run)
    return float(curve[curve.index > 500].min())


def as_markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def equations() -> str:
    """The table of equations, as far as it was run."""
    columns = (
        "one difference turned over", "Dice", "of seed 1",
        "Dice of the pseudo labels after iteration 500, at the lowest", "… at the end",
    )  # fmt: skip
    rows = []
    for line in lines_of("equations", "table_equations"):
        cells = [NOT_RUN, "", ""]
        if 0 in line.runs:
            late = of_pseudo_labels(line.runs[0]).iloc[-1]
            cells = [line.cell(), f"{lowest(line.runs[0]):.1f}", f"{late:.1f}"]
        rows.append([line.title, cells[0], line.cell(1), *cells[1:]])
    return as_markdown(columns, rows)


@cache
def published(table: str | None, variant: str, labelled: int = 4) -> str:
    """The paper's Dice of a row."""
    printed = pandas.read_csv(ROOT / "config/published.csv", dtype=str)
    is_this = (printed["table"] == table) & (printed["variant"] == variant)
    found = printed.loc[is_this & (printed["labelled"] == str(labelled)), "dice"]
    return str(found.iloc[0]) if len(found) else NOT_PRINTED


def draw_pseudo_labels(path: Path) -> None:
    """Dice of the pseudo labels over the iterations, for each line of the table of equations.

    Forms that lose them are grey, but for the printed one.
    """
    figure, axes = plt.subplots(figsize=(9, 4.4), layout="constrained")
    runs = {line: runs[0] for line, runs in one_at_a_time().items() if 0 in runs}
    ends = {"Printed equations": "C3", "Code of 2025": "black"}
    colours = iter(["#56b4e9", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#999933"])
    for line in sorted(runs, key=dice_of, reverse=True):
        style: dict[str, Any]
        if line in ends:
            style = {"color": ends[line], "linewidth": 2.4}
        elif lowest(runs[line]) < LOST:
            style = {"color": "0.75", "zorder": 1}
        else:
            style = {"color": next(colours)}
        axes.plot(of_pseudo_labels(runs[line]), label=f"{line}: {dice_of(line):.1f}", **style)
    axes.margins(x=0)
    axes.set_xlabel("iteration")
    axes.set_ylabel("pseudo labels' Dice (%), over 200 iterations")
    axes.legend(title="Dice at the end", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
