"""docs/configuration.md, made from the schema: every key, its values, its default, its meaning.

    python docs/tools/configuration_page.py docs/configuration.md

Meanings are read from the classes' docstrings (`key: meaning.`), bounds from the fields; where a
class checks its values itself, a value that cannot be right is tried, and what the error allows
stands on the page.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from sgrs_core.experiment.schema import (
    NAME,
    Dataset,
    Experiment,
    Figure,
    FigureFilter,
    MethodFile,
    Mirror,
    Phantom,
    Recipe,
    Row,
    Splits,
    Table,
    TableFilter,
    Tcia,
    Withdrawn,
)
from sgrs_core.experiment.settings import (
    InferenceSettings,
    Margins,
    NiftiSettings,
    TrainingSettings,
)
from sgrs_core.experiment.slices import Slices
from sgrs_core.files import write_text
from sgrs_core.methods import METHODS

INTRODUCTION = """\
# Configuration: every key

Made from the code by

```bash
.venv/bin/python docs/tools/configuration_page.py docs/configuration.md
```

An experiment is one or more YAML files after `--configfile`; later files win, key by key, and a
list is replaced as a whole. Each of its data sets starts from `config/datasets/<name>.yaml`, and
what the experiment says goes over it; the defaults below hold for what neither says. `null` for a
data set, table or figure leaves it out. An unknown key or a value that is not allowed stops
everything before the first job, in a line that names file, key, value and what is allowed.
"""

SECTIONS: list[tuple[str, type]] = [
    ("An experiment: `config/<experiment>.yaml`", Experiment),
    ("`datasets.<name>`, `config/datasets/<name>.yaml`", Dataset),
    ("`datasets.<name>.splits`", Splits),
    ("`datasets.<name>.training`", TrainingSettings),
    ("`datasets.<name>.inference`", InferenceSettings),
    ("`datasets.<name>.nifti`", NiftiSettings),
    ("`datasets.<name>.phantom`", Phantom),
    ("`datasets.<name>.mirror`", Mirror),
    ("`datasets.<name>.tcia`", Tcia),
    ("`datasets.<name>.withdrawn`", Withdrawn),
    ("`tables.<name>`: a filter, and how to judge", TableFilter),
    ("`figures.<name>`: a filter, and what to show", FigureFilter),
    ("`tables.<name>` written out, `config/tables/<name>.yaml`", Table),
    ("`margin` of a table", Margins),
    ("`figures.<name>` written out, `config/figures/<name>.yaml`", Figure),
    ("`slices` of a figure", Slices),
    ("`rows` of both", Row),
    ("`config/methods/<name>.yaml`", MethodFile),
    ("`official.<data set>` in it", Recipe),
]
SETTINGS = """\
## Settings of the methods

For `settings` in `config/methods/<name>.yaml` and in a table's `rows`. How papers and public code
differ in them: [methods](methods/README.md).
"""

PLAIN = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`", Any: "any"}


@dataclass(frozen=True)
class Key:
    """One line of a table: a key, in words what it may be, its default as YAML, its meaning."""

    name: str
    value: str
    default: str
    meaning: str


def page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION]
    for title, kind in SECTIONS:
        parts.append(f"## {title}\n\n{_summary(kind)}\n\n{_table(keys_of(kind))}")
    parts.append(SETTINGS)
    for name, method in METHODS.items():
        keys = keys_of(method.Settings)
        text = _table(keys) if keys else "None.\n"
        parts.append(f"### `{name}`\n\n{text}")
    return "\n".join(parts)


def keys_of(kind: type) -> list[Key]:
    """The keys of a class of settings, in its order."""
    meanings, hints = meanings_of(kind), get_type_hints(kind, include_extras=True)
    given = dict(_fields(kind))
    return [
        Key(name, _value(kind, name, hints[name], bounds), default, meanings.get(name, ""))
        for name, (default, bounds) in given.items()
    ]


def meanings_of(kind: type) -> dict[str, str]:
    """What a class's docstring says of each of its keys: `key: meaning.`, `key, key: meaning.`"""
    names = "|".join(sorted((name for name, _ in _fields(kind)), key=len, reverse=True))
    if not names:
        return {}
    entry = re.compile(rf"(?:^|(?<=[.;] ))((?:{names})(?:(?:, | and )(?:{names}))*): ")
    meanings = {}
    for paragraph in _docstring(kind).split("\n\n")[1:]:
        _, *found = entry.split(" ".join(paragraph.split()))
        for keys, meaning in zip(found[::2], found[1::2], strict=True):
            for name in re.split(", | and ", keys):
                meanings[name] = meaning.strip().rstrip(";.")
    return meanings


