"""The keys of every configuration file, with types and bounds.

config/<experiment>.yaml -> `Experiment`; config/datasets/ -> `Dataset`; config/methods/ ->
`MethodFile`; config/tables/ -> `Table`; config/figures/ -> `Figure`. No torch here: the workflow
reads these at every start.

What a key means stands in its class's docstring, `key: meaning.`, from which
docs/tools/configuration_page.py makes docs/configuration.md.
"""

from dataclasses import asdict
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from sgrs_core.experiment.originals import ORIGINAL_FILES, Format, LabelOrigin, LabelPlacement
from sgrs_core.experiment.settings import (
    SCAN,
    InferenceSettings,
    Margins,
    NiftiSettings,
    Selection,
    TrainingSettings,
    Triple,
    check_path,
    check_strides,
)
from sgrs_core.experiment.slices import MEDIAN, Slices

PAPERS_METHOD = "sgrs"  # SGRS-Net's row in the tables of comparisons


def without_repeats(values: list[Any]) -> list[Any]:
    """The list. Raises an error where something stands in it twice."""
    for value in values:
        if values.count(value) > 1:
            what = {"value": repr(value)}
            raise PydanticCustomError("twice", "{value} stands there twice, allowed is once", what)
    return values


Once = AfterValidator(without_repeats)
NAME = r"^[A-Za-z0-9_-]{1,100}$"
Name = Annotated[str, Field(pattern=NAME)]  # a folder, and a part of patterns


RecipeName = Literal["shared", "official"]


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Mirror(Strict):
    """Prepared h5 files on a public server.

    url: base address. digests: a text file, relative to the config folder, with a line for each
    file, `<digest>  <name>`, of which 64 hex digits are a SHA-256, 40 a git blob's id.
    """

    url: str
    digests: str


class Tcia(Strict):
    """A collection of The Cancer Imaging Archive.

    api: the NBIA API's base address. collection: its name there. labels: address of the labels'
    zip. labels_sha256: of that zip; null accepts any sound one.
    """

    api: str
    collection: str
    labels: str
    labels_sha256: str | None = None


class Phantom(Strict):
    """Made-up scans in the data set's original format.

    train_scans, test_scans, validation_scans: how many. shape: voxels along x, y, z. spacing: mm
    per voxel, where the format's is not fixed. seed: everything follows from it and the scan's
    name.
    """

    train_scans: int = Field(ge=1)
    test_scans: int = Field(ge=1)
    validation_scans: int = Field(default=0, ge=0)
    shape: Triple
    spacing: tuple[float, float, float] | None = None
    seed: int = Field(ge=0)


class Splits(Strict):
    """Scan names: text files relative to the config folder, one name a line, or the names.

    train: in the published order; the labelled scans are the first ones. test: scored. validation:
    for `best_on_validation`. counts: how many names each list must have, so that a damaged list is
    noticed.
    """

    train: str | list[str]
    test: str | list[str]
    validation: str | list[str] | None = None
    counts: dict[Literal["train", "test", "validation"], int] | None = None


class Withdrawn(Strict):
    """Scans of the published lists that their owner no longer distributes.

    scans: their names. why: printed with the data set's tables.
    """

    scans: list[str] = Field(min_length=1)
    why: str


class Dataset(Strict):
    """One data set: where its scans come from, how they are prepared and trained on.

    title: as tables and figures call it. note: printed with its tables. format: of the owners'
    original files; `nifti` is a data set of one's own, see `nifti`. source: `phantom` makes scans
    up; `raw` reads the original files from `folder`, or downloads them where `tcia` says how;
    `local` reads prepared h5 files from `folder`; `mirror` downloads those. folder: where the files
    of `raw` or `local` lie. access: what to tell a user who has to get the original files by hand.
    mirror, tcia, phantom, nifti: what these sources need to know. prepared_file: where `local` and
    `mirror` have a scan; prepared_axes: the order in which they store its axes. label_origin: of
    `pancreas`; `ignored` puts a label whose origin is not its CT's on the CT's voxels, where
    `checked` refuses the scan. label_placement: of `pancreas`; `logged` notes a label that lies on
    no pancreas, where `checked` refuses the scan. splits: which scans are for what. withdrawn:
    scans that no longer exist. spacing: mm, for files without geometry. downsample: block averaging
    factor. published_spacing: mm, of the published experiments; published numbers stand beside ours
    only at this resolution, and never where it is None. published_selection: how the published
    numbers' checkpoints were chosen, where a method's file says nothing else. selections: in place
    of the experiment's. validation_scans: how many of the labelled training scans are held out to
    choose checkpoints (needed by `best_on_validation` where the data set has no validation list).
    training, inference: how its runs train and predict. methods: settings of methods here, by the
    name of a file in config/methods; over that file's, under a row's.
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
    published_spacing: tuple[float, float, float] | None = None
    published_selection: Selection | None = None
    selections: Annotated[list[Selection], Once] | None = Field(default=None, min_length=1)
    validation_scans: int = Field(default=0, ge=0)
    training: TrainingSettings
    inference: InferenceSettings
    methods: dict[Name, dict[str, Any]] = {}

    @model_validator(mode="after")
    def source_is_described(self) -> Self:
        """Each source needs its own key, and paths are plain ones."""
        if self.folder is not None:
            check_path("folder", self.folder)
        check_path("prepared_file", self.prepared_file, SCAN)
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

    @model_validator(mode="after")
    def windows_cover_every_voxel(self) -> Self:
        """Strides are at most the patch's sides."""
        try:
            check_strides(self.inference, self.training)
        except ValueError as error:
            raise ValueError(f"inference.{error}") from None
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether its source files are fetched, from a mirror or from their owner."""
        return self.source == "mirror" or self.downloads_originals

    @property
    def downloads_originals(self) -> bool:
        """Whether the original files are fetched from their owner."""
        return self.source == "raw" and self.folder is None and self.tcia is not None

    @property
    def has_published_resolution(self) -> bool:
        """Whether its voxels are as large as those of the published experiments."""
        if self.published_spacing is None or self.downsample > 1:
            return False
        return all(map(isclose, self.spacing, self.published_spacing))

    def original_files(self, root: Path, scan: str) -> list[Path]:
        """Where a scan's original files lie below their folder."""
        if self.nifti is not None and self.format == "nifti":
            return self.nifti.files(root, scan)
        return ORIGINAL_FILES[self.format](root, scan)

    def prepared_file_of(self, scan: str) -> str:
        """Where `local` and `mirror` have a scan, below their folder or address."""
        return self.prepared_file.replace(SCAN, scan)

    def options(self) -> dict[str, Any]:
        """What the preparation of an original scan must know besides its files."""
        if self.format == "pancreas":
            return {"label_origin": self.label_origin, "label_placement": self.label_placement}
        return asdict(self.nifti) if self.format == "nifti" and self.nifti else {}


