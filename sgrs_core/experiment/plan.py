"""An experiment as the workflow sees it: which runs its tables and figures are made of.

A run is a point: data set, number of labelled scans, method with settings, seed. Its name says so,
and two tables that need the same point share one run.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from sgrs_core.experiment import schema
from sgrs_core.experiment.configuration import Place
from sgrs_core.experiment.originals import patient_of
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import PUBLISHED_TAU, Selection
from sgrs_core.experiment.splits import SplitLists, base_of

# Tables about the tables: no table or figure of an experiment has these names.
COST = "cost"
SELECTION_GAIN = "selection_gain"


class Point(NamedTuple):
    """One run. dataset: or a fold of one. variant: the method's name, then the settings that differ
    from its file's.
    """

    dataset: str
    labelled: int
    variant: str
    seed: int

    @classmethod
    def of(cls, wildcards: Any) -> Self:
        """The run that a path's wildcards name."""
        labelled, seed = int(wildcards.labelled), int(wildcards.seed)
        return cls(wildcards.dataset, labelled, wildcards.variant, seed)


class Entry(NamedTuple):
    """One line of a table: a row at one number of labelled scans, a point per seed and fold."""

    row: schema.Row
    labelled: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Plan:
    """A checked experiment with everything its files refer to."""

    root: Path
    experiment: schema.Experiment
    splits: Mapping[str, SplitLists]  # of data sets, and of their folds
    methods: Mapping[str, schema.MethodFile]
    method_places: Mapping[str, Place]
    # The SHA-256 of the files of those that are in files of one's own.
    sources: Mapping[str, str]
    tables: Mapping[str, schema.Table]
    # Of which only figures are made, which show what a filter leaves of them.
    followed: Mapping[str, schema.Table]
    figures: Mapping[str, schema.Figure]
    # Data sets whose scans, lists and resolution are those of the published numbers.
    comparable: frozenset[str]
    # Of tables and figures by name, and of `datasets.<name>.methods.<name>`.
    places: Mapping[str, Place]
    # What the experiment's own files wrote of each data set; it goes over recipes.
    written: Mapping[str, Mapping[str, Any]]

    @property
    def sheets(self) -> dict[str, schema.Table | schema.Figure]:
        """All tables and figures by name."""
        return {**self.tables, **self.figures}

    def dataset(self, name: str) -> schema.Dataset:
        """The data set of a name, or the one that a fold is of."""
        return self.experiment.datasets[base_of(name)]

    def folds(self, name: str) -> list[str]:
        """The names of a data set's folds; without folds, its own."""
        return [f"{name}/fold-{one}" for one in range(self.dataset(name).folds or 0)] or [name]

    def tested(self, name: str) -> int:
        """How many scans a data set's runs are tested on, those of all folds together."""
        lists = [self.splits[fold] for fold in self.folds(name)]
        return sum(len(fold.present(fold.test)) for fold in lists)

    @cached_property
    def rows(self) -> dict[Point, schema.Row]:
        """The rows of all runs."""
        return {
            point: entry.row
            for name in self.sheets
            for entry in self.entries(name)
            for point in entry.points
        }

    def wanted(self, name: str) -> schema.TableFilter | schema.FigureFilter:
        """What an experiment's own files say of a table or figure."""
        return self.experiment.tables.get(name) or self.experiment.figures[name]

    def entries(self, name: str) -> list[Entry]:
        """The lines of a table or figure that this experiment runs."""
        entries = self.entries_among(self.sheets[name], self.wanted(name))
        return [entry for entry in entries if self._table_wants(name, entry)]

    def _table_wants(self, name: str, entry: Entry) -> bool:
        """Whether a figure's line is run in the table that its rows are of, or is not of it.

        What the figure's own filter says of a key goes over the table's.
        """
        sheet = self.sheets[name]
        if not isinstance(sheet, schema.Figure):
            return True
        table = {**self.tables, **self.followed}.get(sheet.rows_of or "")
        if table is None or table.dataset != sheet.dataset:
            return True
        wanted, own = self.experiment.tables[sheet.rows_of or ""], self.experiment.figures[name]
        followed = wanted.model_dump(include=set(schema.Filter.model_fields) - own.model_fields_set)
        is_of_table = entry.row.variant in table.variants
        return not is_of_table or schema.Filter(**followed).wants(entry.row, entry.labelled)

    def entries_among(self, sheet: schema.Sheet, wanted: schema.Filter) -> list[Entry]:
        """The lines of a table or figure that a filter lets through."""
        folds = self.folds(sheet.dataset)  # all of a seed together
        replicates = [(fold, seed) for seed in self.experiment.seeds for fold in folds]
        entries = []
        for row in sheet.rows:
            for labelled in filter(partial(wanted.wants, row), row.labelled):
                name = variant_of(row)
                points = (Point(fold, labelled, name, seed) for fold, seed in replicates)
                entries.append(Entry(row, labelled, tuple(points)))
        return entries

    def used_labels(self, name: str) -> list[str]:
        """The scans of a data set whose labels some run or score uses."""
        used: list[str] = []
        for fold in self.folds(base_of(name)):
            lists = self.splits[fold]
            most = max((point.labelled for point in self.rows if point.dataset == fold), default=0)
            used += [*lists.labelled(most), *lists.present(lists.test)]
            if "best_on_validation" in self.selections(fold):
                used += lists.present(lists.validation)
        return list(dict.fromkeys(used))

    def selections(self, name: str) -> list[Selection]:
        """The ways of choosing a checkpoint on a data set."""
        return self.dataset(name).selections or self.experiment.selections

    def download(self, name: str) -> dict[str, Any]:
        """What is fetched of a data set, and from where."""
        dataset = self.dataset(name)
        if not dataset.downloads_originals:
            return dataset.model_dump(include={"mirror"})
        archives = dataset.model_dump(include={"tcia", "idc", "labels", "label_files"})
        return {**archives, "patients": [patient_of(one) for one in self.splits[name].scans()]}

    def preparation(self, name: str) -> dict[str, Any]:
        """How a data set's scans are prepared: whatever changes this prepares them anew."""
        dataset = self.dataset(name)
        how: dict[str, Any]
        if dataset.has_original_files:
            how = {"format": dataset.format, "options": dataset.options()}
        else:
            how = {
                "prepared_file": dataset.prepared_file,
                "spacing": dataset.spacing,
                "axes": dataset.prepared_axes,
            }
        return {**how, "downsample": dataset.downsample}

    def preparation_of_new(self, name: str) -> dict[str, Any]:
        """What a model must know of a data set to predict scans that the set does not hold.

        geometry: whether its prepared scans carry their own; see `input_spec_of`.
        """
        dataset = self.dataset(name)
        axes = dataset.prepared_axes
        return {
            **({} if axes == "xyz" else {"axes": axes}),
            "format": dataset.format,
            "geometry": dataset.has_original_files,
            "downsample": dataset.downsample,
            "nifti": asdict(dataset.custom) if dataset.custom else {},
        }

    def recipe(self, dataset: str, row: schema.Row) -> schema.Recipe | None:
        """The authors' recipe by which a row is run on a data set; None where it is `shared`."""
        if (row.recipe or self.experiment.recipe) == "shared":
            return None
        return self.methods[row.method].official.get(base_of(dataset))

    def recipe_name(self, dataset: str, row: schema.Row) -> schema.RecipeName:
        """By which recipe a row is run."""
        return "shared" if self.recipe(dataset, row) is None else "official"

    def settings(self, dataset: str, row: schema.Row, labelled: int) -> dict[str, Any]:
        """What a row's method is told.

        Its file's settings, the data set's, the recipe's, the experiment's, the row's: later ones
        win.
        """
        recipe, here = self.recipe(dataset, row), self.dataset(dataset).methods
        written = self.written.get(base_of(dataset), {}).get("methods", {})
        return {
            **self.methods[row.method].settings,
            **here.get(row.method, {}),
            **(recipe.settings_for(labelled) if recipe else {}),
            **written.get(row.method, {}),
            **row.settings,
        }

    def tau(self, entry: Entry) -> float:
        """The entropy threshold of an entry, as its settings say; else the paper's."""
        dataset = entry.points[0].dataset
        return self.settings(dataset, entry.row, entry.labelled).get("tau", PUBLISHED_TAU)

    def layered(
        self, group: Literal["training", "inference"], dataset: str, row: schema.Row
    ) -> dict[str, Any]:
        """How a row trains or predicts: data set, recipe, experiment, row; later ones win."""
        recipe = self.recipe(dataset, row)
        return {
            **asdict(getattr(self.dataset(dataset), group)),
            **(getattr(recipe, group) if recipe else {}),
            **self.written.get(base_of(dataset), {}).get(group, {}),
            **getattr(row, group),
        }

    def title(self, row: schema.Row) -> str:
        """What tables and figures call a row."""
        return row.title or self.methods[row.method].called

    @cached_property
    def titles(self) -> dict[Point, str]:
        """What people call the row of each run.

        A table of ablations may call the plain method by what it is a case of there; it keeps its
        own. Where rows of several tables share a title, the others have their variant behind it.
        """
        titles = {
            point: self.methods[row.method].called
            if point.variant == row.method
            else self.title(row)
            for point, row in self.rows.items()
        }
        named = Counter((*point[:2], point.seed, title) for point, title in titles.items())
        return {
            point: f"{title} ({point.variant})"
            if named[*point[:2], point.seed, title] > 1 and point.variant != self.rows[point].method
            else title
            for point, title in titles.items()
        }

    def dataset_title(self, name: str) -> str:
        """What people call a data set, or one of its folds, in a line with other words."""
        title = short(self.dataset(name).title)
        fold = name.removeprefix(base_of(name)).strip("/").replace("-", " ")
        return f"{title}, {fold}" if fold else title

    def label(self, point: Point) -> str:
        """What people call a run."""
        dataset = self.dataset_title(point.dataset)
        return f"{self.titles[point]}, {dataset}, {point.labelled} labelled, seed {point.seed}"

    def published_selection(self, dataset: str, row: schema.Row) -> Selection | None:
        """How the published number that a row stands beside was chosen; None: there is none.

        On phantoms, other lists of scans or another resolution no published number may stand.
        """
        if dataset not in self.comparable:
            return None
        official = self.methods[row.method].official.get(dataset)
        return official.selection if official else self.dataset(dataset).published_selection

    def note_of(self, name: str) -> str:
        """What is printed with a table or figure."""
        sheet = self.sheets[name]
        dataset, absent = self.dataset(sheet.dataset), ", ".join(self.splits[sheet.dataset].absent)
        missing = (
            f"Without {absent}, {dataset.withdrawn.why}." if dataset.withdrawn and absent else ""
        )
        notes = (sheet.note, self.experiment.note, dataset.note, missing)
        return " ".join(note.strip() for note in notes if note)

    def warnings(self) -> list[str]:
        """What a user should know before the first job.

        Keys that are not read, scans that no longer exist, trainings too short for what their other
        settings say, and official recipes without the checkpoint that is theirs.
        """
        unread = [
            f"{name}: {key} = {getattr(one, key)} is not read, because {why}"
            for name, one in self.experiment.datasets.items()
            for key, why in self._not_read(name)
            if self.written[name].get(key) is not None
        ]
        absent = [
            f"{name}: {len(lists.absent)} of {sum(map(len, lists[:3]))} scans are left out, "
            f"{', '.join(lists.absent)}: {withdrawn.why}"
            for name in self.experiment.datasets
            if (lists := self.splits[name]).absent and (withdrawn := self.dataset(name).withdrawn)
        ]
        lacking: dict[tuple[str, Selection], dict[str, None]] = {}
        for point, row in self.rows.items():
            recipe = self.recipe(point.dataset, row)
            if recipe and recipe.selection not in self.selections(point.dataset):
                lacking.setdefault((point.dataset, recipe.selection), {})[row.method] = None
        return (
            unread
            + absent
            + self._of_short_trainings()
            + [
                f"{dataset}: the official recipes of {', '.join(methods)} choose the checkpoint "
                f"{selection}, which is not among selections: their tables show others"
                for (dataset, selection), methods in lacking.items()
            ]
        )

    def _not_read(self, name: str) -> Iterator[tuple[str, str]]:
        """Keys of a data set that its other keys make nothing read, and because of what."""
        dataset, lists = self.dataset(name), self.splits[name]
        of_prepared = ("prepared_file", "prepared_axes")
        keys = [*(of_prepared if dataset.has_original_files else schema.OF_PANCREAS)]
        if dataset.source not in ("raw", "local"):
            keys.append("folder")
        yield from ((key, f"source = {dataset.source}") for key in keys)
        if "best_on_validation" not in self.selections(name):
            yield "validation_scans", "best_on_validation is not among selections"
        elif lists.present(lists.validation):
            yield "validation_scans", "splits.validation has a list"

    def _of_short_trainings(self) -> list[str]:
        """Weights that never get far, and ways of choosing a checkpoint with only one to choose."""
        alike: dict[tuple[str, str], dict[str, None]] = {}
        for point, row in self.rows.items():
            chosen = [one for one in self.selections(point.dataset) if one != "last"]
            training = self.layered("training", point.dataset, row)
            iterations, ramp, first, every = (
                training[key]
                for key in ("iterations", "ramp_iterations", "selection_from", "selection_every")
            )
            texts = []
            if ramp > iterations and self.splits[point.dataset].unlabelled(point.labelled):
                texts.append(
                    f"the weight of unlabelled scans grows over ramp_iterations = {ramp}, and the "
                    f"training ends before, after iterations = {iterations}; in the paper it "
                    "grows over 40% of them"
                )
            if chosen and -(-first // every) * every >= iterations:
                texts.append(
                    f"{' and '.join(chosen)} can only be the last checkpoint: of {iterations} "
                    f"iterations, those from {first} on compete, every {every} (selection_from, "
                    "selection_every)"
                )
            for text in texts:
                alike.setdefault((base_of(point.dataset), text), {})[point.variant] = None
        warnings = []
        for (name, text), variants in alike.items():
            everyone = {one.variant for one in self.rows if base_of(one.dataset) == name}
            of = f"of {', '.join(variants)}, " if variants.keys() < everyone else ""
            warnings.append(f"{name}: {of}{text}")
        return warnings

    def run(self, point: Point) -> Run:
        """The run of a point."""
        dataset, lists = self.dataset(point.dataset), self.splits[point.dataset]
        row = self.rows[point]
        labelled, validation = lists.labelled(point.labelled), lists.present(lists.validation)
        selections = self.selections(point.dataset)
        if "best_on_validation" in selections and not validation:
            kept = len(labelled) - dataset.validation_scans
            labelled, validation = labelled[:kept], labelled[kept:]
        test = lists.present(lists.test)
        judges = {"last": (), "best_on_test": test, "best_on_validation": validation}
        described = {
            "method": self.methods[row.method].method,
            "recipe": self.recipe_name(point.dataset, row),
            "settings": self.settings(point.dataset, row, point.labelled),
            "training": self.layered("training", point.dataset, row),
            "inference": self.layered("inference", point.dataset, row),
            "seed": point.seed,
            "labelled": labelled,
            "unlabelled": lists.unlabelled(point.labelled),
            "absent": lists.absent,
            "source_sha256": self.sources.get(row.method),
            "selection_scans": {name: judges[name] for name in selections},
        }
        return Run.from_description(described)


def variant_of(row: schema.Row) -> str:
    """A folder name: `sgrs`, `sgrs+delta=con+theta=con`, `dtc+recipe=official`.

    Snakemake hands it to the jobs of a cluster as one of several values between commas.
    """
    parts = [row.method]
    groups = {"": row.settings, "training.": row.training, "inference.": row.inference}
    for prefix, group in groups.items():
        parts += [f"{prefix}{key}={_short(value)}" for key, value in sorted(group.items())]
    return "+".join(parts if row.recipe is None else [*parts, f"recipe={row.recipe}"])


def _short(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def short(title: str) -> str:
    """The abbreviation in a data set's title, `LA` in `Left atrium (LA)`; else the title."""
    found = re.search(r"\(([A-Z0-9]{2,})\)$", title)
    return found[1] if found else title
