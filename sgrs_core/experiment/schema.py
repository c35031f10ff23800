"""The keys of every configuration file: types, bounds, defaults, meanings.

config/<experiment>.yaml -> `Experiment`; config/datasets/ -> `Dataset`; config/methods/ ->
`MethodFile`; config/tables/ -> `Table`; config/figures/ -> `Figure`. No torch here: the workflow
reads these at every start. docs/configuration.md and the schemas for editors in config/schemas are
made from these classes by docs/tools/configuration_page.py.
"""

from dataclasses import asdict
from math import isclose
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, model_validator

from sgrs_core.experiment.originals import (
    ORIGINAL_FILES,
    Format,
    LabelFiles,
    LabelOrigin,
    LabelPlacement,
    pancreas_files,
)
from sgrs_core.experiment.own_methods import title_of
from sgrs_core.experiment.settings import (
    MEDIAN,
    SCAN,
    Count,
    Few,
    FileOfScan,
    InferenceSettings,
    Margins,
    Natural,
    NiftiSettings,
    PlainPath,
    Positive,
    Seed,
    Selection,
    Slices,
    Title,
    TrainingSettings,
    check_strides,
    refused,
)
from sgrs_core.experiment.words import NAME, SHA256

PAPERS_METHOD = "sgrs"  # SGRS-Net's row in the tables of comparisons


def without_repeats(values: list[Any]) -> list[Any]:
    """The list, if nothing stands in it twice."""
    for value in values:
        if values.count(value) > 1:
            raise refused(f"{value!r} stands there twice, allowed is once")
    return values


Once = AfterValidator(without_repeats)
Name = Annotated[str, Field(pattern=NAME)]  # a folder, and a part of patterns
Spacing = tuple[Positive, Positive, Positive]
Settings = dict[str, Any]
RecipeName = Literal["shared", "official"]
OF_PANCREAS = ("label_files", "label_origin", "label_placement")  # keys of this format alone
FigureKind = Literal["segmentations", "error_maps", "threshold", "training_curves", "paired_scores"]


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after loading."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class Mirror(Strict):
    """Prepared h5 files on a public server."""

    url: str
    """base address"""
    digests: str
    """a text file, relative to the config folder, with a line for each file, `<digest>  <name>`, of
    which 64 hex digits are a SHA-256, 40 a git blob's id"""


class Tcia(Strict):
    """A collection of The Cancer Imaging Archive."""

    api: str
    """the NBIA API's base address"""
    collection: str
    """its name there"""


class Idc(Strict):
    """Series of the Imaging Data Commons."""

    bucket: str
    """the public bucket's address"""
    series: str
    """a CSV file, relative to the config folder: modality (CT or SEG), patient, uuid, files,
    bytes"""


class Labels(Strict):
    """A zip of label maps."""

    url: str
    """its address"""
    sha256: Annotated[str, Field(pattern=SHA256)] | None = None
    """of the zip; null accepts any sound one"""


class Phantom(Strict):
    """Synthetic scans in the data set's original format."""

    train_scans: Few
    """how many"""
    test_scans: Few
    """how many"""
    validation_scans: Annotated[int, Field(ge=0, le=1024)] = 0
    """how many"""
    shape: tuple[Few, Few, Few]
    """voxels along x, y, z"""
    spacing: Spacing | None = None
    """mm per voxel, where the format's is not fixed"""
    seed: Seed
    """everything follows from it and the scan's name"""


class Splits(Strict):
    """Scan names: text files relative to the config folder, one name a line, or the names."""

    train: str | list[str]
    """in the published order; the labelled scans are the first ones"""
    test: str | list[str] | None = None
    """scored; null where `folds` says so"""
    validation: str | list[str] | None = None
    """for `best_on_validation`"""
    counts: dict[Literal["train", "test", "validation"], int] | None = None
    """how many names each list must have, so that a damaged list is noticed"""


class Withdrawn(Strict):
    """Scans of the published lists that their owner no longer distributes."""

    scans: list[str] = Field(min_length=1)
    """their names"""
    why: str
    """printed with the data set's tables"""