def _docstring(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _summary(kind: type) -> str:
    return _docstring(kind).split("\n\n")[0].replace("\n", " ")


def _table(keys: list[Key]) -> str:
    lines = ["| key | value | default | what |", "| --- | --- | --- | --- |"]
    for key in keys:
        cells = (f"`{key.name}`", key.value, key.default, _markdown(key.meaning))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _markdown(meaning: str) -> str:
    """A docstring's words: YAML's null for Python's None, and `<name>` not as HTML."""
    words = re.sub(r"\bNone\b", "null", meaning).split("`")
    words[::2] = [part.replace("<", "&lt;").replace("|", r"\|") for part in words[::2]]
    return "`".join(words)


def _fields(kind: type) -> Iterator[tuple[str, tuple[str, list[Any]]]]:
    """Each key with its default, as YAML writes it, and the bounds that its field names."""
    if is_dataclass(kind):
        for field in fields(kind):
            yield field.name, (_yaml(field.default), [])
    elif issubclass(kind, BaseModel):
        for name, info in kind.model_fields.items():
            yield name, (_yaml(info.default), list(info.metadata))


def _yaml(value: Any) -> str:
    if value in (MISSING, PydanticUndefined):
        return "needed"
    if value == "":
        return "none"
    if is_dataclass(value):
        return "its keys' own"
    if isinstance(value, float):
        return f"`{value:.4g}`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _value(kind: type, name: str, hint: Any, bounds: list[Any]) -> str:
    """What a key may be: what its class allows where it says so, else its type and bounds."""
    words = _words(hint, bounds)
    allowed = _allowed_by_check(kind, name, hint)
    if not allowed:
        return words
    if allowed.startswith(("whole numbers", "numbers")):  # which says the type, too
        several = get_origin(hint) is tuple
        return (
            f"{len(get_args(hint))} {allowed}" if several else allowed.replace("numbers", "number")
        )
    return f"{words}: {allowed.replace(', or null', '')}"


def _words(hint: Any, bounds: list[Any]) -> str:
    """A type in words."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner = [one for extra in parts[1:] for one in _metadata(extra)]
        return _words(parts[0], [*inner, *bounds])
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, UnionType):
        return "; or ".join(
            "`null`" if part is NoneType else _words(part, bounds) for part in parts
        )
    if origin is tuple:
        if parts[1:] == (...,):
            return f"list of {_plural(_words(parts[0], []))}"
        return f"{len(parts)} {_plural(_words(parts[0], []))}"  # all of one kind
    if origin is list:
        some = "one or more of: " if any(isinstance(one, MinLen) for one in bounds) else "list of: "
        return some + _words(parts[0], [])
    if origin is dict or origin is Mapping:
        return "by name: " + _words(parts[1], [])
    if is_dataclass(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return "keys of its own, below"
    if any(getattr(one, "pattern", None) == NAME for one in bounds):
        return "1 to 100 letters, digits, `_` and `-`"
    ends = [f" from {one.ge}" for one in bounds if isinstance(one, Ge)]
    ends += [f" to below {one.lt}" for one in bounds if isinstance(one, Lt)]
    return PLAIN[hint] + "".join(ends)


def _metadata(extra: Any) -> list[Any]:
    return list(extra.metadata) if isinstance(extra, FieldInfo) else [extra]


def _plural(words: str) -> str:
    return words.replace("number", "numbers").replace("text", "texts")


def _allowed_by_check(kind: type, name: str, hint: Any) -> str:
    """What a class's own check says that it allows, asked by a value that cannot be right."""
    if not is_dataclass(kind):
        return ""
    for value in _impossible(hint):
        try:
            kind(**{name: value})
        except ValueError as error:
            if str(error).startswith(f"{name} = "):
                return str(error).split(": allowed are ")[-1]
    return ""


def _impossible(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not NoneType)
    if get_origin(hint) is tuple:
        parts = get_args(hint)
        yield () if parts[1:] == (...,) else (-1,) * len(parts)
    if hint in (int, float):
        yield hint(-1)
    if hint is str:
        yield ""


if __name__ == "__main__":
    write_text(Path(sys.argv[1]), page())
