"""The house: imports point one way, few modules lie at the root, each module's test is known."""

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.places import PROJECT

PACKAGE = PROJECT / "sgrs_core"
# Who may import whom: each stage those above it, none below.
ORDER = (
    "files", "digests", "clock", "log", "experiment", "data", "phantoms", "networks", "losses",
    "methods", "evaluation", "training", "reporting", "monitoring",
    "command_line",
)  # fmt: skip
MODULES = {
    ".".join(file.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(PACKAGE.rglob("*.py"))
}


def imported(file):
    """The modules of this project that a file imports, at its top or within a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sgrs_core"):
            below = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= below or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES.keys()
    return found - {"sgrs_core"}


GRAPH = {module: imported(file) for module, file in MODULES.items() if module != "sgrs_core"}


def stage(module):
    return ORDER.index(module.split(".")[1])


def test_no_module_imports_a_later_stage():
    upwards = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        for other in others
        if stage(other) > stage(module)
    ]
    assert not upwards


def test_no_modules_import_each_other_in_a_circle():
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(str(error))


def test_the_root_holds_no_more_than_five_modules():
    assert len([file for file in PACKAGE.glob("*.py") if file.name != "__init__.py"]) <= 5


def test_the_library_stays_small():
    assert sum(len(file.read_text().splitlines()) for file in MODULES.values()) <= 15_200
