"""From an experiment's files to its checked plan: every mistake is found before a job starts."""

from collections.abc import Mapping, Sequence
from csv import DictReader
from pathlib import Path
from typing import Any, TypeVar

from sgrs_core.experiment.configuration import (
    ConfigError,
    check_settings,
    is_written_out,
    load_experiment,
    load_figure,
    load_method,
    load_table,
    published_splits,
    written_by,
)
from sgrs_core.experiment.plan import COST, SELECTION_GAIN, Entry, Plan, Point, entries_of
from sgrs_core.experiment.presence import absent_scans, check_presence
from sgrs_core.experiment.schema import (
    CHOICE,
    SHOWING_SCANS,
    Dataset,
    Experiment,
    Figure,
    Filter,
    Row,
    Table,
    TableFilter,
)
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings, check_strides
from sgrs_core.experiment.slices import MEDIAN
from sgrs_core.experiment.splits import SplitLists, read_splits

MOST_CURVES = 5  # in one panel of a figure: as many as colours that all readers tell apart


Sheet = TypeVar("Sheet", Table, Figure)


def load_plan(values: Mapping[str, Any], files: Sequence[Path], root: Path) -> Plan:
    """Load and check an experiment and all files it refers to, all but the methods' own settings.

    values: as merged from `files`, of which the last one wins. root: the config folder.
    Raises ConfigError with one line per mistake.
    """
    experiment = load_experiment(values, files, root)
    file = files[-1]
    splits = {
        name: _splits(name, dataset, root, files) for name, dataset in experiment.datasets.items()
    }
    tables = {
        name: _counting_all(
            load_table(name, values["tables"][name], root, files).with_choice_of(wanted), splits
        )
        for name, wanted in experiment.tables.items()
    }
    figures = {
        name: _counting_all(
            load_figure(name, values["figures"][name], root, files).with_choice_of(wanted), splits
        )
        for name, wanted in experiment.figures.items()
    }
    for name in experiment.headline:
        if name not in tables and name not in figures:
            allowed = ", ".join([*tables, *figures])
            raise ConfigError(f"{file}: headline = {name!r}: allowed are {allowed}")
    _check_sheet_names(experiment, file)
    sheets: dict[str, Table | Figure] = {**tables, **figures}
    places = {name: _place_of(name, sheet, values, root, file) for name, sheet in sheets.items()}
    asking = {
        row.method: f"{places[name]}: rows.method"
        for name, sheet in sheets.items()
        for row in sheet.rows
    }
    for name, dataset in experiment.datasets.items():
        for method in dataset.methods:
            place = ("datasets", name, "methods", method)
            writer = str(written_by(files, place, root / "datasets" / f"{name}.yaml"))
            places[".".join(place)] = writer
            asking.setdefault(method, f"{writer}: datasets.{name}.methods")
    methods = {name: load_method(name, root, by) for name, by in asking.items()}
    rows: dict[Point, Row] = {}
    for name, sheet in sheets.items():
        wanted = experiment.tables.get(name) or experiment.figures[name]
        _check_sheet(name, sheet, wanted, experiment, file, root)
        for entry in entries_of(sheet, wanted, experiment.seeds):
            _check_labelled(entry, sheet, experiment, splits, places[name])
            rows |= dict.fromkeys(entry.points, entry.row)
    for name, figure in figures.items():
        _check_curves(name, figure, experiment.figures[name], file)
        _check_choice(name, figure, experiment, splits[figure.dataset], files, places[name])
    comparable = frozenset(
        name
        for name, dataset in experiment.datasets.items()
        if _is_comparable(name, dataset, splits[name], root)
    )
    written = {name: over or {} for name, over in values["datasets"].items()}
    plan = Plan(
        root, experiment, splits, methods, tables, figures, rows, comparable, places, written
    )
    _check_recipes(plan)
    _check_thresholds(plan, file)
    return plan


def _with_labelled(row: Row, count: int) -> Row:
    """The row, run with so many labelled scans, too."""
    return row.model_copy(update={"labelled": list(dict.fromkeys([*row.labelled, count]))})


def _counting_all(sheet: Sheet, splits: Mapping[str, SplitLists]) -> Sheet:
    """The table or figure, in which rows that ask for all labels have their number."""
    if sheet.dataset not in splits:
        return sheet  # which is said later
    scans = len(splits[sheet.dataset].train)
    rows = [_with_labelled(row, scans) if row.all_labelled else row for row in sheet.rows]
    return sheet.model_copy(update={"rows": rows})


def _check_recipes(plan: Plan) -> None:
    """The training and inference of each recipe, and of each row, are ones that there can be."""
    for name, method in plan.methods.items():
        for dataset in set(method.official) & set(plan.experiment.datasets):
            row = Row(variant=name, method=name, recipe="official", labelled=[1])
            file = plan.root / "methods" / f"{name}.yaml"
            _check_layers(plan, dataset, row, str(file), ("official", dataset))
    for name, sheet in plan.sheets.items():
        for row in sheet.rows:
            _check_layers(plan, sheet.dataset, row, plan.places[name], ("rows", row.variant))