class Filter(Strict):
    """Which part of a table or figure an experiment runs.

    labelled: rows with so many labelled scans. methods: rows of these files of config/methods;
    null is all of them.
    """

    labelled: Annotated[list[int], Once] | None = None
    methods: Annotated[list[str], Once] | None = None


class TableFilter(Filter):
    """Which part of a table an experiment runs, and how to judge it in place of what its file says.

    labelled: rows with so many labelled scans. methods: rows of these files of config/methods; null
    is all of them. reference: as in a table written out. upper_bound: as there. margin: as there.
    confidence: as there.
    """

    reference: str | None = None
    upper_bound: str | None = None
    margin: Margins | None = None
    confidence: float | None = Field(default=None, ge=0.5, lt=1)


class FigureFilter(Filter):
    """The same for a figure, and what else to show of it in place of what its file says.

    labelled: as for a table. methods: as for a table. case: as in a figure written out. median_of:
    as there. slices: as there.
    """

    case: str | None = None
    median_of: str | None = None
    slices: Slices | None = None


class Experiment(Strict):
    """One results folder: data sets, seeds, and the tables and figures wanted.

    experiment: its name; results go to results/<name>. note: printed with every table and figure
    (say what is not the paper's setting). data_folder: for downloads and raw scans, shared between
    experiments. training_threads: CPU threads of one training run; the last bits of its weights
    depend on it. recipe: `shared` trains all methods in one loop, with the data set's `training`;
    `official` as its authors ran it, each method on each data set for which they say how, and as
    `shared` elsewhere; what an experiment's file writes goes over both. runs_per_gpu: how many
    jobs may share a graphics card. tensorboard: each run writes its log's rows as TensorBoard's
    event files, too; trains nothing anew. seeds: of the
    runs, one run each. selections: ways of choosing a checkpoint, each evaluated: the `last`, or
    the best by its Dice on the test scans or on validation scans. datasets: by name; what is given
    here goes over config/datasets/<name>.yaml, and null leaves the set out. tables, figures: by
    name; {} is all of config/tables/<name>.yaml or config/figures/<name>.yaml, a filter is a part
    of it, one with `rows` is a new one, and null leaves it out. headline: the tables and figures
    that the target `headline` makes.
    """

    experiment: Name
    note: str = ""
    data_folder: str = "data"
    training_threads: int = Field(default=1, ge=1)
    # runs_per_card: its name before, taken for one release more; each job's log warns of it.
    runs_per_gpu: int = Field(
        default=1, ge=1, validation_alias=AliasChoices("runs_per_gpu", "runs_per_card")
    )
    tensorboard: bool = False
    recipe: RecipeName = "shared"
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Once] = Field(min_length=1)
    selections: Annotated[list[Selection], Once] = Field(min_length=1)
    datasets: dict[Name, Dataset]
    tables: dict[Name, TableFilter] = {}
    figures: dict[Name, FigureFilter] = {}
    headline: list[str] = []

    @model_validator(mode="after")
    def paths_are_plain(self) -> Self:
        """The folder for downloads is a path, not a pattern."""
        check_path("data_folder", self.data_folder)
        return self

    def selections_on(self, dataset: str) -> list[Selection]:
        """The ways of choosing a checkpoint on a data set."""
        return self.datasets[dataset].selections or self.selections


