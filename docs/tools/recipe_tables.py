"""The tables of recipes in docs/methods, made from the configuration.

    python docs/tools/recipe_tables.py

A page of a method holds its own between two marks.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sgrs_core.experiment.plan import Entry, Plan
from sgrs_core.experiment.planning import load_plan
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.schema import Recipe
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.files import write_text
from sgrs_core.methods import METHODS, new_method

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- made by docs/tools/recipe_tables.py -->", "<!-- end -->"
BETWEEN = re.compile(f"{BEGIN}.*?{END}", re.DOTALL)
COMPARISONS = ("table2", "table3", "table4")  # the paper's three data sets, all methods
COLUMNS = (
    "data set, labelled", "recipe", "iterations", "patches", "turns, flips", "learning rate",
    "settings", "strides", "largest component", "checkpoint",
)  # fmt: skip
HEAD = f"| {' | '.join(COLUMNS)} |\n" + "| --- " * len(COLUMNS) + "|"
NONE = "| official | none published: as shared |" + " |" * (len(COLUMNS) - 3)
FEW = 8  # different learning rates that can be listed


def pages() -> dict[Path, str]:
    """Each page of docs/methods with marks in it, as it should be."""
    found = {}
    for path in sorted((ROOT / "docs/methods").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if BEGIN in text:
            table = f"{BEGIN}\n\n{recipe_table(path.stem)}\n\n{END}"
            found[path] = BETWEEN.sub(lambda match, table=table: table, text)  # type: ignore[misc]
    return found


def recipe_table(method: str) -> str:
    """Both recipes of a method on the paper's data sets, as Markdown."""
    lines = [HEAD]
    for sheet in COMPARISONS:
        for recipe in ("shared", "official"):
            plan = paper(recipe)
            entries = [entry for entry in plan.entries(sheet) if entry.row.method == method]
            described: dict[str, list[str]] = {}
            for entry in entries:
                if recipe == plan.recipe_name(entry.points[0].dataset, entry.row):
                    described.setdefault(describe(plan, entry), []).append(str(entry.labelled))
            dataset = plan.dataset(plan.tables[sheet].dataset).title
            if not described:
                lines.append(f"| {dataset} {NONE}")
            for text, labelled in described.items():
                lines.append(f"| {dataset}, {', '.join(labelled)} | {recipe} | {text} |")
    return "\n".join(lines)


@cache
def paper(recipe: str) -> Plan:
    """The paper's experiment by one recipe; BraTS2019 is not looked for."""
    file = ROOT / "config/paper.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    values["datasets"]["brats2019"]["folder"] = "."
    return load_plan({**values, "recipe": recipe}, [file], ROOT / "config")


def describe(plan: Plan, entry: Entry) -> str:
    """The cells of a line after its recipe."""
    point = entry.points[0]
    run = plan.run(point)
    training = run.training
    written = plan.methods[entry.row.method].settings
    settings = {name: run.settings[name] for name in run.settings if name not in written}
    unlabelled = training.unlabelled_patches if METHODS[run.method].uses_unlabelled else 0
    cells = (
        f"{training.iterations:,}",
        f"{training.labelled_patches} + {unlabelled}",
        "yes" if training.augmentation == "rotate_flip" else "no",
        learning_rates(run),
        ", ".join(f"`{name}: {_shown(value)}`" for name, value in settings.items()) or "–",
        strides(run.inference),
        "kept alone" if run.inference.largest_component else "–",
        checkpoint(plan.recipe(point.dataset, entry.row), training),
    )
    return " | ".join(cells)


def strides(inference: InferenceSettings) -> str:
    """Of a run's windows, and of those with which a checkpoint is chosen, where they differ."""
    last, choosing = _shown(inference.stride), _shown(inference.selection_stride)
    return last if last == choosing else f"{last}; choosing {choosing}"


def checkpoint(recipe: Recipe | None, training: TrainingSettings) -> str:
    """How a recipe chooses it, and at which iterations."""
    if recipe is None:
        return "the experiment's"
    if recipe.selection == "last":
        return "`last`"
    when = f"every {training.selection_every:,} from {training.selection_from:,}"
    return f"`{recipe.selection}`, {when}"


def learning_rates(run: Run) -> str:
    """The rates of a run's steps, in words."""
    method = new_method(replace(run, training=replace(run.training, base_filters=1)))
    values = [method.learning_rate(t + 1) for t in range(run.training.iterations)]
    changes = [t for t in range(1, len(values)) if values[t] != values[t - 1]]
    if len(changes) < FEW:
        return ", ".join([f"{values[0]:g}", *(f"{values[t]:g} from {t + 1:,}" for t in changes)])
    return f"between {max(values):g} and {round(min(values), 6):g}, another in every iteration"


def _shown(value: Any) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, list | tuple) else f"{value}"


if __name__ == "__main__":
    for page, text in pages().items():
        write_text(page, text)
