"""From an experiment's files to its checked plan: every mistake is found before a job starts."""

from collections.abc import Mapping, Sequence
from csv import DictReader
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from sgrs_core.experiment.configuration import (
    AnySheet,
    ConfigError,
    Files,
    Place,
    Values,
    check_known,
    checked,
    load_experiment,
    load_method,
    load_sheet,
    merged,
    published_splits,
    read,
)
from sgrs_core.experiment.own_methods import is_own, source_of
from sgrs_core.experiment.plan import COST, SELECTION_GAIN, Entry, Plan
from sgrs_core.experiment.presence import (
    absent_scans,
    came_downsampled,
    check_names_of_files,
    check_presence,
    of_labels,
)
from sgrs_core.experiment.schema import (
    OF_SCANS,
    SHOWING_SCANS,
    Dataset,
    Figure,
    Filter,
    Row,
    Table,
)
from sgrs_core.experiment.settings import MEDIAN, InferenceSettings, TrainingSettings, check_strides
from sgrs_core.experiment.splits import SplitLists, base_of, fold_lists, read_splits
from sgrs_core.files import sha256_of
from sgrs_core.log import prefix_errors

MOST_CURVES = 5  # in one panel of a figure: as many as colours that all readers tell apart


def load_plan(
    values: Values, own: Sequence[Path], root: Path, command_line: Values | None = None
) -> Plan:
    """Load and check an experiment and all files it refers to, all but the methods' own settings.

    values: as merged from its own files, of which the last one wins, and what --config put over
    them on the command line. root: the config folder.
    Raises ConfigError with one line per mistake.
    """
    files = Files(own, root, command_line)
    experiment = load_experiment(values, files)
    splits = {name: _splits(name, one, files) for name, one in experiment.datasets.items()}
    for name, dataset in experiment.datasets.items():
        with prefix_errors(f"{files.at('datasets', name)}.", ConfigError):
            check_names_of_files(dataset, splits[name])
    datasets = {
        name: _cropped_alike(name, one, splits[name], files)
        for name, one in experiment.datasets.items()
    }
    experiment = experiment.model_copy(update={"datasets": datasets})
    splits |= {
        f"{name}/fold-{number}": lists
        for name, dataset in datasets.items()
        for number, lists in enumerate(_folds(name, dataset, splits[name], files))
    }
    places = {f"datasets.{name}": files.at("datasets", name) for name in experiment.datasets}
    for name, one in experiment.methods.items():
        files.add_method(name, one, files.at("methods", name))

    def load(kind: type[AnySheet], group: str, wanted: Mapping[str, Filter]) -> dict[str, AnySheet]:
        sheets = {}
        for name, choice in wanted.items():
            sheet, places[name] = load_sheet(kind, group, name, values[group][name], files)
            sheets[name] = _counting_all(sheet.with_choice_of(choice), splits)
        return sheets

    loaded = load(Table, "tables", experiment.tables)
    made = loaded.keys() if experiment.only is None else experiment.only
    tables = {name: table for name, table in loaded.items() if name in made}
    figures = load(Figure, "figures", experiment.figures)
    for name in experiment.headline:
        check_known(files.at("headline"), name, [*tables, *figures])
    _check_sheet_names(tables, figures, files)
    asking: dict[str, Place | str] = {
        row.method: places[name].below("rows", "method")
        for name, sheet in {**tables, **figures}.items()
        for row in sheet.rows
    }
    for name, dataset in experiment.datasets.items():
        for method in dataset.methods:
            place = files.at("datasets", name, "methods", method)
            places[".".join(place.keys)] = place
            asking.setdefault(method, place._replace(keys=place.keys[:-1]))
    for name in experiment.methods:
        asking.setdefault(name, "")
    methods = {name: load_method(name, files, asked) for name, asked in asking.items()}
    plan = Plan(
        root=root,
        experiment=experiment,
        splits=splits,
        methods={name: method for name, (method, _) in methods.items()},
        method_places={name: place for name, (_, place) in methods.items()},
        sources={
            name: _source_digest(method.method, place, files)
            for name, (method, place) in methods.items()
            if is_own(method.method)
        },
        tables=tables,
        followed={name: table for name, table in loaded.items() if name not in made},
        figures=figures,
        comparable=frozenset(
            name
            for name, dataset in experiment.datasets.items()
            if _is_comparable(name, dataset, splits[name], root, experiment.selections)
        ),
        places=places,
        written={name: over or {} for name, over in values["datasets"].items()},
    )
    for name in plan.sheets:
        _check_sheet(plan, name, files)
    for name in figures:
        _check_curves(plan, name, files)
        _check_choice(plan, name, files)
    _check_recipes(plan)
    return plan


