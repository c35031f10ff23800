"""Loading and checking the configuration: all mistakes are found before any job starts.

A mistake is reported in one line that names the file, the key, the value and what is allowed.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from sgrs_core.experiment import nnunet
from sgrs_core.experiment.own_methods import check_written, is_own, name_of
from sgrs_core.experiment.schema import Experiment, Figure, MethodFile, Sheet, Splits
from sgrs_core.experiment.settings import is_plain
from sgrs_core.experiment.words import NAME, allowed_at, keys_at
from sgrs_core.experiment.yaml_file import read_yaml
from sgrs_core.log import prefix_errors

Model = TypeVar("Model")
AnySheet = TypeVar("AnySheet", bound=Sheet)
Key = tuple[Any, ...]
Values = Mapping[str, Any]

GROUPS = ("datasets", "tables", "figures")  # what an experiment has by name
TEMPLATE = "__use_yte__"  # makes Snakemake's reader, which comes first, run what stands in a file


class ConfigError(ValueError):
    """What is wrong in which file, and what is allowed; one mistake a line."""


class Place(NamedTuple):
    """Where something is written: a file, and the keys that lead to it there."""

    file: Path
    keys: Key = ()

    def below(self, *keys: Any) -> "Place":
        """A place further down."""
        return Place(self.file, (*self.keys, *keys))

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.keys)}" if self.keys else str(self.file)


def check_known(
    place: Place | str, value: object, known: Collection[object], further: str = ""
) -> None:
    """Raise ConfigError for a value that is none of those known.

    place: the file and the key in it. further: what else there is to say.
    """
    if value not in [*known]:  # which may have no hash
        allowed = ", ".join(map(str, known)) or "none"
        raise ConfigError(f"{place} = {value!r}: allowed are {allowed}{further}")


class Files:
    """An experiment's own files, of which the last one wins, and those in `root` that they name.

    root: the config folder. command_line: what --config put over all files. methods: those that no
    file there holds, by name, each with the place where it is written.
    """

    def __init__(self, own: Sequence[Path], root: Path, command_line: Values | None = None) -> None:
        self.root = root
        self.folders = [*(file.parent for file in reversed(own)), Path()]  # of methods of one's own
        self.methods: dict[str, tuple[MethodFile, Place]] = {}
        given = command_line or {}
        check_texts(given, Path("--config"))
        self._own = [*((file, read(file)) for file in own), (Path("--config"), given)]
        self._defaults: list[tuple[Path, Values]] = []  # of data sets; any other file wins

    def writer(self, place: Key) -> Path:
        """The file that wrote the longest known beginning of a place."""
        first, _ = self._own[0]
        layers = [(first, {}), *reversed(self._own), *self._defaults]
        return max(layers, key=lambda layer: _steps_held(layer[1], place))[0]  # first of equals

    def at(self, *keys: Any) -> Place:
        """A place of the experiment, in the file that wrote it."""
        return Place(self.writer(keys), keys)

    def named(self, folder: str, name: str, asked: Place | str) -> tuple[Path, dict[str, Any]]:
        """The file root/<folder>/<name>.yaml and what it holds. asked: by which file and key."""
        file = self.root / folder / f"{name}.yaml"
        if not file.is_file():
            check_known(asked, name, self._names(folder), f" (files in {file.parent})")
        return file, read(file)

    def table(self, name: str, asked: Place) -> Values:
        """A table that an experiment's file writes out, or root/tables/<name>.yaml."""
        here: dict[str, Values] = {}
        for _, values in self._own:
            tables = values.get("tables")
            for other, given in tables.items() if isinstance(tables, Mapping) else ():
                if isinstance(given, Mapping) and "rows" in given:
                    here[other] = given
        if name not in here and not (self.root / "tables" / f"{name}.yaml").is_file():
            check_known(asked, name, [*here, *self._names("tables")])
        return here[name] if name in here else self.named("tables", name, asked)[1]

    def with_defaults(self, name: str, over: Any) -> Any:
        """A data set: what its own file says, and over that what the experiment does.

        Where it is not of the right kind, as it is: the schema will say so.
        """
        if not re.fullmatch(NAME, name) or not isinstance(over, Mapping):
            return over
        if isinstance(over.get("nnunet"), str):
            try:
                return merged(nnunet.keys_of(Path(over["nnunet"]).expanduser(), over), over)
            except ValueError as error:
                key = str(error).split(" = ")[0]
                writer = self.writer(("datasets", name, key))
                raise ConfigError(f"{writer}: datasets.{name}.{error}") from None
        file = self.root / "datasets" / f"{name}.yaml"
        if not file.is_file():
            if "format" not in over:  # else it is a data set of one's own
                if "nnunet" in over:
                    place = self.at("datasets", name, "nnunet")
                    wish = "allowed are paths of folders in nnU-Net's layout"
                    raise ConfigError(f"{place} = {over['nnunet']!r}: {wish}")
                place = Place(self.writer(("datasets", name)), ("datasets",))
                check_known(place, name, self._names("datasets"))
            return over
        base = read(file)
        self._defaults.append((file, {"datasets": {name: base}}))
        return merged(base, over)

    def add_method(self, name: str, method: MethodFile, place: Place) -> None:
        """Take note of a method that no file in `root` holds; its name must be its own."""
        known, _ = self.methods.setdefault(name, (method, place))
        if known != method or (self.root / "methods" / f"{name}.yaml").is_file():
            raise ConfigError(
                f"{place.below('method')} = {method.method!r}: another method is called {name!r}; "
                "give this one another name under the experiment's `methods`, and write that in "
                "rows"
            )

    def method_of_row(self, method: Any, place: Place) -> Any:
        """The name of a row's method, which may be written as `package.module:Class`."""
        if not isinstance(method, str) or not is_own(method):
            return method  # the schema will say so if it is no name
        with prefix_errors(f"{place.below('method')} = {method!r}: ", ConfigError):
            check_written(method)
        name = name_of(method)
        self.add_method(name, MethodFile(method=method), place)
        return name

    def _names(self, folder: str) -> list[str]:
        return sorted(file.stem for file in (self.root / folder).glob("*.yaml"))


