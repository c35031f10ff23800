"""Loading and checking the configuration: all mistakes are found before any job starts.

A mistake is reported in one line that names the file, the key, the value and what is allowed.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as dataclass_of
from pydantic.dataclasses import is_pydantic_dataclass

from sgrs_core.experiment.schema import Experiment, Figure, MethodFile, Splits, Table
from sgrs_core.experiment.settings import CONFIG, is_plain
from sgrs_core.experiment.words import NAME, allowed_at, keys_at

Model = TypeVar("Model")
Key = tuple[Any, ...]

TEMPLATE = "__use_yte__"  # makes Snakemake's reader, which comes first, run what stands in a file


class ConfigError(ValueError):
    """What is wrong in which file, and what is allowed; one mistake a line."""


@dataclass(frozen=True)
class Origins:
    """Which file wrote which key. files: in the order of reading, the later ones win.

    defaults: keys that no experiment file wrote, and the data set's file that did.
    """

    files: Sequence[tuple[Path, Mapping[str, Any]]]
    defaults: dict[Key, Path] = field(default_factory=dict)

    def of(self, place: Key) -> Path:
        """The file that wrote the longest known beginning of a place."""
        for length in range(len(place), 0, -1):
            beginning = place[:length]
            if beginning in self.defaults:
                return self.defaults[beginning]
            for file, values in reversed(self.files):
                if _holds(values, beginning):
                    return file
        return self.files[0][0]


def load_experiment(values: Mapping[str, Any], files: Sequence[Path], root: Path) -> Experiment:
    """Check an experiment's values, merged from `files`; `root` is the config folder.

    Each data set starts from root/datasets/<name>.yaml; the experiment's own keys go over it.
    """
    origins = Origins([(file, _read(file)) for file in files])
    merged = without_nulls(values)
    datasets = merged.get("datasets")
    if isinstance(datasets, Mapping):
        merged["datasets"] = {
            name: _layered_dataset(name, over, root, origins) for name, over in datasets.items()
        }
    for group in ("tables", "figures"):
        if isinstance(merged.get(group), Mapping):
            # A table written out in the experiment is wanted whole.
            merged[group] = {
                name: {} if is_written_out(over) else over for name, over in merged[group].items()
            }
    return _check(Experiment, merged, origins)


def without_nulls(values: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment without the data sets, tables and figures that a later file set to null."""
    merged = dict(values)
    left_out: set[str] = set()
    for group in ("datasets", "tables", "figures"):
        if isinstance(merged.get(group), Mapping):
            left_out |= {name for name, over in merged[group].items() if over is None}
            merged[group] = {key: over for key, over in merged[group].items() if over is not None}
    if isinstance(merged.get("headline"), list):
        merged["headline"] = [name for name in merged["headline"] if name not in left_out]
    return merged


def is_written_out(over: Any) -> bool:
    """Whether an experiment holds a table or figure itself, instead of naming one of ours."""
    return isinstance(over, Mapping) and bool({"rows", "rows_of"} & over.keys())


def load_table(name: str, given: Any, root: Path, files: Sequence[Path]) -> Table:
    """A table that an experiment (read from `files`) asks for.

    given: what the experiment holds under tables.<name>; where that is no table itself,
    root/tables/<name>.yaml is read.
    """
    return _load_sheet(Table, "tables", name, given, root, files)


def load_figure(name: str, given: Any, root: Path, files: Sequence[Path]) -> Figure:
    """A figure that an experiment asks for; see `load_table`."""
    return _load_sheet(Figure, "figures", name, given, root, files)


def load_method(name: str, root: Path, asked: str) -> MethodFile:
    """Read root/methods/<name>.yaml; `asked` as for a table."""
    file = _file_of(name, root / "methods", asked)
    values = _read(file)
    return _check(MethodFile, values, Origins([(file, values)]))


def published_splits(name: str, root: Path) -> Splits | None:
    """The lists of scans in root/datasets/<name>.yaml, whatever an experiment puts over them."""
    file = root / "datasets" / f"{name}.yaml"
    if not file.is_file():
        return None
    values = _read(file)
    return _check(Splits, values["splits"], Origins([(file, values)]), ("splits",))


def written_by(files: Sequence[Path], place: Key, otherwise: Path) -> Path:
    """The last file that writes something at a place; `otherwise` where none does."""
    return next((file for file in reversed(files) if _holds(_read(file), place)), otherwise)


def check_settings(kind: type, settings: Mapping[str, Any], file: Path | str, where: Key) -> None:
    """Check the settings that stand at a place of a file against their class."""
    _validate(kind, settings, lambda place: file, where)


def _layered_dataset(name: str, over: Any, root: Path, origins: Origins) -> Any:
    if not re.fullmatch(NAME, name):
        return over  # the schema will say so
    base = root / "datasets" / f"{name}.yaml"
    if not base.is_file() and isinstance(over, Mapping) and "format" in over:
        return over  # a data set of one's own, written out in the experiment
    if not base.is_file():
        file, known = origins.of(("datasets", name)), _names(root / "datasets")
        raise ConfigError(f"{file}: datasets = {name!r}: allowed are {known}")
    if not isinstance(over, Mapping):
        return over  # the schema will say what is wrong with it
    return _merge(_read(base), over, base, origins.defaults, ("datasets", name))


