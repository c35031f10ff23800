"""The page of keys and the editors' schemas say what the configuration's classes say."""

import json

import jsonschema
import pytest
import yaml

from docs.tools.configuration_page import SECTIONS, editor_schemas, keys_of, page
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods import METHODS
from tests.places import CONFIG, PROJECT

CLASSES = {kind for _, kind in SECTIONS} | {method.Settings for method in METHODS.values()}
SCHEMAS = editor_schemas()
FILES = sorted(file for file in CONFIG.rglob("*.yaml"))
MAKE = "run: .venv/bin/python docs/tools/configuration_page.py"


def test_the_page_is_up_to_date():
    assert (PROJECT / "docs/configuration.md").read_text(encoding="utf-8") == page(), MAKE


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_editors_schema_is_up_to_date(name):
    assert (CONFIG / f"schemas/{name}.json").read_text(encoding="utf-8") == SCHEMAS[name], MAKE


@pytest.mark.parametrize("kind", sorted(CLASSES, key=lambda kind: kind.__name__))
def test_every_key_has_a_meaning(kind):
    assert [key.name for key in keys_of(kind) if not key.meaning] == []


def test_the_page_says_type_bounds_and_default_of_a_key():
    keys = {key.name: key for key in keys_of(TrainingSettings)}
    assert keys["iterations"][1:3] == ("whole number from 1 to 1000000000", "`15000`")
    assert keys["dropout"].value == "number from 0 to below 1"
    assert keys["patch"].value == "3 whole numbers from 16 to 1024, multiples of 16"
    assert keys["augmentation"].value == "`rotate_flip`, `none`"


def schema_of(file):
    """What the first line of a configuration file tells an editor."""
    first = file.read_text(encoding="utf-8").split("\n")[0]
    start = "# yaml-language-server: $schema="
    assert first.startswith(start), f"{file}: {start}... is to be its first line"
    return json.loads((file.parent / first.removeprefix(start)).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(CONFIG)))
def test_an_editor_finds_no_mistake_in_a_file_that_is_shipped(file):
    jsonschema.Draft202012Validator.check_schema(schema_of(file))
    jsonschema.validate(yaml.safe_load(file.read_text(encoding="utf-8")), schema_of(file))


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("la.yaml", {"seed": [0]}),
        ("la.yaml", {"seeds": ["one"]}),
        ("la.yaml", {"datasets": {"la": {"training": {"iterations": 0}}}}),
        ("la.yaml", {"tables": {"table2": {"rows": [{"variant": "a"}]}}}),
        ("methods/sgrs.yaml", {"settings": {"alpha_": 1}}),
        ("methods/sgrs.yaml", {"method": "sgr"}),
        ("datasets/la.yaml", {"source": "cloud"}),
    ],
)
def test_an_editor_sees_a_mistake(file, changed):
    values = yaml.safe_load((CONFIG / file).read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, **changed}, schema_of(CONFIG / file))
