"""What comes from elsewhere is data: nothing runs it, or writes where it says."""

import ast
import copy
import io
import itertools
import os
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from snakemake.io import regex_from_filepattern
from snakemake.target_jobs import parse_target_jobs_cli_args
from snakemake_interface_executor_plugins.utils import (
    TargetSpec,
    encode_target_jobs_cli_args,
    format_cli_arg,
)

from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.plan import Point
from sgrs_core.experiment.planning import load_plan
from sgrs_core.experiment.splits import is_scan_name
from sgrs_core.methods.check import check_methods
from tests.experiment.test_configuration import CONFIG, OWN, shipped
from tests.places import PROJECT
from tests.workflow.conftest import in_full

SOURCES = sorted([*PROJECT.glob("sgrs_core/**/*.py"), *PROJECT.glob("workflow_scripts/*.py")])
RULES = [PROJECT / "Snakefile", *sorted(PROJECT.glob("rules/*.smk"))]

SERIALISERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
RUNNING = {"eval", "exec", "compile", "__import__"}
COMMANDS = {
    "os": re.compile(r"system|popen|exec\w+|spawn\w+|posix_spawnp?"),
    "subprocess": re.compile(r"getoutput|getstatusoutput"),
    "yaml": re.compile(r"(full_|unsafe_)?load(_all)?|(Full|Unsafe|C|CFull|CUnsafe)?Loader"),
    "pandas": re.compile(r"read_pickle|eval"),
    "numpy": re.compile(r"load|fromregex"),
    "np": re.compile(r"load|fromregex"),
}


def dangers(text: str) -> Iterator[tuple[int, str]]:
    """Line and reason of all that would run, or unpack without looking, what it is given."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(names=names):
                yield from (
                    (node.lineno, f"import {one.name}") for one in names if one.name in SERIALISERS
                )
            case ast.ImportFrom(module=module, names=names):
                for one in names:
                    forbidden = COMMANDS.get(module or "")
                    error = one.name.endswith("Error")
                    if (module in SERIALISERS and not error) or (
                        forbidden and forbidden.fullmatch(one.name)
                    ):
                        yield node.lineno, f"from {module} import {one.name}"
                    if (module, one.name) == ("torch", "load"):
                        yield node.lineno, "torch.load by another name"
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if module in COMMANDS and COMMANDS[module].fullmatch(name):
                    yield node.lineno, f"{module}.{name}"
            case ast.Call(func=ast.Name(id=name)) if name in RUNNING:
                yield node.lineno, name
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if given.get("shell", "False") != "False":
                yield node.lineno, "shell=True"
            if given.get("allow_pickle", "False") != "False":
                yield node.lineno, "allow_pickle"
            if ast.unparse(node.func) == "torch.load" and given.get("weights_only") != "True":
                yield node.lineno, "torch.load without weights_only=True"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_no_source_runs_what_it_reads(file):
    found = [f"{file}:{line}: {what}" for line, what in dangers(file.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "from torch import load",
        "yaml.load(file, Loader=yaml.Loader)",
        "yaml.unsafe_load(file)",
        "from yaml import full_load",
        "import pickle",
        "from pickle import loads",
        "np.load(path)",
        "h.read(path, allow_pickle=True)",
        "subprocess.run(text, shell=True)",
        "subprocess.Popen(text, shell=flag)",
        "os.system(text)",
        "from os import popen",
        "eval(text)",
        "exec(text)",
    ],
)
def test_each_danger_would_be_found(text):
    assert list(dangers(text))


def test_what_is_harmless_is_not_taken_for_a_danger():
    text = """
