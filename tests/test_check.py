"""`sgrs check`: an experiment's files, before Snakemake reads them."""

import re

import pytest

from sgrs_core.command_line import main
from tests.places import CONFIG


def test_check_says_what_an_experiments_files_plan(capsys):
    assert main(["check", str(CONFIG / "config.yaml")]) == 0
    assert re.fullmatch(r"demo_full: \d+ runs for table2, .*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"seeds: [0]\nseeds: [1]\n", ", line 2: not readable as YAML: the key 'seeds'"),
        ("note: ä\n".encode("latin-1"), ": not UTF-8"),
        (b"a: &a [1]\nb: [*a, *a]\n", ", line 1: not readable as YAML: anchors"),
        (b"3: 4\n", ": 3 = 4: unknown key"),
        (b"seeds: [-1]\n", ": seeds.0 = -1: allowed are whole numbers from 0"),
        (b"datasets: {la: {methods: {sgrs: {taw: 1}}}}\n", ": datasets.la.methods.sgrs.taw = 1"),
    ],
)
def test_check_names_what_is_wrong_in_one_line(content, reason, tmp_path, capsys):
    file = tmp_path / "mine.yaml"
    file.write_bytes(content)
    assert main(["check", str(CONFIG / "config.yaml"), str(file)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"sgrs: error: {file}{reason}")
    assert output.err.count("\n") == 1