class Dataset(Strict):
    """One data set: where its scans come from, how they are prepared and trained on."""

    title: Title
    """as tables and figures call it"""
    note: str = ""
    """printed with its tables"""
    format: Format
    """of the owners' original files; `nifti` is a data set of one's own, see `nifti`"""
    source: Literal["phantom", "raw", "tcia", "idc", "mirror", "local"]
    """`phantom` makes synthetic scans; `raw` reads the original files from `folder`; `tcia` and
    `idc` download those; `local` reads prepared h5 files from `folder`; `mirror` downloads
    those"""
    folder: PlainPath | None = None
    """where the files of `raw` or `local` lie"""
    nnunet: PlainPath | None = None
    """a folder in nnU-Net's layout; title, format, source, folder, `nifti` (images, labels,
    foreground) and `splits` follow from its dataset.json and its files, and what is written here
    goes over them"""
    channel: str | None = None
    """which one of several channels of `nnunet`, by its name"""
    access: str = ""
    """what to tell a user who has to get the original files by hand"""
    mirror: Mirror | None = None
    """what `source: mirror` needs to know"""
    tcia: Tcia | None = None
    """what `source: tcia` needs to know"""
    idc: Idc | None = None
    """what `source: idc` needs to know, and `label_files: dicom_seg` of a download"""
    labels: Labels | None = None
    """what `label_files: nifti` of a download needs to know"""
    phantom: Phantom | None = None
    """what `source: phantom` needs to know"""
    nifti: NiftiSettings | None = None
    """what `format: nifti` needs to know"""
    prepared_file: FileOfScan = "{scan}.h5"
    """where `local` and `mirror` have a scan; {scan} is its name"""
    prepared_axes: Literal["xyz", "zyx"] = "xyz"
    """the order in which they store its axes"""
    label_files: LabelFiles = "nifti"
    """of `pancreas`; `dicom_seg` takes the labels from the DICOM segmentation objects that the
    Imaging Data Commons made of the NIfTI files"""
    label_origin: LabelOrigin = "checked"
    """of `pancreas`; `ignored` puts a label whose origin is not its CT's on the CT's voxels, where
    `checked` refuses the scan"""
    label_placement: LabelPlacement = "logged"
    """of `pancreas`; `logged` warns of a label that lies on no pancreas, where `checked` refuses
    the scan"""
    splits: Splits
    """which scans are for what"""
    folds: Annotated[int, Field(ge=2, le=100)] | None = None
    """a cross-validation of so many: each scan of `splits.train` that has a label is tested on
    once, by runs that did not learn from it; in place of `splits.test`"""
    withdrawn: Withdrawn | None = None
    """scans that no longer exist"""
    spacing: Spacing = (1.0, 1.0, 1.0)
    """mm, for files without geometry"""
    downsample: Annotated[int, Field(ge=1, le=8)] = 1
    """block averaging factor"""
    published_spacing: Spacing | None = None
    """mm, of the published experiments; published numbers stand beside ours only at this
    resolution, and never where it is null"""
    published_selection: Selection | None = None
    """how the published numbers' checkpoints were chosen, where a method's file says nothing
    else"""
    selections: Annotated[list[Selection], Once] | None = Field(default=None, min_length=1)
    """in place of the experiment's"""
    validation_scans: Natural = 0
    """how many of the labelled training scans are held out to choose checkpoints (needed by
    `best_on_validation` where the data set has no validation list)"""
    training: TrainingSettings = TrainingSettings()
    """how its runs train"""
    inference: InferenceSettings = InferenceSettings()
    """how they predict"""
    methods: dict[Name, Settings] = {}
    """settings of methods here, by the name of a file in config/methods or of one of the
    experiment's `methods`; over what stands there, under a row's"""

    @model_validator(mode="after")
    def source_is_described(self) -> Self:
        """Each source needs its own key, and no key is there that nothing would read."""
        key = {"raw": "folder", "local": "folder"}.get(self.source, self.source)
        if getattr(self, key) is None:
            help_ = f"; {self.access.strip()}" if key == "folder" and self.access else ""
            raise ValueError(f"{key} = None: source = {self.source} needs this key{help_}")
        if self.channel is not None and self.nnunet is None:
            raise ValueError(f"channel = {self.channel}: allowed where nnunet names a folder")
        for key in OF_PANCREAS if self.format != "pancreas" else ():
            if (value := getattr(self, key)) != type(self).model_fields[key].default:
                raise ValueError(f"{key} = {value}: allowed for format = pancreas")
        if self.nifti is not None and self.format != "nifti":
            raise ValueError(
                "nifti = ...: allowed for format = nifti; other formats have their own"
            )
        labels = "labels" if self.label_files == "nifti" else "idc"
        if self.downloads_originals and getattr(self, labels) is None:
            raise ValueError(f"{labels} = None: label_files = {self.label_files} needs this key")
        if self.format == "nifti":
            if self.source == "phantom":
                raise ValueError("source = phantom: allowed for format = nifti are raw and local")
            if self.nifti is None:
                raise ValueError("nifti = None: format = nifti needs this key ({} for defaults)")
        if self.source == "phantom" and self.label_files != "nifti":
            raise ValueError(
                f"label_files = {self.label_files}: allowed for source = phantom is nifti, which "
                "is what its labels are"
            )
        if self.source == "phantom" and self.phantom is not None:
            spacing, free = self.phantom.spacing, self.format == "pancreas"
            if free is (spacing is None):
                wish = "needs this key" if free else "has a spacing of its own; leave this key out"
                raise ValueError(f"phantom.spacing = {spacing}: format = {self.format} {wish}")
        return self

    @model_validator(mode="after")
    def something_is_tested(self) -> Self:
        """A list of test scans, or folds."""
        if self.folds is not None and (self.splits.test is not None or self.source == "phantom"):
            raise ValueError(
                f"folds = {self.folds}: allowed where splits.test is null, and not for phantoms"
            )
        if self.folds is None and self.splits.test is None:
            raise ValueError(
                "splits.test = None: needs the names of the test scans; or set folds to 5, say"
            )
        return self

    @model_validator(mode="after")
    def windows_cover_every_voxel(self) -> Self:
        """Strides are at most the patch's sides."""
        check_strides(self.inference, self.training)
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether its source files are fetched, from a mirror or from their owner."""
        return self.source == "mirror" or self.downloads_originals

    @property
    def downloads_originals(self) -> bool:
        """Whether the original files are fetched from their owner."""
        return self.source in ("tcia", "idc")

    @property
    def has_original_files(self) -> bool:
        """Whether its source files are of the owners' format, not prepared by others."""
        return self.source not in ("mirror", "local")

    @property
    def has_published_resolution(self) -> bool:
        """Whether its voxels are as large as those of the published experiments."""
        if self.published_spacing is None or self.downsample > 1:
            return False
        return all(map(isclose, self.spacing, self.published_spacing))

    def prepared_file_of(self, scan: str) -> str:
        """Where `local` and `mirror` have a scan, below their folder or address."""
        return self.prepared_file.replace(SCAN, scan)

    def files_of(self, scan: str) -> list[str]:
        """Where `raw` and `local` have a scan."""
        folder = Path(self.folder or "")
        if self.source != "raw":
            return [str(folder / self.prepared_file_of(scan))]
        if self.custom:
            image, label = self.custom.files(folder, scan)
            files = [image, label] if label.exists() else [image]
        elif self.format == "pancreas":
            files = pancreas_files(folder, scan, self.label_files)
        else:
            files = ORIGINAL_FILES[self.format](folder, scan)
        return [str(file) for file in files]

    @property
    def custom(self) -> NiftiSettings | None:
        """How a data set of one's own is prepared; None for the owners' formats."""
        return self.nifti if self.format == "nifti" else None

    def has_label(self, scan: str) -> bool:
        """Whether a scan has a label; True also where only a job will know."""
        if self.source != "raw" or self.custom is None:
            return True
        try:
            return self.custom.files(Path(self.folder or ""), scan)[1].exists()
        except OSError:  # a name that no file can have
            return False

    def options(self) -> dict[str, Any]:
        """What the preparation of an original scan must know besides its files."""
        if self.format == "pancreas":
            keys = ("label_files", "label_origin", "label_placement")
            return {key: getattr(self, key) for key in keys}
        return asdict(self.custom) if self.custom else {}