def load_experiment(values: Values, files: Files) -> Experiment:
    """Check an experiment's values, merged from its own files.

    Each data set starts from root/datasets/<name>.yaml; the experiment's own keys go over it.
    """
    whole = dict(values)
    groups = {group: whole[group] for group in GROUPS if isinstance(whole.get(group), Mapping)}
    left_out: list[str] = []  # by `only`, or by a later file's null
    if isinstance(whole.get("only"), list):
        named = [name for group in GROUPS[1:] for name in groups.get(group, {})]
        left_out += [name for name in named if name not in whole["only"]]
        groups = _only(whole["only"], groups, files)
    for group, members in groups.items():
        given = {name: over for name, over in members.items() if over is not None}
        if group == "datasets":
            whole[group] = {name: files.with_defaults(name, over) for name, over in given.items()}
        else:  # of a table or figure that is written out here, all is wanted
            left_out += members.keys() - given.keys()
            whole[group] = {k: {} if is_written_out(over) else over for k, over in given.items()}
    if isinstance(whole.get("headline"), list):
        whole["headline"] = [name for name in whole["headline"] if name not in left_out]
    return validated(Experiment, whole, files.writer)


def _only(wanted: list[Any], groups: dict[str, Values], files: Files) -> dict[str, Values]:
    """The groups with null for what is not wanted: other tables, figures, and their data sets.

    A table whose rows a wanted figure shows stays: its filter holds for both.
    """
    sheets = {
        name: group for group in GROUPS[1:] for name, over in groups.get(group, {}).items()
        if over is not None
    }  # fmt: skip
    kept: dict[str, list[Any]] = {group: [] for group in GROUPS}

    def whole(name: str) -> Values:
        given: Values = groups[sheets[name]][name]
        if is_written_out(given):
            return given
        return files.named(sheets[name], name, files.at(sheets[name]))[1]

    for name in wanted:
        check_known(files.at("only"), name, sheets)
        sheet = whole(name)
        kept[sheets[name]].append(name)
        kept["datasets"].append(sheet.get("dataset"))
        table = sheet.get("rows_of")
        if sheets[name] == "tables" or not isinstance(table, str) or sheets.get(table) != "tables":
            continue
        if whole(table).get("dataset") == sheet.get("dataset"):
            kept["tables"].append(table)
    return {
        group: {name: over if name in kept[group] else None for name, over in members.items()}
        for group, members in groups.items()
    }