def _source_digest(method: str, place: Place, files: Files) -> str:
    """The SHA-256 of the file of a method of one's own."""
    with prefix_errors(f"{place.below('method')} = {method!r}: ", ConfigError):
        return sha256_of(source_of(method, files.folders))


def load_files(own: Sequence[Path], root: Path) -> Plan:
    """The plan of an experiment's own files, merged as Snakemake merges its --configfile.

    Raises ConfigError; see `load_plan`.
    """
    return load_plan(reduce(merged, map(read, own)), own, root)


def check_scans(plan: Plan) -> None:
    """Check that every scan is where its data set says. Raises ConfigError."""
    for name, dataset in plan.experiment.datasets.items():
        with prefix_errors(f"{plan.places[f'datasets.{name}']}.", ConfigError):
            check_presence(dataset, plan.splits[name], plan.root, plan.used_labels(name))


def _splits(name: str, dataset: Dataset, files: Files) -> SplitLists:
    with prefix_errors(f"{files.at('datasets', name, 'splits')}: ", ConfigError):
        lists = read_splits(dataset, files.root)
        return lists._replace(absent=absent_scans(dataset, lists, files.root))


def _folds(name: str, dataset: Dataset, lists: SplitLists, files: Files) -> list[SplitLists]:
    try:
        return fold_lists(lists, dataset.folds, dataset.has_label) if dataset.folds else []
    except ValueError as error:
        missing = [scan for scan in lists.train if not dataset.has_label(scan)]
        hint = f"; without one are {of_labels(dataset, missing)}" if missing else ""
        place = files.at("datasets", name, "folds")
        raise ConfigError(f"{place} = {dataset.folds}: {error}{hint}") from None


def _cropped_alike(name: str, dataset: Dataset, lists: SplitLists, files: Files) -> Dataset:
    """The data set, whose scans are all cropped to the body if one has no label to crop to.

    Raises ConfigError where it asks for their labels all the same.
    """
    custom = dataset.custom
    if custom is None or custom.crop == "body":
        return dataset
    missing = [scan for scan in lists.scans() if not dataset.has_label(scan)]
    if not missing:
        return dataset
    if custom.crop and custom.margin is not None:
        raise ConfigError(
            f"{files.at('datasets', name, 'nifti', 'crop')} = {custom.crop}: allowed where each "
            f"scan has a label file; without one are {of_labels(dataset, missing)}; body, or no "
            "such key, crops all scans alike"
        )
    return dataset.model_copy(update={"nifti": replace(custom, crop="body")})


def _counting_all(sheet: AnySheet, splits: Mapping[str, SplitLists]) -> AnySheet:
    """The table or figure, in which rows that ask for all labels have their number."""
    if sheet.dataset not in splits:
        return sheet  # which is said later
    folds = [lists for name, lists in splits.items() if name.startswith(f"{sheet.dataset}/")]
    count = min(len(lists.train) for lists in folds or [splits[sheet.dataset]])

    def with_all(row: Row) -> Row:
        labelled = dict.fromkeys([*row.labelled, count])
        return row.model_copy(update={"labelled": list(labelled)}) if row.all_labelled else row

    return sheet.model_copy(update={"rows": [with_all(row) for row in sheet.rows]})


def _is_comparable(
    name: str, dataset: Dataset, lists: SplitLists, root: Path, selections: Sequence[str]
) -> bool:
    """Whether published numbers may stand beside ours: the same scans at the same resolution.

    The published lists are those that the data set's own file names; no scan of theirs is missing
    or held out, as some are where `best_on_validation` has no list. selections: the experiment's.
    """
    if dataset.source == "phantom" or not dataset.has_published_resolution:
        return False
    if came_downsampled(dataset, lists) > 1:
        return False
    own = published_splits(name, root)
    chosen = dataset.selections or selections
    held_out = "best_on_validation" in chosen and not lists.validation
    if own is None or lists.absent or held_out:
        return False
    return lists[:3] == read_splits(dataset.model_copy(update={"splits": own}), root)[:3]