class Filter(Strict):
    """Which part of a table or figure an experiment runs."""

    labelled: Annotated[list[int], Once] | None = None
    """rows with so many labelled scans; null is all of them"""
    methods: Annotated[list[str], Once] | None = None
    """rows of these files of config/methods; null is all of them"""
    without: Annotated[list[str], Once] = []
    """but for rows of these files"""

    def wants(self, row: "Row", labelled: int) -> bool:
        """Whether a row with so many labelled scans is among what is wanted."""
        return (
            (self.labelled is None or labelled in self.labelled)
            and (self.methods is None or row.method in self.methods)
            and row.method not in self.without
        )


class TableFilter(Filter):
    """Which part of a table an experiment runs, and how to judge it in its file's place."""

    reference: str | None = None
    """as in a table written out"""
    upper_bound: str | None = None
    """as in a table written out"""
    margin: Margins | None = None
    """as in a table written out"""
    confidence: float | None = Field(default=None, ge=0.5, lt=1)
    """as in a table written out"""


class FigureFilter(Filter):
    """The same for a figure, and what else to show of it in place of what its file says."""

    case: str | None = None
    """as in a figure written out"""
    median_of: str | None = None
    """as in a figure written out"""
    slices: Slices | None = None
    """as in a figure written out"""


class Recipe(Strict):
    """How a method's authors ran it on a data set, where that differs from the data set's keys."""

    source: str
    """where it can be read, with the commit"""
    selection: Selection
    """how the published checkpoint was chosen"""
    training: Settings = {}
    """over the data set's keys"""
    inference: Settings = {}
    """over the data set's keys"""
    settings: Settings = {}
    """over the method's"""
    settings_with: dict[int, Settings] = {}
    """by the number of labelled scans, over `settings`"""

    def settings_for(self, labelled: int) -> Settings:
        """The method's settings with so many labelled scans."""
        return {**self.settings, **self.settings_with.get(labelled, {})}