def is_written_out(over: Any) -> bool:
    """Whether an experiment holds a table or figure itself, instead of naming one of ours."""
    return isinstance(over, Mapping) and bool({"rows", "rows_of", "dataset"} & over.keys())


def load_sheet(
    kind: type[AnySheet], group: str, name: str, given: Any, files: Files
) -> tuple[AnySheet, Place]:
    """A table or figure that an experiment asks for, and where it is written, for errors.

    given: what the experiment holds under <group>.<name>; where that is no table or figure itself,
    root/<group>/<name>.yaml is read.
    """
    if is_written_out(given):
        place = files.at(group, name)
        whole = _with_rows(kind, given, files, place)
        return validated(kind, whole, files.writer, place.keys), place
    file, values = files.named(group, name, Place(files.writer((group, name)), (group,)))
    place = Place(file)
    return checked(kind, _with_rows(kind, values, files, place), place), place


def load_method(name: str, files: Files, asked: Place | str) -> tuple[MethodFile, Place]:
    """A method and its place: one of `files.methods`, or root/methods/<name>.yaml.

    asked: by which file and key.
    """
    if name in files.methods:
        return files.methods[name]
    file, values = files.named("methods", name, asked)
    return checked(MethodFile, values, Place(file)), Place(file)


def published_splits(name: str, root: Path) -> Splits | None:
    """The lists of scans in root/datasets/<name>.yaml, whatever an experiment puts over them."""
    file = root / "datasets" / f"{name}.yaml"
    if not file.is_file():
        return None
    return checked(Splits, read(file)["splits"], Place(file, ("splits",)))


def merged(base: Values, over: Values) -> dict[str, Any]:
    """Two levels of a configuration, of which the second goes over the first, key by key."""
    both = {
        key: merged(base[key], value)
        for key, value in over.items()
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
    }
    return {**base, **over, **both}


def _with_rows(kind: type[Sheet], values: Values, files: Files, place: Place) -> dict[str, Any]:
    """A table or figure with its rows in full: those of `rows_of`, its own, what they leave out."""
    taken: list[Any] = []
    labelled = values.get("labelled")
    if isinstance(values.get("rows_of"), str):
        source = files.table(values["rows_of"], place.below("rows_of"))
        if "rows_of" in source:
            raise ConfigError(
                f"{place.below('rows_of')} = {values['rows_of']!r}: that table has its rows from "
                f"another; name that one, {source['rows_of']}"
            )
        taken, labelled = source.get("rows", []), labelled or source.get("labelled")
        if kind is Figure:
            taken = [
                {**row, "all_labelled": False} if isinstance(row, Mapping) else row for row in taken
            ]
    own = values.get("rows", [])
    if not isinstance(own, list) or not isinstance(taken, list):
        raise ConfigError(
            f"{place.below('rows')} = {own!r}: allowed are lists of methods, each its name or keys "
            "and values"
        )
    taken, own = ([_in_full(row, labelled, files, place) for row in rows] for rows in (taken, own))
    if isinstance(values.get("only"), list):
        named = {row.get("variant"): row for row in taken if isinstance(row, Mapping)}
        for variant in values["only"]:
            check_known(place.below("only"), variant, named)
        taken = [row for variant, row in named.items() if variant in values["only"]]
    return {**values, "rows": [*taken, *own]}


def _in_full(row: Any, labelled: Any, files: Files, place: Place) -> Any:
    """A row that is a method's name, or leaves out what follows from its table."""
    if isinstance(row, str):
        row = {"method": row}
    if not isinstance(row, Mapping):
        return row
    defaults = {} if labelled is None else {"labelled": labelled}
    if "method" in row:
        row = {**row, "method": files.method_of_row(row["method"], place.below("rows"))}
        defaults["variant"] = row["method"]
    return {**defaults, **row}


def read(file: Path) -> dict[str, Any]:
    """What a configuration file holds. Raises ConfigError."""
    with prefix_errors("", ConfigError):
        values = read_yaml(file)
    if TEMPLATE in values:
        raise ConfigError(
            f"{file}: {TEMPLATE} = {values[TEMPLATE]!r}: templates run code, so they are not "
            "allowed; write the values themselves"
        )
    check_texts(values, file)
    return values