from pickle import UnpicklingError
torch.load(path, weights_only=True)
yaml.safe_load(file)
model.eval()
subprocess.run(["git", name], shell=False)
"""
    assert list(dangers(text)) == []


def shell_words(text: str) -> list[tuple[int, str]]:
    """Words in a rules file, comments and texts left out, by which a rule could run a command."""
    directives = {"shell", "run", "wrapper", "cwl", "notebook"}
    words = {"shell", "system", "popen", "subprocess", "load", "unsafe_load", "full_load"}
    words |= RUNNING | SERIALISERS
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    return [
        (token.start[0], token.string)
        for token, following in itertools.pairwise(tokens)
        if token.type == tokenize.NAME
        if token.string in words or (token.string in directives and following.string == ":")
    ]


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.name)
def test_no_rule_hands_anything_to_a_shell(file):
    found = [f"{file}:{line}: {word}" for line, word in shell_words(file.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize("directive", ["shell", "run"])
def test_a_rule_with_a_command_would_be_found(directive):
    text = f'rule a:\n    {directive}:\n        "touch {{output}}"\n'
    assert shell_words(text) == [(2, directive)]


# Names that hypothesis makes up: any text, and texts of what shells, patterns and paths care for.
EVIL = st.one_of(
    st.text(max_size=20),
    st.text("ab/.\\{}*$`;|&<>'\"\n\r\t\0 ~-,äé\u2028\u202e\x85\x7f", min_size=1, max_size=12),
    st.sampled_from(["..", ".", "", "-n", "../../x", "/etc/x", "x" * 300, "ä" * 150, "\ud800"]),
)


def load(values: dict, folder: Path) -> Layout:
    """The layout of an experiment that stands in a file; raises ConfigError."""
    file = folder / "own.yaml"
    file.write_text(in_full(values), encoding="utf-8")
    plan = load_plan(values, [file], CONFIG)
    check_methods(plan)
    return Layout(plan)


def stays_below(path: str, folder: str) -> bool:
    """Whether a path leads straight down from a folder."""
    return os.path.normpath(path) == path and path.startswith(f"{folder}/") and "\0" not in path


REASONS = "cannot be a scan's name|stands in two places|not readable|allowed are whole characters"


@settings(max_examples=200, deadline=None)
@given(names=st.lists(EVIL, min_size=1, max_size=4, unique=True), in_a_file=st.booleans())
def test_a_scan_with_any_name_is_refused_by_name_or_is_one_file_below_the_results(
    tmp_path_factory, names, in_a_file
):
    folder = tmp_path_factory.mktemp("names")
    values = copy.deepcopy(OWN)
    given_names = ["first", "second", *names]
    place = "splits.train"
    if in_a_file:
        place = str(folder / "train.txt")
        (folder / "train.txt").write_text("\n".join(given_names), "utf-8", "surrogatepass")
        given_names = place
    values["datasets"]["mine"]["splits"]["train"] = given_names
    try:
        layout = load(values, folder)
    except ConfigError as error:
        (line,) = str(error).splitlines()
        assert line.startswith(f"{folder / 'own.yaml'}: ")
        assert place in line
        assert re.search(REASONS, line)
        return
    pattern = re.compile(regex_from_filepattern(layout.volume))
    scans = layout.plan.splits["mine"].scans()
    for scan, path in zip(scans, layout.volumes("mine", scans), strict=True):
        assert stays_below(path, "results/own/volumes/mine")
        match = pattern.fullmatch(path)  # as Snakemake finds out which scan a file is of
        assert match is not None
        assert match["scan"] == scan
        (folder / f"{scan}.nii.gz").touch()
        assert (folder / f"{scan}.nii.gz").name in os.listdir(folder)  # noqa: PTH208


def handed_on(rule: str, wildcards: dict[str, str]) -> dict[str, str]:
    """The wildcards as a cluster's job finds them after a shell has read its command line."""
    line = format_cli_arg(
        "--target-jobs", encode_target_jobs_cli_args([TargetSpec(rule, wildcards)])
    )
    command = ["sh", "-c", f"printf '%s\\0' {line}"]
    shell = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    _, *words = shell.stdout.removesuffix("\0").split("\0")
    (job,) = parse_target_jobs_cli_args(words)
    assert job.rulename == rule
    return job.wildcards_dict


@settings(max_examples=300, deadline=None)
@given(name=st.one_of(EVIL, st.text("ab $(`;|&=:~#!\"'\\,-ä", min_size=1, max_size=8)))
def test_a_scans_name_reaches_the_job_of_a_cluster_as_it_is(name):
    if is_scan_name(name) and "," not in name:  # a list's line ends at a comma
        wildcards = {"dataset": "mine", "scan": name}
        assert handed_on("prepare", wildcards) == wildcards


def test_every_run_of_the_paper_reaches_the_job_of_a_cluster_as_it_is():
    rows = load_plan(shipped("paper"), [CONFIG / "paper.yaml"], CONFIG).rows
    some = {point for point in rows if point.seed == 0}
    assert any("+" in point.variant for point in some)
    for point in some:
        wildcards = {key: str(value) for key, value in point._asdict().items()}
        assert handed_on("train", wildcards) == wildcards


def put(values: dict, place: str, text: str) -> None:
    """Write a text somewhere in an experiment."""
    dataset, table = values["datasets"]["mine"], values["tables"]["mine"]
    match place:
        case "experiment" | "data_folder" | "note":
            values[place] = text
        case "dataset":
            values["datasets"][text] = dataset
        case "table":
            values["tables"][text] = table
        case "figure":
            values["figures"] = {text: {**table, "kind": "segmentations"}}
        case "headline":
            values["headline"] = [text]
        case "folder" | "prepared_file" | "source":
            dataset[place] = text
        case "images":
            dataset["nifti"]["images"] = text
        case "method" | "variant":
            table["rows"][0][place] = text
        case "setting":
            table["rows"][0]["settings"] = {text: 1}
        case "value":
            table["rows"][0] |= {"method": "sgrs", "settings": {"teacher": text}}
        case _:
            raise AssertionError(place)


PLACES = [
    "experiment", "data_folder", "note", "dataset", "table", "figure", "headline", "folder",
    "prepared_file", "source", "images", "method", "variant", "setting", "value",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=40, deadline=None)
@given(text=EVIL)
@example(text="list[str]")  # as pydantic names a type
def test_any_text_anywhere_is_refused_in_one_line_or_every_path_stays_below_the_results(
    tmp_path_factory, place, text
):
    values = copy.deepcopy(OWN)
    put(values, place, text)
    folder = tmp_path_factory.mktemp("texts")
    try:
        layout = load(values, folder)
    except ConfigError as error:
        (line,) = str(error).splitlines()
        assert line.startswith((str(folder / "own.yaml"), str(CONFIG)))
        assert repr(text) in line or text in line
        return
    assert stays_below(layout.results, "results")
    for point in layout.plan.rows:
        assert isinstance(point, Point)
        assert stays_below(layout.record.format(**point._asdict()), layout.results)
    for name in layout.plan.sheets:
        assert all(stays_below(path, layout.results) for path in layout.outputs(name))
    data_folder = layout.plan.experiment.data_folder
    downloads = layout.downloads.format(dataset="mine", source="mirror")
    assert downloads == f"{data_folder}/mine/mirror"