def _check_layers(plan: Plan, dataset: str, row: Row, file: str, where: tuple[str, ...]) -> None:
    training, inference = plan.training(dataset, row), plan.inference(dataset, row)
    check_settings(TrainingSettings, training, file, (*where, "training"))
    check_settings(InferenceSettings, inference, file, (*where, "inference"))
    try:
        check_strides(InferenceSettings(**inference), TrainingSettings(**training))
    except ValueError as error:
        raise ConfigError(f"{file}: {'.'.join((*where, 'inference'))}.{error}") from None


def check_scans(plan: Plan, files: Sequence[Path]) -> None:
    """Check that every scan is where its data set says; `files`: as for `load_plan`."""
    for name, dataset in plan.experiment.datasets.items():
        try:
            check_presence(dataset, plan.splits[name], plan.root)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{files[-1]}: datasets.{name}.{error}") from None


def _splits(name: str, dataset: Dataset, root: Path, files: Sequence[Path]) -> SplitLists:
    try:
        lists = read_splits(dataset, root)
        return lists._replace(absent=absent_scans(dataset, lists, root))
    except (OSError, ValueError) as error:
        own = root / "datasets" / f"{name}.yaml"
        file = written_by(files, ("datasets", name, "splits"), own)
        raise ConfigError(f"{file}: splits: {error}") from None


def _is_comparable(name: str, dataset: Dataset, lists: SplitLists, root: Path) -> bool:
    """Whether published numbers may stand beside ours: the same scans at the same resolution.

    The published lists are those that the data set's own file names; no scan of theirs is missing
    or held out.
    """
    if dataset.source == "phantom" or not dataset.has_published_resolution:
        return False
    own = published_splits(name, root)
    if own is None or lists.absent or dataset.validation_scans:
        return False
    return lists[:3] == read_splits(dataset.model_copy(update={"splits": own}), root)[:3]


def _place_of(
    name: str, sheet: Table | Figure, values: Mapping[str, Any], root: Path, file: Path
) -> str:
    """Where a table or figure is written, as an error begins: its own file, or the experiment's."""
    group = "tables" if isinstance(sheet, Table) else "figures"
    if is_written_out(values[group][name]):
        return f"{file}: {group}.{name}"
    return str(root / group / f"{name}.yaml")


def _check_sheet_names(experiment: Experiment, file: Path) -> None:
    """No two tables or figures share a name: rules, logs and targets know them by it."""
    for group, names in (("tables", experiment.tables), ("figures", experiment.figures)):
        for name in (COST, SELECTION_GAIN):
            if name in names:
                raise ConfigError(
                    f"{file}: {group} = {name!r}: the workflow has a table of this name; "
                    "give yours another one"
                )
    twice = sorted(set(experiment.tables) & set(experiment.figures))
    if twice:
        raise ConfigError(
            f"{file}: figures = {twice[0]!r}: a table has this name; give one of them another"
        )


def _check_sheet(
    name: str, sheet: Table | Figure, wanted: Filter, experiment: Experiment, file: Path, root: Path
) -> None:
    """The data set exists, no row stands there twice, and the filter asks for what there is."""
    if sheet.dataset not in experiment.datasets:
        allowed = ", ".join(experiment.datasets)
        raise ConfigError(f"{file}: {name} needs datasets.{sheet.dataset}; given are {allowed}")
    group = "tables" if isinstance(sheet, Table) else "figures"
    offered: dict[str, set[Any]] = {
        "labelled": {count for row in sheet.rows for count in row.labelled},
        "methods": {row.method for row in sheet.rows},
        "without": {row.method for row in sheet.rows},
    }
    for key, known in offered.items():
        for value in getattr(wanted, key) or ():
            if value not in known:
                allowed = ", ".join(map(str, sorted(known)))
                raise ConfigError(
                    f"{file}: {group}.{name}.{key} = {value!r}: allowed are {allowed}"
                )
    lines = [(row.variant, count) for row in sheet.rows for count in row.labelled]
    for variant, count in lines:
        if lines.count((variant, count)) > 1:
            raise ConfigError(
                f"{file}: {group}.{name}: rows = {variant!r} with {count} labelled scans stands "
                "there twice; allowed is each once"
            )
    if isinstance(sheet, Table) and sheet.published_table is not None:
        _check_published(name, sheet, file, root)
    if isinstance(wanted, TableFilter):
        variants = dict.fromkeys(row.variant for row in sheet.rows)
        for key in ("reference", "upper_bound"):
            value = getattr(wanted, key)
            if value is not None and value not in variants:
                raise ConfigError(
                    f"{file}: tables.{name}.{key} = {value!r}: allowed are {', '.join(variants)}"
                )


