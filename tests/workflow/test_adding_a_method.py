"""A stranger's method, added as docs/adding-a-method.md says, stands in the table."""

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ENVIRONMENT, PROJECT, QUICK

pytestmark = pytest.mark.slow


def copy_project(destination: Path) -> None:
    """The project's own files, as git lists them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.splitlines()):
        source = PROJECT / name
        if source.is_file() and not name.startswith(("tests/golden", "results")):
            (destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, destination / name)


def follow_the_page(project: Path) -> None:
    """Carry out the four steps of the page, with the code that the page shows."""
    page = (project / "docs/adding-a-method.md").read_text()
    code, configuration, row = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)
    lines = [line.removeprefix("   ") for line in code.splitlines()]
    (project / "sgrs_core/methods/smooth.py").write_text("\n".join(lines))
    lines = [line.removeprefix("   ") for line in configuration.splitlines()]
    (project / "config/methods/smooth.yaml").write_text("\n".join(lines))
    methods = project / "sgrs_core/methods/__init__.py"
    text = methods.read_text().replace('    "vnet"', '    "smooth": Smooth,\n    "vnet"')
    methods.write_text("from sgrs_core.methods.smooth import Smooth\n" + text)
    with (project / "config/tables/table2.yaml").open("a") as table:
        table.write(row.removeprefix("   "))


def test_a_method_in_one_file_stands_in_the_table(tmp_path):
    project = tmp_path / "project"
    copy_project(project)
    follow_the_page(project)
    quick = yaml.safe_load(QUICK.read_text())
    quick |= {"tables": {"table2": {"labelled": [4], "methods": ["smooth"]}}, "figures": {}}
    quick |= {"headline": ["table2"], "selections": ["last"]}
    (tmp_path / "quick.yaml").write_text(yaml.safe_dump(quick))
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "../quick.yaml"],
        cwd=project, capture_output=True, text=True, check=False,
        env={**ENVIRONMENT, "PYTHONPATH": str(project)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    with (project / "results/quick/tables/table2.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == "smooth"]
    assert {row["seeds"] for row in rows} == {"1"}
    assert all(row["dice_ours"] for row in rows)