class Recipe(Strict):
    """How a method's authors ran it on a data set, where that differs from the data set's own keys.

    source: where it can be read, with the commit. selection: how the published checkpoint was
    chosen. training: over the data set's keys. inference: over the data set's keys. settings: over
    the method's. settings_with: by the number of labelled scans, over `settings`.
    """

    source: str
    selection: Selection
    training: dict[str, Any] = {}
    inference: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    settings_with: dict[int, dict[str, Any]] = {}

    def settings_for(self, labelled: int) -> dict[str, Any]:
        """The method's settings with so many labelled scans."""
        return {**self.settings, **self.settings_with.get(labelled, {})}


class MethodFile(Strict):
    """A named way of running a method.

    method: its id in sgrs_core/methods/__init__.py. title: in tables and figures. settings: those
    that differ from the method's own defaults. official: its authors' recipes, by the name of the
    data set; on a data set without one, `recipe: official` falls back to `shared`.
    """

    method: str
    title: str
    settings: dict[str, Any] = {}
    official: dict[Name, Recipe] = {}


class Row(Strict):
    """A row: its name in the published table, and what we run for it.

    variant: its name. title: as tables and figures call it; None: as the method's file does.
    published: the name in config/published.csv of the row that it stands beside; None: its variant.
    method: a file of config/methods, and a part of its runs' folder. recipe: in place of the
    experiment's; part of the folder's name, too, as are the next three. settings: over those of the
    method's file, the data set and the recipe. training: likewise. inference: likewise. labelled:
    with how many labelled scans it is run, a run for each.
    """

    variant: str
    title: str | None = None
    published: str | None = None
    method: Name
    recipe: RecipeName | None = None
    settings: dict[str, Any] = {}
    training: dict[str, Any] = {}
    inference: dict[str, Any] = {}
    labelled: Annotated[list[int], Once] = Field(min_length=1)


class Table(Strict):
    """A table, and the rows we run for it.

    title: its heading. note: printed with it. published_table: the number of the paper's that it
    stands beside; null: ours alone. dataset: a data set of the experiment. reference: the variant
    of the row against which the others with as many labelled scans are tested; null: no tests.
    upper_bound: the variant of the row, at its most labelled scans, that the reference should come
    close to. margin: differences that do not matter. confidence: of intervals, tests and verdicts.
    rows: its lines.
    """

    title: str
    note: str = ""
    published_table: int | None = None
    dataset: str
    reference: str | None = PAPERS_METHOD
    upper_bound: str | None = None
    margin: Margins = Margins()
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    rows: list[Row] = Field(min_length=1)

    @model_validator(mode="after")
    def judges_are_rows(self) -> Self:
        """What is compared with is there; without a word, SGRS-Net where a row has its name."""
        variants = dict.fromkeys(row.variant for row in self.rows)
        for key in ("reference", "upper_bound"):
            value = getattr(self, key)
            if key in self.model_fields_set and value is not None and value not in variants:
                raise ValueError(f"{key} = {value!r}: allowed are {', '.join(variants)}, or null")
        return self

    def with_choice_of(self, wanted: TableFilter) -> "Table":
        """The table judged as an experiment wants."""
        over = {key: getattr(wanted, key) for key in JUDGING}
        return self.model_copy(update={key: one for key, one in over.items() if one is not None})

    @property
    def most_labelled(self) -> int:
        """With how many labelled scans the row `upper_bound` is run at most; 0 without one."""
        rows = [row for row in self.rows if row.variant == self.upper_bound]
        return max((count for row in rows for count in row.labelled), default=0)


FigureKind = Literal["segmentations", "error_maps", "threshold", "training_curves", "paired_scores"]


class Figure(Strict):
    """A figure, and the rows whose runs it shows.

    title: its heading. note: printed with it. kind: `segmentations` (predictions against ground
    truth), `error_maps` (what each method finds, adds and misses), `threshold` (scores over each
    row's `tau`), `training_curves` (what the runs' logs show over iterations) or `paired_scores`
    (each test scan's Dice under each method). dataset: a data set of the experiment. rows: of which
    the first selection and seed are shown.

    For the kinds that show scans. case: a test scan's name, or `median`, the one with the median
    Dice of the row `median_of`. median_of: a row's variant, or None, the mean over all rows.
    slices: None leaves them to the figure's kind.
    """

    title: str
    note: str = ""
    kind: FigureKind
    dataset: str
    rows: list[Row] = Field(min_length=1)
    case: str = MEDIAN
    median_of: str | None = None
    slices: Slices | None = None

    def with_choice_of(self, wanted: FigureFilter) -> "Figure":
        """The figure with the case and the slices that an experiment wants."""
        over = {key: getattr(wanted, key) for key in CHOICE}
        return self.model_copy(update={key: one for key, one in over.items() if one is not None})


JUDGING = ("reference", "upper_bound", "margin", "confidence")  # what the words of a table mean
CHOICE = ("case", "median_of", "slices")  # what only figures that show scans have
SHOWING_SCANS = ("segmentations", "error_maps")
