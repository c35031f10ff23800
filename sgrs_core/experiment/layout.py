"""Where everything lies, and what each job of the workflow needs and makes.

The rules hold patterns with wildcards; the functions here answer the questions a rule asks about a
path: which run is it, which scans does that run read, which score files stand behind a table.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgrs_core.experiment.plan import COST, SELECTION_GAIN, Entry, Plan, Point
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.schema import SHOWING_SCANS, FigureKind, Filter
from sgrs_core.experiment.splits import PARTS, base_of

if TYPE_CHECKING:  # jobs need no Snakemake for the rest
    from snakemake.io import Wildcards


class Layout:
    """The paths of one experiment, as patterns (attributes) and as answers (methods)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.results = f"results/{plan.experiment.experiment}"
        self.logs = f"{self.results}/logs"
        self.downloads = f"{plan.experiment.data_folder}/{{dataset}}/{{source}}"
        self.complete = f"{self.downloads}/complete-{{asked}}.txt"
        self.phantoms = f"{self.results}/phantoms/{{dataset}}"
        self.volume = f"{self.results}/volumes/{{dataset}}/{{scan}}.h5"
        self.prepared = f"{self.results}/volumes/{{dataset}}.{{part}}.sha256"
        self.run = f"{self.results}/{{dataset}}/labelled-{{labelled}}/{{variant}}/seed-{{seed}}"
        self.selected = f"{self.run}/{{selection}}"
        self.unfinished = f"{self.run}/unfinished"
        self.model = f"{self.run}/model.pt"
        self.training_log = f"{self.run}/log.csv"
        self.record = f"{self.run}/record.json"
        self.evaluation_benchmark = f"{self.selected}/benchmark.tsv"
        self.scores = f"{self.selected}/scores.csv"
        self.predictions = f"{self.selected}/predictions"
        self.table = f"{self.results}/tables/{{table}}"
        self.cost = f"{self.results}/tables/{COST}"
        self.selection_gain = f"{self.results}/tables/{SELECTION_GAIN}"
        self.figure = f"{self.results}/figures/{{figure}}"
        self.report = f"{self.results}/report.html"
        self.findings = f"{self.results}/findings.md"

    def outputs(self, name: str) -> list[str]:
        """The files of one table or figure; pages show a table's first and a figure's last."""
        if name in self.plan.tables:
            return [f"{self.results}/tables/{name}.{kind}" for kind in ("csv", "md", "tex")]
        return [f"{self.results}/figures/{name}.{kind}" for kind in ("pdf", "png")]

    def outputs_of_cost(self) -> list[str]:
        """The files of the cost table, where there is a table that costs something."""
        return [f"{self.cost}.{kind}" for kind in ("csv", "md")] if self.plan.tables else []

    def sources(self, wildcards: "Wildcards") -> list[str]:
        """What a scan is prepared from; of a download, the proof that all of it is there."""
        name, scan = wildcards.dataset, wildcards.scan
        dataset, folder = self.plan.dataset(name), self.source_folder(name)
        if dataset.source == "phantom":
            return [folder]
        if dataset.is_downloaded:
            # Experiments that share a folder may want other scans of it.
            asked = hashlib.sha256(repr(self.plan.download(name)).encode()).hexdigest()[:12]
            return [self.complete.format(dataset=name, source=dataset.source, asked=asked)]
        return dataset.files_of(scan)

    def source_folder(self, name: str) -> str:
        """Where a data set's source files lie: made up, downloaded, or given by the user."""
        dataset = self.plan.dataset(name)
        if dataset.source == "phantom":
            return self.phantoms.format(dataset=name)
        if dataset.is_downloaded:
            return self.downloads.format(dataset=name, source=dataset.source)
        return str(dataset.folder)

    def volumes(self, dataset: str, scans: Sequence[str]) -> list[str]:
        """The prepared files of some scans; all folds have the same ones."""
        return [self.volume.format(dataset=base_of(dataset), scan=scan) for scan in scans]

    def volumes_of_part(self, dataset: str, part: str) -> list[str]:
        """The prepared files of the scans of one of a data set's PARTS."""
        lists = self.plan.splits[dataset]
        return self.volumes(dataset, lists.present(getattr(lists, part)))

    def volumes_of_other_parts(self, dataset: str, part: str) -> list[str]:
        """Those of the other parts."""
        return [file for one in PARTS if one != part for file in self.volumes_of_part(dataset, one)]

    def point_of(self, wildcards: "Wildcards") -> Point:
        """The run that a path belongs to. Raises ValueError where the experiment has none such."""
        point = Point.of(wildcards)
        if point not in self.plan.rows:
            counts = {one.labelled for one in self.plan.rows if one.dataset == point.dataset}
            others = {one.variant for one in self.plan.rows if one[:2] == point[:2]}
            has = f"{', '.join(sorted(others))}, with seeds {self.plan.experiment.seeds}"
            if not others:
                has = f"none; its numbers of labelled scans are {sorted(counts)}"
            raise ValueError(
                f"no table or figure of this experiment has a run {point.variant}, seed "
                f"{point.seed}; of {point.dataset} with {point.labelled} labelled scans it has "
                f"{has}"
            )
        return point

    def run_of(self, wildcards: "Wildcards") -> Run:
        """What defines that run."""
        return self.plan.run(self.point_of(wildcards))

    def predicting_of(self, wildcards: "Wildcards") -> dict[str, Any]:
        """The part of how a run predicts whose change evaluates anew."""
        return self.run_of(wildcards).predicting

    def volumes_of_run(self, wildcards: "Wildcards") -> list[str]:
        """The prepared scans that a run may read."""
        return self.volumes(wildcards.dataset, self.run_of(wildcards).scans)

    def prepared_for_run(self, wildcards: "Wildcards") -> list[str]:
        """What a run learns from and is chosen by: lists of prepared files, and missing files.

        Before a training all lists are asked for: they are written when their scans can serve.
        """
        finished = Path(self.record.format(**vars(wildcards))).exists()
        scans = self.run_of(wildcards).scans
        return self._prepared(wildcards.dataset, scans, () if finished else PARTS)

    def prepared_for_test(self, wildcards: "Wildcards") -> list[str]:
        """What an evaluation reads, likewise."""
        lists = self.plan.splits[wildcards.dataset]
        return self._prepared(wildcards.dataset, lists.present(lists.test))

    def _prepared(self, name: str, scans: Sequence[str], parts: Sequence[str] = ()) -> list[str]:
        """The lists of these parts and of those that have these scans, and missing files.

        A list stands for its files. Of missing ones a job that is to be done asks for one, after
        which the list is made again, and that needs all of them; a job that is done needs none.
        """
        # One look into the folder, not one for each of hundreds of files of each run.
        folder = Path(*self.volumes(name, [""])).parent
        there = {file.stem for file in folder.glob("*.h5")}
        needed = []
        for part in PARTS:
            listed = getattr(self.plan.splits[name], part)
            read = set(scans).intersection(listed)
            missing = [scan for scan in listed if scan in read and scan not in there]
            if read or (listed and part in parts):
                path = self.prepared.format(dataset=name, part=part)
                needed += [path, *self.volumes(name, missing[:1])]
        return needed

    def lines_of_table(self, name: str) -> list[dict[str, Any]]:
        """A table line by line, as `build_table` takes it.

        Rows that this experiment does not run stand there too, without score files: a published
        number may.
        """
        table, wanted = self.plan.tables[name], self.plan.entries(name)
        selections = self.plan.selections(table.dataset)
        lines = [
            {
                "variant": entry.row.variant,
                "title": self.plan.title(entry.row),
                "labelled": entry.labelled,
                "folds": len(self.plan.folds(table.dataset)),
                "recipe": self.plan.recipe_name(table.dataset, entry.row),
                "published": entry.row.published or entry.row.variant,
                "published_selection": self.plan.published_selection(table.dataset, entry.row),
                "reference": entry.row.variant == table.reference,
                "upper_bound": entry.row.variant == table.upper_bound
                and entry.labelled == table.most_labelled,
                "scores": self._scores(entry, selections) if entry in wanted else {},
            }
            for entry in self.plan.entries_among(table, Filter())
        ]
        return with_distinct_titles(lines)

    def lines_of_selection_gain(self) -> list[dict[str, Any]]:
        """Each run of the tables once, with its score files under `last` and `best_on_test`."""
        lines: dict[tuple[str, int, str], dict[str, Any]] = {}
        for name, table in self.plan.tables.items():
            if not set(GAIN) <= set(self.plan.selections(table.dataset)):
                continue
            for entry in self.plan.entries(name):
                point = entry.points[0]._replace(dataset=table.dataset)
                lines[point[:3]] = {
                    "dataset": point.dataset,
                    "labelled": point.labelled,
                    "method": point.variant,
                    "folds": len(self.plan.folds(table.dataset)),
                    **self._scores(entry, GAIN),
                }
        return list(lines.values())

    def scores_of_selection_gain(self) -> list[str]:
        """All score files behind the table of what choosing on the test scans adds."""
        lines = self.lines_of_selection_gain()
        return [file for line in lines for selection in GAIN for file in line[selection]]

    def outputs_of_selection_gain(self) -> list[str]:
        """The files of that table; none where no checkpoint is chosen on test scans."""
        if not self.lines_of_selection_gain():
            return []
        return [f"{self.selection_gain}.{kind}" for kind in ("csv", "md")]

    def scores_of_table(self, name: str) -> list[str]:
        """All score files behind a table."""
        lines = self.lines_of_table(name)
        return [file for line in lines for files in line["scores"].values() for file in files]

    def lines_of_cost(self) -> list[dict[str, Any]]:
        """Every line of every table: its runs' records, and the benchmarks of their evaluations."""
        return [
            {
                "table": name,
                "method": entry.row.variant,
                "recipe": self.plan.recipe_name(self.plan.tables[name].dataset, entry.row),
                "labelled": entry.labelled,
                "runs": [
                    {
                        "record": self._of(self.record, point),
                        "evaluations": [
                            self._of(self.evaluation_benchmark, point, selection)
                            for selection in self.plan.selections(point.dataset)
                        ],
                    }
                    for point in entry.points
                ],
            }
            for name in self.plan.tables
            for entry in self.plan.entries(name)
        ]

    def inputs_of_cost(self) -> dict[str, list[str]]:
        """The records, score files and benchmarks of all runs that stand in a table.

        Not the benchmarks of scores from before there were any: to ask for these would evaluate
        the runs anew.
        """
        runs = [run for line in self.lines_of_cost() for run in line["runs"]]
        records = dict.fromkeys(run["record"] for run in runs)
        files = dict.fromkeys(Path(file) for run in runs for file in run["evaluations"])
        scores = dict.fromkeys(
            file for name in self.plan.tables for file in self.scores_of_table(name)
        )
        name = Path(self.scores).name
        benchmarks = [
            str(file) for file in files if file.exists() or not file.with_name(name).exists()
        ]
        return {"records": list(records), "scores": list(scores), "benchmarks": benchmarks}

    def lines_of_figure(self, name: str) -> list[dict[str, Any]]:
        """What a figure shows: the first selection, seed and fold of each of its rows.

        scores_of_all: of that selection, of every seed and fold, for the means of Figure 4.
        """
        selection = self.plan.selections(self.plan.sheets[name].dataset)[0]
        lines = [
            {
                "title": self.plan.title(entry.row),
                "variant": entry.row.variant,
                "tau": self.plan.tau(entry),
                "labelled": entry.labelled,
                "folds": len(self.plan.folds(self.plan.figures[name].dataset)),
                "scores": self._of(self.scores, entry.points[0], selection),
                "scores_of_all": self._scores(entry, [selection])[selection],
                "predictions": self._of(self.predictions, entry.points[0], selection),
                "log": self._of(self.training_log, entry.points[0]),
            }
            for entry in self.plan.entries(name)
        ]
        return with_distinct_titles(lines)

    def inputs_of_figure(self, name: str) -> dict[str, list[str]]:
        """The files behind a figure, by what they are: what its kind shows of its runs."""
        figure = self.plan.figures[name]
        lines = self.lines_of_figure(name)
        inputs = {part: _flat(line[part] for line in lines) for part in SHOWN[figure.kind]}
        if figure.kind in SHOWING_SCANS:
            inputs["volumes"] = self.volumes_of_part(self.plan.folds(figure.dataset)[0], "test")
        return inputs

    def case_of_figure(self, name: str) -> dict[str, str | None]:
        """How a figure's case is chosen: a scan's name or a rule, and whose Dice the rule takes."""
        return self.plan.figures[name].model_dump(include={"case", "median_of"})

    def runs(self) -> list[dict[str, Any]]:
        """Each run once: what it is, what people call it, where it lies.

        folder: below the results folder. record, log, and by selection scores: its files.
        """
        return [
            {
                **point._asdict(),
                "title": self.plan.titles[point],
                "label": self.plan.label(point),
                "dataset_title": self.plan.dataset_title(point.dataset),
                "iterations": self.plan.layered("training", point.dataset, row)["iterations"],
                "selections": list(self.plan.selections(point.dataset)),
                "folder": self._of(self.run, point).removeprefix(f"{self.results}/"),
                "record": self._of(self.record, point),
                "log": self._of(self.training_log, point),
                "scores": {
                    selection: self._of(self.scores, point, selection)
                    for selection in self.plan.selections(point.dataset)
                },
            }
            for point, row in self.plan.rows.items()
        ]

    def results_of(self, names: Iterable[str]) -> list[str]:
        """The files of all runs of some tables and figures, so that a removed one is made again."""
        points = dict.fromkeys(
            point for name in names for entry in self.plan.entries(name) for point in entry.points
        )
        of_run = (self.model, self.training_log, self.record)
        of_selection = (self.scores, self.predictions)
        return [self._of(pattern, point) for point in points for pattern in of_run] + [
            self._of(pattern, point, selection)
            for point in points
            for selection in self.plan.selections(point.dataset)
            for pattern in of_selection
        ]

    def figures_of_kind(self, kind: str) -> list[str]:
        """The names of the figures of one kind."""
        return [name for name, figure in self.plan.figures.items() if figure.kind == kind]

    def _scores(self, entry: Entry, selections: Sequence[str]) -> dict[str, list[str]]:
        """An entry's score files by selection, one for each seed and fold."""
        return {
            selection: [self._of(self.scores, point, selection) for point in entry.points]
            for selection in selections
        }

    def _of(self, pattern: str, point: Point, selection: str = "") -> str:
        return pattern.format(**point._asdict(), selection=selection)


SHOWN: dict[FigureKind, tuple[str, ...]] = {
    "segmentations": ("scores", "predictions"),
    "error_maps": ("scores", "predictions"),
    "threshold": ("scores_of_all",),
    "training_curves": ("log",),
    "paired_scores": ("scores",),
}
GAIN = ("last", "best_on_test")  # between which the table of the selections' gain lies
NOTHING = "(?!)"  # the regular expression that no text matches


def _flat(given: Iterable[str | list[str]]) -> list[str]:
    return [file for one in given for file in ([one] if isinstance(one, str) else one)]


def any_of(names: Iterable[str]) -> str:
    """A pattern that matches these names and nothing else."""
    return "|".join(names) or NOTHING


def with_distinct_titles(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines; a `title` that several variants share has the `variant` behind it, in brackets."""
    named = dict.fromkeys((line["title"], line["variant"]) for line in lines)
    times = Counter(title for title, _ in named)
    return [
        {**line, "title": f"{line['title']} ({line['variant']})"}
        if times[line["title"]] > 1
        else line
        for line in lines
    ]