def _check_recipes(plan: Plan) -> None:
    """The training and inference of each recipe, and of each row, are ones that there can be."""
    for name, method in plan.methods.items():
        for dataset in set(method.official) & set(plan.experiment.datasets):
            row = Row(variant=name, method=name, recipe="official", labelled=[1])
            place = plan.method_places[name].below("official", dataset)
            _check_layers(plan, dataset, row, place)
    for name, sheet in plan.sheets.items():
        for row in sheet.rows:
            place = plan.places[name].below("rows", row.variant)
            _check_layers(plan, sheet.dataset, row, place)


def _check_layers(plan: Plan, dataset: str, row: Row, place: Place) -> None:
    trained = plan.layered("training", dataset, row)
    predicted = plan.layered("inference", dataset, row)
    training = checked(TrainingSettings, trained, place.below("training"))
    inference = checked(InferenceSettings, predicted, place.below("inference"))
    with prefix_errors(f"{place}.", ConfigError):
        check_strides(inference, training)


def _check_sheet_names(
    tables: Mapping[str, Table], figures: Mapping[str, Figure], files: Files
) -> None:
    """No two tables or figures share a name: rules, logs and targets know them by it."""
    for group, names in (("tables", tables), ("figures", figures)):
        for name in (COST, SELECTION_GAIN):
            if name in names:
                raise ConfigError(
                    f"{files.writer((group, name))}: {group} = {name!r}: the workflow has a table "
                    "of this name; give yours another one"
                )
    for name in sorted(tables.keys() & figures.keys()):
        place = files.at("figures", name)
        raise ConfigError(f"{place}: a table has this name; give one of them another")


def _check_sheet(plan: Plan, name: str, files: Files) -> None:
    """The data set exists, no row stands there twice, and the filter asks for what there is."""
    sheet, wanted = plan.sheets[name], plan.wanted(name)
    group = "tables" if isinstance(sheet, Table) else "figures"
    if sheet.dataset not in plan.experiment.datasets:
        allowed = ", ".join(plan.experiment.datasets)
        raise ConfigError(
            f"{files.writer((group, name))}: {name} needs datasets.{sheet.dataset}; given are "
            f"{allowed or 'none'}"
        )
    lines = [(row.variant, count) for row in sheet.rows for count in row.labelled]
    methods = sorted({row.method for row in sheet.rows})
    offered: dict[str, list[Any]] = {
        "labelled": sorted({count for _, count in lines}), "methods": methods, "without": methods,
        "reference": sheet.variants, "upper_bound": sheet.variants,
    }  # fmt: skip
    for key, known in offered.items():
        asked = getattr(wanted, key, None)  # figures are not judged
        for value in [asked] if isinstance(asked, str) else asked or ():
            check_known(files.at(group, name, key), value, known)
    if not plan.entries(name):
        shown = dict.fromkeys(f"{row.method} with {row.labelled}" for row in sheet.rows)
        raise ConfigError(
            f"{files.at(group, name)} = methods {wanted.methods}, labelled {wanted.labelled}: "
            f"nothing to show{f' of what {sheet.rows_of} runs' if sheet.rows_of else ''}; "
            f"allowed are {', '.join(shown)}"
        )
    for variant, count in lines:
        if lines.count((variant, count)) > 1:
            raise ConfigError(
                f"{plan.places[name]}: rows = {variant!r} with {count} labelled scans stands "
                "there twice; allowed is each once"
            )
    if isinstance(sheet, Table) and sheet.published_table is not None:
        _check_published(sheet, plan.places[name], plan.root)
    for fold in plan.folds(sheet.dataset):
        for entry in plan.entries(name):
            _check_labelled(plan, entry, fold, plan.places[name])


