"""A configuration file that YAML reads, but not as it looks, is refused by file and line."""

import re

import pytest
import yaml

from sgrs_core.experiment.yaml_file import read_yaml
from tests.places import CONFIG

LAUGHS = "a: &a [1, 1]\n" + "".join(
    f"{key}: &{key} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, key in zip("abcdefghij", "bcdefghijk", strict=True)
)


@pytest.mark.parametrize("file", sorted(CONFIG.rglob("*.yaml")), ids=lambda file: file.name)
def test_what_is_shipped_is_read_as_any_reader_reads_it(file):
    assert read_yaml(file) == yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("seeds: [0]\nseeds: [1]\n", 2, "the key 'seeds' stands there twice"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", 4, "the key 'b' stands there twice"),
        ("iterations: 1:30\n", 1, "1:30 is read in base 60 or 8"),
        ("iterations: 010\n", 1, "010 is read in base 60 or 8"),
        ("share: 1:30.5\n", 1, "1:30.5 is read in base 60 or 8"),
        ("a: &a {b: 1}\nc: *a\n", 1, "anchors and aliases"),
        ("datasets: &a {la: *a}\n", 1, "anchors and aliases"),
        (LAUGHS, 1, "anchors and aliases"),
        ("<<: {a: 1}\n", 1, "the key '<<' is no name"),
        ("null: 1\n", 1, "the key 'null' is no name"),
        ("a: {1.5: 2}\n", 1, "the key '1.5' is no name"),
        ("? [a, b]\n: 1\n", 1, "the key 'a list or mapping' is no name"),
        ("a: 1\n---\nb: 2\n", 2, "expected a single document"),
        ("a:\n\tb: 3\n", 2, "cannot start any token"),
        ("a: [1\n", 2, "expected"),
        ("a: !!python/object:os.system {}\n", 1, "could not determine a constructor"),
    ],
)
def test_what_would_surprise_is_refused_with_its_line(text, line, reason, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(reason)) as refusal:
        read_yaml(file)
    assert str(refusal.value).startswith(f"{file}, line {line}: not readable as YAML: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must hold keys and values, is empty"),
        (b"# only a comment\n", "must hold keys and values, is empty"),
        (b"- a\n- b\n", "must hold keys and values, holds ['a', 'b']"),
        (b"hello\n", "must hold keys and values, holds 'hello'"),
        ("note: ä\n".encode("latin-1"), "not UTF-8"),
        ("seeds: [0]\n".encode("utf-16"), "not UTF-8"),
        (b"a: \x00\n", "not readable as YAML"),
    ],
)
def test_what_holds_no_keys_is_refused(content, reason, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{file}: {reason}")) as refusal:
        read_yaml(file)
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes("seeds: [0]\n".encode("utf-8-sig"))
    assert read_yaml(file) == {"seeds": [0]}


def test_a_file_that_is_nested_without_end_is_refused_by_name(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("a: " + "[" * 3000 + "]" * 3000)
    with pytest.raises(ValueError, match=r"mine\.yaml: not readable as YAML: nested too deeply"):
        read_yaml(file)