class MethodFile(Strict):
    """A named way of running a method."""

    method: str
    """its id in sgrs_core/methods/__init__.py, or `package.module:Class`, one in a file of one's
    own"""
    title: Title | None = None
    """in tables and figures; null: the class's name in words"""
    settings: Settings = {}
    """those that differ from the method's own defaults"""
    official: dict[Name, Recipe] = {}
    """its authors' recipes, by the name of the data set; on a data set without one, `recipe:
    official` falls back to `shared`"""

    @property
    def called(self) -> str:
        """What people call it."""
        return self.title or title_of(self.method)


class Experiment(Strict):
    """One results folder: data sets, seeds, and the tables and figures wanted."""

    experiment: Name
    """its name; results go to results/<name>"""
    title: str = ""
    """as its report calls it; left out: its name"""
    note: str = ""
    """printed with every table and figure (say what is not the paper's setting)"""
    data_folder: PlainPath = "data"
    """for downloads, shared between experiments"""
    training_threads: Few = 1
    """CPU threads of one training run; the last bits of its weights depend on it"""
    runs_per_gpu: Count = Field(
        default=1, validation_alias=AliasChoices("runs_per_gpu", "runs_per_card")
    )
    """how many jobs may share a graphics card"""
    tensorboard: bool = False
    """each run writes its log's rows as TensorBoard's event files, too; trains nothing anew"""
    report_3d: bool = True
    """the report shows one case's surfaces to turn, by niivue, which makes its file 3 to 6 MB
    larger"""
    recipe: RecipeName = "shared"
    """`shared` trains all methods in one loop, with the data set's `training`; `official` as its
    authors ran it, each method on each data set for which they say how, and as `shared` elsewhere;
    what an experiment's file writes goes over both"""
    seeds: Annotated[list[Seed], Once] = Field(min_length=1)
    """of the runs, one run each"""
    selections: Annotated[list[Selection], Once] = Field(min_length=1)
    """ways of choosing a checkpoint, each evaluated: the `last`, or the best by its Dice on the
    test scans or on validation scans"""
    datasets: dict[Name, Dataset]
    """by name; what is given here goes over config/datasets/<name>.yaml, and null leaves the set
    out"""
    methods: dict[Name, MethodFile] = {}
    """further ones by name, as config/methods/<name>.yaml would hold them"""
    tables: dict[Name, TableFilter] = {}
    """by name; {} is all of config/tables/<name>.yaml, a filter is a part of it, one with `rows` is
    a new one, and null leaves it out"""
    figures: dict[Name, FigureFilter] = {}
    """likewise, of config/figures/<name>.yaml"""
    only: Annotated[list[str], Once] | None = Field(default=None, min_length=1)
    """the tables and figures to make of all that the files name, with the data sets that they show;
    null is all of them"""
    headline: Annotated[list[str], Once] = []
    """the tables and figures that the target `headline` makes"""