def _merge(
    base: Mapping[str, Any],
    over: Mapping[str, Any],
    file: Path,
    defaults: dict[Key, Path],
    at: Key,
) -> dict[str, Any]:
    """`over` goes over `base`; `defaults` remembers which keys still come from `base`'s file."""
    merged = dict(over)
    for key, value in base.items():
        if isinstance(value, Mapping) and isinstance(over.get(key), Mapping):
            merged[key] = _merge(value, over[key], file, defaults, (*at, key))
        elif key not in over:
            merged[key] = value
            defaults[(*at, key)] = file
    return merged


def _load_sheet(
    model: type[Model], group: str, name: str, given: Any, root: Path, files: Sequence[Path]
) -> Model:
    if is_written_out(given):
        origins, at = Origins([(file, _read(file)) for file in files]), (group, name)
        return _check(model, _with_rows(model, given, root, files[-1]), origins, at)
    file = _file_of(name, root / group, f"{files[-1]}: {group}")
    values = _read(file)
    return _check(model, _with_rows(model, values, root, file), Origins([(file, values)]))


def _with_rows(model: type, values: Mapping[str, Any], root: Path, file: Path) -> dict[str, Any]:
    """A table or figure with its rows in full: those of `rows_of`, its own, what they leave out."""
    taken: list[Any] = []
    labelled = values.get("labelled")
    if isinstance(values.get("rows_of"), str):
        source = _read(_file_of(values["rows_of"], root / "tables", f"{file}: rows_of"))
        taken, labelled = source["rows"], labelled or source.get("labelled")
        if model is Figure:
            taken = [_without(row, "all_labelled") for row in taken]
    own = values.get("rows", [])
    if not isinstance(own, list):
        return dict(values)  # the schema will say what is wrong with it
    return {**values, "rows": [_in_full(row, labelled) for row in [*taken, *own]]}


def _without(row: Any, key: str) -> Any:
    return {k: v for k, v in row.items() if k != key} if isinstance(row, Mapping) else row


def _in_full(row: Any, labelled: Any) -> Any:
    """A row that is a method's name, or leaves out what follows from its table."""
    if isinstance(row, str):
        row = {"method": row}
    if not isinstance(row, Mapping):
        return row
    defaults = {"variant": row["method"]} if "method" in row else {}
    if labelled is not None:
        defaults["labelled"] = labelled
    return {**defaults, **row}


def _file_of(name: str, folder: Path, asked: str) -> Path:
    file = folder / f"{name}.yaml"
    if not file.is_file():
        raise ConfigError(f"{asked} = {name!r}: allowed are {_names(folder)} (files in {folder})")
    return file


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: must hold keys and values, holds {values!r}")
    if TEMPLATE in values:
        raise ConfigError(
            f"{file}: {TEMPLATE} = {values[TEMPLATE]!r}: templates run code, so they are not "
            "allowed; write the values themselves"
        )
    for place, text in _texts(values):
        if any(unicodedata.category(character) == "Cs" for character in text):
            key = ".".join(map(str, place))
            raise ConfigError(f"{file}: {key!r} = {text!r}: allowed are whole characters")
    return values


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


def _check(model: type[Model], values: Mapping[str, Any], origins: Origins, at: Key = ()) -> Model:
    """The checked values, which stand at the place `at` in their files."""
    return _validate(model, values, origins.of, at)


def _validate(
    kind: type[Model], values: Mapping[str, Any], written: Callable[[Key], Path | str], at: Key
) -> Model:
    """The checked values. written: tells the file of a place. Raises ConfigError."""
    # A method of one's own may have a plain dataclass, which alone would take unknown keys.
    if is_dataclass(kind) and not is_pydantic_dataclass(kind):
        kind = dataclass_of(frozen=True, config=CONFIG)(kind)  # type: ignore[assignment]
    try:
        # Through JSON, because only there do strict types accept a list for a tuple.
        return TypeAdapter(kind).validate_json(_as_json(values), strict=True)
    except ValidationError as error:
        mistakes = error.errors()
        wrong = {item["loc"] for item in mistakes}
        lines = [
            _line(kind, item, written((*at, *_place(item))), (*at, *item["loc"]))
            for item in mistakes
            # A list is called too short where what it holds is wrong.
            if item["type"] != "too_short" or not any(loc[:-1] == item["loc"] for loc in wrong)
        ]
        raise ConfigError("\n".join(lines)) from None


def _as_json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=str)


def _place(item: Mapping[str, Any]) -> Key:
    """Where the offending key stands; a group's own checks name it at the message's beginning."""
    if item["type"] == "value_error":
        return (*item["loc"], str(item["ctx"]["error"]).split(" = ")[0])
    return tuple(item["loc"])


def _holds(values: Any, place: Key) -> bool:
    """Whether nested mappings and lists have something at a place."""
    try:
        for step in place:
            values = values[step]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _line(kind: type, item: Mapping[str, Any], file: Path | str, place: Key) -> str:
    """One mistake as: file: key = value: what is allowed."""
    # A key with an end of line in it must not tear the line apart.
    key = ".".join(text if is_plain(text) else repr(text) for text in map(str, place))
    if item["type"] == "value_error":
        return f"{file}: {key + '.' if key else ''}{item['ctx']['error']}"
    value = repr(item["input"]) if item["type"] != "missing" else "(missing)"
    if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        allowed = ", ".join(keys_at(kind, item["loc"][:-1]))
        return f"{file}: {key} = {value}: unknown key; allowed are {allowed}"
    if item["type"] == "twice":
        return f"{file}: {key} = {value}: {item['msg']}"
    return f"{file}: {key} = {value}: {allowed_at(kind, item['loc'])}"


def _names(folder: Path) -> str:
    return ", ".join(sorted(file.stem for file in folder.glob("*.yaml"))) or "none"
