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


# Which tests cover a module that has none of its name.
TESTED_IN = {
    "golden/test_bcp_golden.py": ["methods.mixing"],
    "data/formats/test_image_files.py": ["data.formats.nifti"],
    "data/formats/test_dicom.py": ["data.formats.quiet"],
    "data/preprocessing/test_custom.py": ["data.preprocessing.modality"],
    "data/preprocessing/test_pancreas.py": ["data.preprocessing.placement"],
    "data/preprocessing/test_to_h5.py": ["data.preprocessing.reading", "experiment.originals"],
    "data/test_sampling.py": ["data.batch"],
    "evaluation/test_predict_command.py": ["evaluation.mask_maker"],
    "evaluation/test_prediction.py": ["data.preprocessing.new_scan"],
    "experiment/test_configuration.py": [
        "experiment.plan", "experiment.planning", "experiment.schema", "experiment.words",
    ],
    "evaluation/test_model.py": ["experiment.run"],
    "methods/test_bcp.py": ["data.components"],
    "methods/test_vnet.py": ["methods.base"],
    "phantoms/test_brats2019.py": ["phantoms.brain"],
    "phantoms/test_la.py": ["phantoms.shapes"],
    "phantoms/test_pancreas.py": ["phantoms.abdomen"],
    "reporting/figures/test_curves_and_pairs.py": [
        "reporting.figures.paired_scores", "reporting.figures.training_curves",
    ],
    "reporting/figures/test_segmentations.py": [
        "reporting.figures.cases", "reporting.figures.planes", "reporting.figures.style",
    ],
    "reporting/html/test_page.py": [
        "reporting.html.case", "reporting.html.contents", "reporting.html.documents",
        "reporting.html.runs", "reporting.html.sortable", "reporting.templating",
    ],
    "reporting/test_tables.py": ["evaluation.units"],
    "test_status.py": ["monitoring.as_planned", "monitoring.planned", "monitoring.traces"],
}  # fmt: skip
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


def reached(modules):
    """Modules and all that they import, and so on."""
    found, left = set(), set(modules)
    while left:
        found.add(module := left.pop())
        left |= GRAPH.get(module, set()) - found
    return found


def test_each_module_has_a_test_of_its_name_or_it_is_said_which_test_covers_it():
    own = {file.stem.removeprefix("test_") for file in (PROJECT / "tests").rglob("test_*.py")}
    without = {
        module.removeprefix("sgrs_core.")
        for module, file in MODULES.items()
        if file.stem not in {*own, "__init__"}
    }
    assert without == {module for modules in TESTED_IN.values() for module in modules}


@pytest.mark.parametrize("test", [test for test in TESTED_IN if not test.startswith("workflow")])
def test_a_test_that_covers_a_module_comes_to_it(test):
    """What a workflow test covers runs in processes of their own."""
    covered = {f"sgrs_core.{module}" for module in TESTED_IN[test]}
    assert covered <= reached(imported(PROJECT / "tests" / test))


def test_the_library_stays_small():
    assert sum(len(file.read_text().splitlines()) for file in MODULES.values()) <= 18_174