def _check_published(table: Table, place: Place, root: Path) -> None:
    """The published table is one of this data set, and has the rows that are named of it."""
    with (root / "published.csv").open(encoding="utf-8", newline="") as lines:
        published = list(DictReader(lines))
    here = sorted({int(row["table"]) for row in published if row["dataset"] == table.dataset})
    ending = f", of {table.dataset}, or null"
    check_known(place.below("published_table"), table.published_table, here, ending)
    number = str(table.published_table)
    variants = sorted({row["variant"] for row in published if row["table"] == number})
    for row in table.rows:
        if row.published is not None:
            at = place.below("rows", row.variant, "published")
            check_known(at, row.published, variants)


def _check_labelled(plan: Plan, entry: Entry, dataset: str, place: Place) -> None:
    """There are as many training scans as labels are asked for, and enough to hold some out."""
    lists = plan.splits[dataset]
    if not 1 <= entry.labelled <= len(lists.train):
        raise ConfigError(
            f"{place.below('labelled')} = {entry.labelled} (row {entry.row.variant}): allowed are "
            f"1 to {len(lists.train)}, the training scans of {dataset}"
        )
    present = len(lists.labelled(entry.labelled))
    if not present:
        raise ConfigError(
            f"{place.below('labelled')} = {entry.labelled} (row {entry.row.variant}): none of the "
            f"first {entry.labelled} training scans of {dataset} is there any more"
        )
    if "best_on_validation" not in plan.selections(dataset) or lists.present(lists.validation):
        return
    held_out = plan.dataset(dataset).validation_scans
    if not 1 <= held_out < present:
        there = f", {present} of which are there" if present < entry.labelled else ""
        allowed = f"allowed are 1 to {present - 1}" if present > 1 else "none can be held out"
        raise ConfigError(
            f"{place}: with selections = best_on_validation and {entry.labelled} labelled scans"
            f"{there}, datasets.{base_of(dataset)}.validation_scans = {held_out}: {allowed}"
        )


def _check_curves(plan: Plan, name: str, files: Files) -> None:
    """No more curves than there are colours to tell them apart, and no two points at one place."""
    figure, entries = plan.figures[name], plan.entries(name)
    place = files.at("figures", name)
    curves: dict[str, list[Any]] = {
        "training_curves": [f"{entry.row.variant} {entry.labelled}" for entry in entries],
        "threshold": sorted({entry.labelled for entry in entries}),
    }
    shown = curves.get(figure.kind, [])
    if len(shown) > MOST_CURVES:
        raise ConfigError(
            f"{place.below('labelled')} = {len(shown)} curves, {', '.join(map(str, shown))}: "
            f"allowed are 1 to {MOST_CURVES}; choose methods or labelled"
        )
    points: dict[tuple[float, int], str] = {}
    for entry in entries if figure.kind == "threshold" else ():
        tau, variant = plan.tau(entry), entry.row.variant
        other = points.setdefault((tau, entry.labelled), variant)
        if other != variant:
            raise ConfigError(
                f"{place}: rows = {other!r} and {variant!r} have tau = {tau} with "
                f"{entry.labelled} labelled scans; allowed is each once"
            )


def _check_choice(plan: Plan, name: str, files: Files) -> None:
    """The case is a test scan, chosen by a row that the figure shows; and the kind shows scans."""
    figure, wanted = plan.figures[name], plan.wanted(name)

    def place(key: str) -> Place:
        """Where the choice is written: in an experiment's file, or where the figure is."""
        if getattr(wanted, key) is None:
            return plan.places[name].below(key)
        return files.at("figures", name, key)

    given = [key for key in OF_SCANS if getattr(figure, key) != Figure.model_fields[key].default]
    if given and figure.kind not in SHOWING_SCANS:
        raise ConfigError(
            f"{place(given[0])} = {getattr(figure, given[0])!r}: allowed for kind = "
            f"{' and '.join(SHOWING_SCANS)}, not for {figure.kind}"
        )
    lists = plan.splits[plan.folds(figure.dataset)[0]]
    check_known(place("case"), figure.case, (MEDIAN, *lists.present(lists.test)))
    shown: dict[int, set[str]] = {}
    for entry in plan.entries(name):
        shown.setdefault(entry.labelled, set()).add(entry.row.variant)
    everywhere = set.intersection(*shown.values())
    judges = [variant for variant in figure.variants if variant in everywhere]
    if figure.median_of is not None:
        check_known(place("median_of"), figure.median_of, judges)
