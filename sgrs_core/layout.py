"""Where everything lies, and what each job of the workflow needs and makes.

The rules hold patterns with wildcards; the functions here answer the questions a rule asks about a
path: which run is it, which scans does that run read, which score files stand behind a table.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sgrs_core.data.presence import files_of
from sgrs_core.data.raw.files import patient_of
from sgrs_core.experiment import Plan, Point


class Wildcards(Protocol):
    """What Snakemake found in a path; only the attributes in the path exist."""

    dataset: str
    scan: str
    labelled: str
    variant: str
    seed: str
    selection: str
    table: str
    figure: str


class Layout:
    """The paths of one experiment, as patterns (attributes) and as answers (methods)."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.results = f"results/{plan.experiment.experiment}"
        self.logs = f"{self.results}/logs"
        self.downloads = f"{plan.experiment.data_folder}/{{dataset}}/{{source}}"
        self.phantoms = f"{self.results}/phantoms/{{dataset}}"
        self.volume = f"{self.results}/volumes/{{dataset}}/{{scan}}.h5"
        self.run = f"{self.results}/{{dataset}}/labelled-{{labelled}}/{{variant}}/seed-{{seed}}"
        self.selected = f"{self.run}/{{selection}}"
        self.scores = f"{self.selected}/scores.csv"
        self.predictions = f"{self.selected}/predictions"
        self.table = f"{self.results}/tables/{{table}}"
        self.figure = f"{self.results}/figures/{{figure}}"

    def models(self, dataset: str) -> list[str]:
        """Patterns of the models that a run leaves: one for each way of choosing a checkpoint."""
        return [f"{self.run}/{selection}/model.pt" for selection in self.plan.selections(dataset)]

    def outputs(self, name: str) -> list[str]:
        """The files of one table or figure."""
        if name in self.plan.tables:
            return [f"{self.results}/tables/{name}.{kind}" for kind in ("csv", "md", "tex")]
        return [f"{self.results}/figures/{name}.{kind}" for kind in ("pdf", "png")]

    def sources(self, wildcards: Wildcards) -> list[str]:
        """What a scan is prepared from; of a download, the proof that all of it is there."""
        name, scan = wildcards.dataset, wildcards.scan
        dataset, folder = self.plan.dataset(name), self.source_folder(name)
        if dataset.source == "phantom":
            return [folder]
        if dataset.is_downloaded:
            return [f"{folder}/complete.txt"]
        return files_of(dataset, scan)

    def source_folder(self, name: str) -> str:
        """Where a data set's source files lie: made up, downloaded, or given by the user."""
        dataset = self.plan.dataset(name)
        if dataset.source == "phantom":
            return self.phantoms.format(dataset=name)
        if dataset.is_downloaded:
            return self.downloads.format(dataset=name, source=dataset.source)
        return str(dataset.folder)

    def patients(self, dataset: str) -> list[str]:
        """TCIA's names for a data set's scans."""
        return [patient_of(scan) for scan in self.plan.scans(dataset)]

    def datasets_from(self, source: str) -> str:
        """The names of the data sets that come from a source, as a pattern; see `any_of`."""
        datasets = self.plan.experiment.datasets
        return any_of([name for name, one in datasets.items() if one.source == source])

    def volumes(self, dataset: str, scans: Sequence[str]) -> list[str]:
        """The prepared files of some scans."""
        return [self.volume.format(dataset=dataset, scan=scan) for scan in scans]

    def test_volumes(self, dataset: str) -> list[str]:
        """The prepared files of a data set's test scans."""
        return self.volumes(dataset, self.test_scans(dataset))

    def test_scans(self, dataset: str) -> tuple[str, ...]:
        """A data set's test scans that there are."""
        lists = self.plan.splits[dataset]
        return lists.present(lists.test)

    def run_of(self, wildcards: Wildcards) -> dict[str, Any]:
        """The description of the run that a path belongs to."""
        labelled, seed = int(wildcards.labelled), int(wildcards.seed)
        point = Point(wildcards.dataset, labelled, wildcards.variant, seed)
        if point not in self.plan.rows:
            raise ValueError(f"no table or figure of this experiment has the run {point}")
        return self.plan.run(point)

    def volumes_of_run(self, wildcards: Wildcards) -> list[str]:
        """The prepared scans that a run may read."""
        run = self.run_of(wildcards)
        judges = [scan for scans in run["selection_scans"].values() for scan in scans]
        scans = dict.fromkeys([*run["labelled"], *run["unlabelled"], *judges])
        return self.volumes(wildcards.dataset, list(scans))

    def lines_of_table(self, name: str) -> list[dict[str, Any]]:
        """A table line by line: variant, labelled, and each selection's score files by seed."""
        selections = self.plan.selections(self.plan.sheets[name].dataset)
        return [
            {
                "variant": entry.row.variant,
                "labelled": entry.labelled,
                "scores": {
                    selection: [self._of(self.scores, point, selection) for point in entry.points]
                    for selection in selections
                },
            }
            for entry in self.plan.entries(name)
        ]

    def scores_of_table(self, name: str) -> list[str]:
        """All score files behind a table."""
        lines = self.lines_of_table(name)
        return [file for line in lines for files in line["scores"].values() for file in files]

    def lines_of_figure(self, name: str) -> list[dict[str, Any]]:
        """What a figure shows: the first selection and seed of each of its rows."""
        selection = self.plan.selections(self.plan.sheets[name].dataset)[0]
        return [
            {
                "title": self.plan.methods[entry.row.method].title,
                "settings": entry.row.settings,
                "labelled": entry.labelled,
                "scores": self._of(self.scores, entry.points[0], selection),
                "predictions": self._of(self.predictions, entry.points[0], selection),
            }
            for entry in self.plan.entries(name)
        ]

    def part_of_figure(self, name: str, part: str) -> list[str]:
        """The `scores` or `predictions` behind a figure."""
        return [line[part] for line in self.lines_of_figure(name)]

    def figures_of_kind(self, kind: str) -> str:
        """The names of the figures of one kind, as a pattern that matches nothing else."""
        return any_of([name for name, figure in self.plan.figures.items() if figure.kind == kind])

    def _of(self, pattern: str, point: Point, selection: str) -> str:
        return pattern.format(**point._asdict(), selection=selection)


NOTHING = "(?!)"  # the regular expression that no text matches


def any_of(names: Mapping[str, Any] | Sequence[str]) -> str:
    """A pattern that matches these names and nothing else."""
    return "|".join(names) or NOTHING