def check_texts(values: Values, file: Path) -> None:
    """Raise ConfigError where a name is no text, or a text has half a character."""
    for section in ("datasets", "methods", "tables", "figures"):
        named = values.get(section)
        for name in named if isinstance(named, Mapping) else ():
            if not isinstance(name, str):
                raise ConfigError(f"{file}: {section}: {name!r} is no name; write it in quotes")
    for place, text in _texts(values):
        if any(unicodedata.category(character) == "Cs" for character in text):
            key = ".".join(map(str, place))
            raise ConfigError(f"{file}: {key!r} = {text!r}: allowed are whole characters")


def _texts(values: Any, place: Key = ()) -> Iterator[tuple[Key, str]]:
    """Every text in nested mappings and lists, keys included, and where it stands."""
    if isinstance(values, str):
        yield place, values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from _texts(key, (*place, "[key]"))
            yield from _texts(value, (*place, key))
    elif isinstance(values, Sequence):
        for number, value in enumerate(values):
            yield from _texts(value, (*place, number))


def _steps_held(values: Any, place: Key) -> int:
    """How many steps of the way to a place nested mappings have; a list is one value."""
    for number, step in enumerate(place):
        # JSON made texts of keys that were none.
        below = values.items() if isinstance(values, Mapping) else ()
        found = [value for key, value in below if str(key) == step]
        if not found:
            return number
        values = found[0]
    return len(place)


def checked(kind: type[Model], values: Values, place: Place) -> Model:
    """The checked values, which stand at a place. Raises ConfigError."""
    return validated(kind, values, lambda _: place.file, place.keys)


def validated(
    kind: type[Model], values: Values, writer: Callable[[Key], Path], at: Key = ()
) -> Model:
    """The checked values, which stand at the place `at`. Raises ConfigError.

    writer: tells the file that wrote what stands at a place.
    """
    try:
        # Through JSON, because only there do strict types accept a list for a tuple.
        return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        # Of a text or a list of texts, a list's mistakes are those of what it holds.
        mistakes = [
            item for item in error.errors()
            if not (item["loc"][-1:] == ("str",) and isinstance(item["input"], list))
        ]  # fmt: skip
        wrong = {item["loc"] for item in mistakes}
        lines = [
            _line(kind, item, writer((*at, *_place(item))), (*at, *item["loc"]))
            for item in mistakes
            # A list is called too short where what it holds is wrong.
            if item["type"] != "too_short" or not any(loc[:-1] == item["loc"] for loc in wrong)
        ]
        raise ConfigError("\n".join(lines)) from None


def _place(item: Values) -> Key:
    """Where the offending key stands; a group's own checks name it at the message's beginning."""
    if item["type"] == "value_error":
        return (*item["loc"], str(item["ctx"]["error"]).split(" = ")[0])
    return tuple(item["loc"])


def _line(kind: type, item: Values, file: Path, place: Key) -> str:
    """One mistake as: file: key = value: what is allowed."""
    is_unknown = item["type"] in ("extra_forbidden", "unexpected_keyword_argument")
    own = place[-1:] if is_unknown else ()  # the writer's, whatever it is called
    steps = [step for step in place[: len(place) - len(own)] if step != "list[str]"]  # pydantic's
    # A key with an end of line in it must not tear the line apart.
    key = ".".join(text if is_plain(text) else repr(text) for text in map(str, [*steps, *own]))
    if item["type"] == "value_error":
        return f"{file}: {key + '.' if key else ''}{item['ctx']['error']}"
    value = repr(item["input"]) if item["type"] != "missing" else "(missing)"
    if is_unknown:
        known = ", ".join(keys_at(kind, item["loc"][:-1]))
        said = f"unknown key; allowed are {known}" if known else "unknown key; none is allowed here"
    elif item["type"] == "refused":
        said = item["msg"]
    else:
        said = allowed_at(kind, item["loc"])
        said += _number_in_full(item["input"]) if "number" in said else ""
        said += "; write names in quotes" if _is_number_for_text(item) else ""
    return f"{file}: {key} = {value}: {said}"


def _is_number_for_text(item: Values) -> bool:
    return item["type"] == "string_type" and type(item["input"]) in (int, float)


def _number_in_full(text: object) -> str:
    """What to write for a number with an exponent, which YAML takes for a text without a point."""
    if not isinstance(text, str) or not re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", text):
        return ""
    return f"; YAML takes {text} for a text: write {Decimal(text):f}"