class Row(Strict):
    """A row: its name in the published table, and what we run for it."""

    variant: str
    """its name; left out: its method"""
    title: Title | None = None
    """as tables and figures call it; null: as the method's file does"""
    published: str | None = None
    """the name in config/published.csv of the row that it stands beside; null: its variant"""
    method: Name
    """a file of config/methods, or one of the experiment's `methods`, and a part of its runs'
    folder; or `package.module:Class`, a method in a file of one's own, whose class's name is that
    part"""
    recipe: RecipeName | None = None
    """in place of the experiment's; part of the folder's name, too, as are the next three"""
    settings: Settings = {}
    """over those of the method's file, the data set and the recipe"""
    training: Settings = {}
    """likewise"""
    inference: Settings = {}
    """likewise"""
    labelled: Annotated[list[int], Once] = Field(min_length=1)
    """with how many labelled scans it is run, a run for each; left out: as its table says"""
    all_labelled: bool = False
    """run with all training scans labelled, too"""


class Sheet(Strict):
    """What tables and figures have in common."""

    title: Title
    """its heading"""
    note: str = ""
    """printed with it"""
    dataset: str
    """a data set of the experiment"""
    labelled: Annotated[list[int], Once] | None = None
    """with how many labelled scans rows are run that do not say it"""
    rows_of: str | None = None
    """a table that writes its rows, in the experiment's files or in config/tables; they come first,
    in a figure without the runs on all labelled scans; their numbers of labelled scans are
    `labelled`. Of the same data set, a figure shows those of them that the experiment runs in the
    table"""
    only: Annotated[list[str], Once] | None = None
    """of those rows the ones with these variants; null is all of them"""
    rows: list[Row] = Field(min_length=1)
    """its lines, besides those of `rows_of`; a method's name stands for a row of that method; of
    each, a figure shows the first selection and seed"""

    @property
    def variants(self) -> list[str]:
        """The names of its rows."""
        return list(dict.fromkeys(row.variant for row in self.rows))

    def with_choice_of(self, wanted: Filter) -> Self:
        """The table or figure with what an experiment wants in place of what its file says."""
        given = {
            key: getattr(wanted, key)
            for key in wanted.model_fields_set - Filter.model_fields.keys()
        }
        return self.model_copy(
            update={key: one for key, one in given.items() if one is not None or key in NULLABLE}
        )


class Table(Sheet):
    """A table, and the rows we run for it."""

    published_table: int | None = None
    """the number of the paper's that it stands beside; null: ours alone"""
    reference: str | None = PAPERS_METHOD
    """the variant of the row against which the others with as many labelled scans are tested; null:
    no tests"""
    upper_bound: str | None = None
    """the variant of the row, at its most labelled scans, that the reference should come close
    to"""
    margin: Margins = Margins()
    """differences that do not matter"""
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    """of intervals, tests and verdicts"""

    @model_validator(mode="after")
    def judges_are_rows(self) -> Self:
        """What is compared with is there; without a word, SGRS-Net where a row has its name."""
        for key in self.model_fields_set & {"reference", "upper_bound"}:
            value = getattr(self, key)
            if value is not None and value not in self.variants:
                raise ValueError(
                    f"{key} = {value!r}: allowed are {', '.join(self.variants)}, or null"
                )
        return self

    @property
    def most_labelled(self) -> int:
        """With how many labelled scans the row `upper_bound` is run at most; 0 without one."""
        rows = [row for row in self.rows if row.variant == self.upper_bound]
        return max((count for row in rows for count in row.labelled), default=0)


class Figure(Sheet):
    """A figure, and the rows whose runs it shows."""

    kind: FigureKind
    """`segmentations` (predictions against ground truth), `error_maps` (what each method finds,
    adds and misses), `threshold` (scores over each row's `tau`), `training_curves` (what the runs'
    logs show over iterations) or `paired_scores` (each test scan's Dice under each method)"""
    case: str = MEDIAN
    """for the kinds that show scans: a test scan's name, or `median`, the one with the median Dice
    of the row `median_of`"""
    median_of: str | None = None
    """likewise: a row's variant, or null, the mean over all rows"""
    slices: Slices | None = None
    """likewise; null leaves them to the figure's kind"""


OF_SCANS = ("case", "median_of", "slices")  # what only figures that show scans have
NULLABLE = {"reference", "upper_bound", "median_of", "slices"}  # of which null is a choice, too
SHOWING_SCANS = ("segmentations", "error_maps")