def _check_published(name: str, table: Table, file: Path, root: Path) -> None:
    """The published table is one of this data set, and has the rows that are named of it."""
    with (root / "published.csv").open(encoding="utf-8", newline="") as lines:
        published = [
            (int(row["table"]), row["dataset"], row["variant"]) for row in DictReader(lines)
        ]
    here = {number for number, dataset, _ in published if dataset == table.dataset}
    if table.published_table not in here:
        raise ConfigError(
            f"{file}: tables.{name}.published_table = {table.published_table}: allowed are "
            f"{', '.join(map(str, sorted(here))) or 'none'}, of {table.dataset}, or null"
        )
    variants = {variant for number, _, variant in published if number == table.published_table}
    for row in table.rows:
        if row.published is not None and row.published not in variants:
            raise ConfigError(
                f"{file}: tables.{name}.rows.{row.variant}.published = {row.published!r}: allowed "
                f"are {', '.join(sorted(variants))}"
            )


def _check_choice(
    name: str,
    figure: Figure,
    experiment: Experiment,
    lists: SplitLists,
    files: Sequence[Path],
    own: str,
) -> None:
    """The case is a test scan, chosen by a row that the figure shows; and the kind shows scans.

    own: where the figure itself is written; an experiment's choice stands in one of its `files`.
    """
    wanted = experiment.figures[name]

    def mistake(key: str, allowed: str) -> ConfigError:
        place = f"{own}: {key}"
        if getattr(wanted, key) is not None:
            file = written_by(files, ("figures", name, key), files[-1])
            place = f"{file}: figures.{name}.{key}"
        return ConfigError(f"{place} = {getattr(figure, key)!r}: {allowed}")

    given = [key for key in CHOICE if getattr(figure, key) != Figure.model_fields[key].default]
    if given and figure.kind not in SHOWING_SCANS:
        kinds = " and ".join(SHOWING_SCANS)
        raise mistake(given[0], f"allowed for kind = {kinds}, not for {figure.kind}")
    scans = (MEDIAN, *lists.present(lists.test))
    if figure.case not in scans:
        raise mistake("case", f"allowed are {', '.join(scans)}")
    shown: dict[int, list[str]] = {}
    for entry in entries_of(figure, wanted, experiment.seeds):
        shown.setdefault(entry.labelled, []).append(entry.row.variant)
    judges = [
        variant
        for variant in dict.fromkeys(row.variant for row in figure.rows)
        if all(variant in variants for variants in shown.values())
    ]
    if figure.median_of is not None and figure.median_of not in judges:
        raise mistake("median_of", f"allowed are {', '.join(judges)}")


def _check_curves(name: str, figure: Figure, wanted: Filter, file: Path) -> None:
    """The figure shows some row, and no more curves than there are colours to tell them apart."""
    entries = list(entries_of(figure, wanted, []))
    if not entries:
        offered = [f"{row.method} with {row.labelled}" for row in figure.rows]
        raise ConfigError(
            f"{file}: figures.{name} = methods {wanted.methods}, labelled {wanted.labelled}: "
            f"nothing to show; allowed are {', '.join(offered)}"
        )
    curves: dict[str, list[Any]] = {
        "training_curves": [f"{entry.row.variant} {entry.labelled}" for entry in entries],
        "threshold": sorted({entry.labelled for entry in entries}),
    }
    shown = curves.get(figure.kind, [])
    if len(shown) > MOST_CURVES:
        raise ConfigError(
            f"{file}: figures.{name}.labelled = {len(shown)} curves, "
            f"{', '.join(map(str, shown))}: allowed are 1 to {MOST_CURVES}; choose methods or "
            "labelled"
        )


def _check_thresholds(plan: Plan, file: Path) -> None:
    """No curve over the threshold has two points at one place: they would be two methods."""
    for name, figure in plan.figures.items():
        shown: dict[tuple[float, int], str] = {}
        for entry in plan.entries(name) if figure.kind == "threshold" else ():
            place, variant = (plan.tau(entry), entry.labelled), entry.row.variant
            if place in shown:
                raise ConfigError(
                    f"{file}: figures.{name}: rows = {shown[place]!r} and {variant!r} have "
                    f"tau = {place[0]} with {place[1]} labelled scans; allowed is each once"
                )
            shown[place] = variant


def _check_labelled(
    entry: Entry,
    sheet: Table | Figure,
    experiment: Experiment,
    splits: Mapping[str, SplitLists],
    file: str,
) -> None:
    """There are as many training scans as labels are asked for, and enough to hold some out."""
    scans = len(splits[sheet.dataset].train)
    if not 1 <= entry.labelled <= scans:
        raise ConfigError(
            f"{file}: labelled = {entry.labelled} (row {entry.row.variant}): allowed are 1 to "
            f"{scans}, the training scans of {sheet.dataset}"
        )
    selections = experiment.selections_on(sheet.dataset)
    if "best_on_validation" not in selections or splits[sheet.dataset].validation:
        return
    held_out = experiment.datasets[sheet.dataset].validation_scans
    if not 1 <= held_out < entry.labelled:
        raise ConfigError(
            f"{file}: with selections = best_on_validation and {entry.labelled} labelled scans, "
            f"datasets.{sheet.dataset}.validation_scans = {held_out}: allowed are 1 to "
            f"{entry.labelled - 1}"
        )
