"""The keys of every configuration file, with types and bounds.

config/<experiment>.yaml -> `Experiment`; config/datasets/ -> `Dataset`; config/methods/ ->
`MethodFile`; config/tables/ -> `Table`; config/figures/ -> `Figure`. No torch here: the workflow
reads these at every start.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sgrs_core.data.raw.files import ORIGINAL_FILES, Format, LabelOrigin, LabelPlacement
from sgrs_core.settings import (
    InferenceSettings,
    NiftiSettings,
    Selection,
    TrainingSettings,
    Triple,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]  # a folder, and a part of patterns


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mirror(Strict):
    """Prepared h5 files on a public server: base address, and a list of digests and names.

    Each line is `<digest>  <name>`: 64 hex digits are a SHA-256, 40 a git blob's id.
    """

    url: str
    digests: str


class Tcia(Strict):
    """A collection of The Cancer Imaging Archive: the NBIA API's base address, and the labels' zip.

    labels_sha256: of the zip; None accepts any sound one.
    """

    api: str
    collection: str
    labels: str
    labels_sha256: str | None = None


class Phantom(Strict):
    """Made-up scans in the data set's original format.

    spacing: mm per voxel, where the format's is not fixed.
    """

    train_scans: int = Field(ge=1)
    test_scans: int = Field(ge=1)
    validation_scans: int = Field(default=0, ge=0)
    shape: Triple
    spacing: tuple[float, float, float] | None = None
    seed: int = Field(ge=0)


class Splits(Strict):
    """Scan names: text files relative to the config folder, one name a line, or the names.

    counts: how many names each list must have, so that a damaged list is noticed.
    """

    train: str | list[str]
    test: str | list[str]
    validation: str | list[str] | None = None
    counts: dict[Literal["train", "test", "validation"], int] | None = None


class Withdrawn(Strict):
    """Scans of the published lists that their owner no longer distributes."""

    scans: list[str] = Field(min_length=1)
    why: str


class Dataset(Strict):
    """One data set: where its scans come from, how they are prepared and trained on.

    format: of the owners' original files; `nifti` is a data set of one's own, see `nifti`.
    source: `phantom` makes scans up; `raw` reads the original files from `folder`, or downloads
    them where `tcia` says how; `local` reads prepared h5 files from `folder`; `mirror` downloads
    those. access: what to tell a user who has to get the original files by hand. prepared_file:
    where `local` and `mirror` have a scan; prepared_axes: the order in which they store its axes.
    spacing: mm, for files without geometry. label_origin, label_placement: of `pancreas`, see
    sgrs_core/data/raw/pancreas.py. downsample: block averaging factor. selections: in place of the
    experiment's. validation_scans: how many of the labelled training scans are held out to choose
    checkpoints (needed by `best_on_validation` where the data set has no validation list). note:
    printed with its tables.
    """

    title: str
    note: str = ""
    format: Format
    source: Literal["phantom", "raw", "mirror", "local"]
    folder: str | None = None
    access: str = ""
    mirror: Mirror | None = None
    tcia: Tcia | None = None
    phantom: Phantom | None = None
    nifti: NiftiSettings | None = None
    prepared_file: str = "{scan}.h5"
    prepared_axes: Literal["xyz", "zyx"] = "xyz"
    label_origin: LabelOrigin = "checked"
    label_placement: LabelPlacement = "checked"
    splits: Splits
    withdrawn: Withdrawn | None = None
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    downsample: int = Field(default=1, ge=1)
    selections: list[Selection] | None = Field(default=None, min_length=1)
    validation_scans: int = Field(default=0, ge=0)
    training: TrainingSettings
    inference: InferenceSettings

    @model_validator(mode="after")
    def source_is_described(self) -> Self:
        """Each source needs its own key."""
        needed = {"phantom": "phantom", "mirror": "mirror", "raw": "folder", "local": "folder"}
        key = needed[self.source]
        if getattr(self, key) is None and not self.downloads_originals:
            help_ = f"; {self.access.strip()}" if key == "folder" and self.access else ""
            raise ValueError(f"{key} = None: source = {self.source} needs this key{help_}")
        if self.format == "nifti":
            if self.source == "phantom":
                raise ValueError("source = phantom: allowed for format = nifti are raw and local")
            if self.nifti is None:
                raise ValueError("nifti = None: format = nifti needs this key ({} for defaults)")
        if self.source == "phantom" and self.phantom is not None:
            spacing, free = self.phantom.spacing, self.format == "pancreas"
            if free is (spacing is None):
                wish = "needs this key" if free else "has a spacing of its own; leave this key out"
                raise ValueError(f"phantom.spacing = {spacing}: format = {self.format} {wish}")
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether its source files are fetched, from a mirror or from their owner."""
        return self.source == "mirror" or self.downloads_originals

    @property
    def downloads_originals(self) -> bool:
        """Whether the original files are fetched from their owner."""
        return self.source == "raw" and self.folder is None and self.tcia is not None

    def original_files(self, root: Path, scan: str) -> list[Path]:
        """Where a scan's original files lie below their folder."""
        if self.nifti is not None and self.format == "nifti":
            return self.nifti.files(root, scan)
        return ORIGINAL_FILES[self.format](root, scan)

    def prepared_file_of(self, scan: str) -> str:
        """Where `local` and `mirror` have a scan, below their folder or address."""
        return self.prepared_file.replace("{scan}", scan)

    def options(self) -> dict[str, Any]:
        """What the preparation of an original scan must know besides its files."""
        if self.format == "pancreas":
            return {"label_origin": self.label_origin, "label_placement": self.label_placement}
        return asdict(self.nifti) if self.format == "nifti" and self.nifti else {}


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

    experiment: Name
    note: str = ""
    data_folder: str = "data"
    training_threads: int = Field(default=1, ge=1)
    seeds: list[int] = Field(min_length=1)
    selections: list[Selection] = Field(min_length=1)
    datasets: dict[Name, Dataset]
    tables: dict[Name, Filter] = {}
    figures: dict[Name, Filter] = {}
    headline: list[str] = []

    def selections_on(self, dataset: str) -> list[Selection]:
        """The ways of choosing a checkpoint on a data set."""
        return self.datasets[dataset].selections or self.selections


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
