"""The keys of every configuration file, with types and bounds.

config/<experiment>.yaml -> `Experiment`; config/datasets/ -> `Dataset`; config/methods/ ->
`MethodFile`; config/tables/ -> `Table`; config/figures/ -> `Figure`. No torch here: the workflow
reads these at every start.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sgrs_core.settings import InferenceSettings, Selection, TrainingSettings, Triple


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mirror(Strict):
    """Prepared h5 files on a public server: base address, and a `sha256sum` list of them."""

    url: str
    digests: str


class Phantom(Strict):
    """Made-up scans in the data set's original format."""

    train_scans: int = Field(ge=1)
    test_scans: int = Field(ge=1)
    shape: Triple
    seed: int = Field(ge=0)


class Splits(Strict):
    """Text files with one scan name a line, relative to the config folder."""

    train: str
    test: str
    validation: str | None = None


class Dataset(Strict):
    """One data set: where its scans come from, how they are prepared and trained on.

    source: `phantom` makes scans up; `raw` reads the owners' original files from `folder`; `local`
    reads prepared h5 files from `folder`; `mirror` downloads them. spacing: mm, for files without
    geometry. downsample: block averaging factor. validation_scans: how many of the labelled
    training scans are held out to choose checkpoints (needed by `best_on_validation` where the data
    set has no validation list).
    """

    title: str
    source: Literal["phantom", "raw", "mirror", "local"]
    folder: str | None = None
    mirror: Mirror | None = None
    phantom: Phantom | None = None
    splits: Splits
    spacing: tuple[float, float, float]
    downsample: int = Field(default=1, ge=1)
    validation_scans: int = Field(default=0, ge=0)
    training: TrainingSettings
    inference: InferenceSettings

    @model_validator(mode="after")
    def source_is_described(self) -> Self:
        """Each source needs its own key."""
        needed = {"phantom": "phantom", "mirror": "mirror", "raw": "folder", "local": "folder"}
        key = needed[self.source]
        if getattr(self, key) is None:
            raise ValueError(f"{key} = None: source = {self.source} needs this key")
        return self


class Filter(Strict):
    """Which part of a table or figure an experiment runs; None is all of it."""

    labelled: list[int] | None = None
    methods: list[str] | None = None


class Experiment(Strict):
    """One results folder: data sets, seeds, and the tables and figures wanted.

    note: printed with every table and figure (say what is not the paper's setting). headline: the
    tables and figures that `snakemake headline` makes. data_folder: for downloads and raw scans,
    shared between experiments. training_threads: CPU threads of one training run; the last bits of
    its weights depend on it.
    """

    experiment: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    note: str = ""
    data_folder: str = "data"
    training_threads: int = Field(default=1, ge=1)
    seeds: list[int] = Field(min_length=1)
    selections: list[Selection] = Field(min_length=1)
    datasets: dict[str, Dataset]
    tables: dict[str, Filter] = {}
    figures: dict[str, Filter] = {}
    headline: list[str] = []


class MethodFile(Strict):
    """A named way of running a method: its id in METHODS, and settings that differ from its own."""

    method: str
    title: str
    settings: dict[str, Any] = {}


class Row(Strict):
    """A row: its name in the published table, and what we run for it over the method's file."""

    variant: str
    method: str
    settings: dict[str, Any] = {}
    labelled: list[int] = Field(min_length=1)


class Table(Strict):
    """A table: the published one it stands beside (None: ours alone), and the rows we run."""

    title: str
    published_table: int | None = None
    dataset: str
    rows: list[Row] = Field(min_length=1)


class Figure(Strict):
    """A figure: what kind, and the rows whose runs it shows.

    segmentations: predictions against ground truth. threshold: scores over each row's `tau`.
    """

    title: str
    kind: Literal["segmentations", "threshold"]
    dataset: str
    rows: list[Row] = Field(min_length=1)
