"""docs/configuration.md and config/schemas/*.json, made from the classes of the configuration.

    .venv/bin/python docs/tools/configuration_page.py

Keys, types, bounds, defaults and meanings are those of the JSON schemas that pydantic makes of the
classes; in the page they stand in words.
"""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from sgrs_core.experiment.own_methods import PATTERN as OWN_METHOD
from sgrs_core.experiment.schema import (
    Dataset,
    Experiment,
    Figure,
    FigureFilter,
    Idc,
    Labels,
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
    Slices,
    TrainingSettings,
)
from sgrs_core.experiment.words import schema_of, words
from sgrs_core.files import write_text
from sgrs_core.methods import METHODS

ROOT = Path(__file__).parents[2]
INTRODUCTION = """\
# Configuration: every key

Made from the code by

```bash
.venv/bin/python docs/tools/configuration_page.py
```

An experiment is one or more YAML files after `--configfile`; later files win, key by key, and a
list is replaced as a whole. Each of its data sets starts from `config/datasets/<name>.yaml`, and
what the experiment says goes over it; the defaults below hold for what neither says. `null` for a
data set, table or figure leaves it out. An unknown key or a value that is not allowed stops
everything before the first job, in a line that names file, key, value and what is allowed. Editors
with a YAML language server show keys, meanings and mistakes while one types: the first line of each
file here names its schema in `config/schemas`.

`--config 'seeds=[0, 1]'` says a key on the command line, over all files, in YAML as in
a file.

What is no YAML at all (tabs, no closing bracket, another encoding than UTF-8, an empty file)
Snakemake refuses itself, in its own words and without the file's name, before anything here is
read. `sgrs check FILE...` takes the files that come after `--configfile`, and names the one, the
line and the cause.
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
    ("`datasets.<name>.idc`", Idc),
    ("`datasets.<name>.labels`", Labels),
    ("`datasets.<name>.withdrawn`", Withdrawn),
    ("`tables.<name>`: a filter, and how to judge", TableFilter),
    ("`figures.<name>`: a filter, and what to show", FigureFilter),
    ("`tables.<name>` written out, `config/tables/<name>.yaml`", Table),
    ("`margin` of a table", Margins),
    ("`figures.<name>` written out, `config/figures/<name>.yaml`", Figure),
    ("`slices` of a figure", Slices),
    ("`rows` of both", Row),
    ("`methods.<name>`, `config/methods/<name>.yaml`", MethodFile),
    ("`official.<data set>` in it", Recipe),
]
SETTINGS = """\
## Settings of the methods

For `settings` in `config/methods/<name>.yaml` and in a table's `rows`. How papers and public code
differ in them: [methods](methods/README.md).
"""


# What an editor is told, by the name of a file in config/schemas.
FILES: dict[str, type] = {
    "experiment": Experiment,
    "dataset": Dataset,
    "method": MethodFile,
    "table": Table,
    "figure": Figure,
}


class Key(NamedTuple):
    """One line of a table: a key, in words what it may be, its default as YAML, its meaning."""

    name: str
    value: str
    default: str
    meaning: str


def page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION]
    for title, kind in SECTIONS:
        summary = schema_of(kind)["description"].split("\n\n")[0].replace("\n", " ")
        parts.append(f"## {title}\n\n{summary}\n\n{_table(keys_of(kind))}")
    parts.append(SETTINGS)
    for name, method in METHODS.items():
        keys = keys_of(method.Settings)
        parts.append(f"### `{name}`\n\n{_table(keys) if keys else 'None.' + chr(10)}")
    return "\n".join(parts)


def keys_of(kind: type) -> list[Key]:
    """The keys of a class of settings, in its order."""
    schema = schema_of(kind)
    needed = schema.get("required", ())
    return [
        Key(name, words(node), _default(node, name in needed), node.get("description", ""))
        for name, node in schema.get("properties", {}).items()
    ]


def _default(node: dict[str, Any], needed: bool) -> str:
    if needed:
        return "needed"
    value = node.get("default")
    if value == "":
        return "none"
    if isinstance(value, dict) and value:
        return "its keys' own"
    if isinstance(value, float):
        return f"`{value:.4g}`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _table(keys: list[Key]) -> str:
    lines = ["| key | value | default | what |", "| --- | --- | --- | --- |"]
    for key in keys:
        cells = (f"`{key.name}`", key.value, key.default, _markdown(key.meaning))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _markdown(meaning: str) -> str:
    """A meaning on one line, in which `<name>` is not HTML."""
    words_ = " ".join(meaning.split()).split("`")
    words_[::2] = [part.replace("<", "&lt;").replace("|", r"\|") for part in words_[::2]]
    return "`".join(words_)


def editor_schemas() -> dict[str, str]:
    """The JSON schemas by which editors complete and check each kind of file."""
    schemas = {name: deepcopy(dict(schema_of(kind))) for name, kind in FILES.items()}
    _let_experiments_go_over_files(schemas["experiment"])
    _tell_settings_of_methods(schemas["method"])
    for name in ("experiment", "table", "figure"):
        _let_rows_be_short(schemas[name])
    return {name: json.dumps(schema, indent=1) + "\n" for name, schema in schemas.items()}


def _let_experiments_go_over_files(schema: dict[str, Any]) -> None:
    """A file may be a part of an experiment, with a part of a data set, a whole table, or null."""
    parts = schema["$defs"]
    schema.pop("required")
    for name in ("Dataset", "Splits"):
        parts[name].pop("required", None)
    for group, kind in (("tables", Table), ("figures", Figure)):
        whole = deepcopy(dict(schema_of(kind)))
        parts.update(whole.pop("$defs", {}))
        parts[kind.__name__] = whole
        _allow(schema["properties"][group], {"$ref": f"#/$defs/{kind.__name__}"}, {"type": "null"})
    _allow(schema["properties"]["datasets"], {"type": "null"})


def _let_rows_be_short(schema: dict[str, Any]) -> None:
    """A row may leave out what follows from its table, and be a method's name alone."""
    for sheet in [schema, *(schema["$defs"].get(name, {}) for name in ("Table", "Figure"))]:
        if "rows_of" in sheet.get("properties", {}):
            sheet["required"] = [key for key in sheet.get("required", ()) if key != "rows"]
            rows = sheet["properties"]["rows"]
            rows["items"] = {"anyOf": [rows["items"], {"type": "string"}]}
    row = schema["$defs"]["Row"]
    row["required"] = ["method"]
    row["properties"]["method"]["pattern"] += f"|{OWN_METHOD}"


def _allow(group: dict[str, Any], *more: dict[str, Any]) -> None:
    """Let the values under a group's free names be something else, too."""
    patterns = group["patternProperties"]
    for pattern, node in patterns.items():
        patterns[pattern] = {"anyOf": [node, *more]}


def _tell_settings_of_methods(schema: dict[str, Any]) -> None:
    """The settings of a method's file are those of its method."""
    schema["properties"]["method"]["anyOf"] = [{"enum": list(METHODS)}, {"pattern": OWN_METHOD}]
    schema["allOf"] = [
        {
            "if": {"properties": {"method": {"const": name}}},
            "then": {"properties": {"settings": schema_of(method.Settings)}},
        }
        for name, method in METHODS.items()
    ]


if __name__ == "__main__":
    write_text(ROOT / "docs/configuration.md", page())
    for name, text in editor_schemas().items():
        write_text(ROOT / f"config/schemas/{name}.json", text)
