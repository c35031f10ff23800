"""Where the golden numbers lie, and that none of them lies there for nothing."""

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.golden.stored import Arrays, Tensors

# file/name of arrays that no test need ask for, and why
REMARKS = {
    "*/fill_rule": "a remark; the rule is `stored.fill`",
    "bcp/input": "no network's output for it is stored",
    "bcp/crop_pancreas_*": "of a recipe's own crops; here all methods share theirs",
    "caml/label": "of no stored output",
    "cobionet/input": "no network's output for it is stored",
    "cobionet_loop/smallest_margin": "how far from the threshold every probability was",
}
PASSED: set[str] = set()  # tests of this process


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        PASSED.add(report.nodeid)


@pytest.fixture(scope="module")
def golden(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Arrays]]:
    """A function from a file's name without suffix to its arrays.

    The files lie beside these tests, or in the folder named by SGRS_GOLDEN. Raises
    FileNotFoundError, naming the path, where the folder lacks the file. When all tests of a module
    have passed, an array that none of them has asked for is an error; `REMARKS` excepted.
    """
    folder = Path(os.environ.get("SGRS_GOLDEN") or Path(__file__).parent)
    opened: dict[str, Arrays] = {}

    def read(name: str) -> Arrays:
        if name not in opened:
            opened[name] = Arrays(folder / f"{name}.npz")
        return opened[name]

    yield read
    if all(test.nodeid in PASSED for test in request.node.collect()):
        unread = {f"{file}/{name}" for file, arrays in opened.items() for name in arrays.unread}
        forgotten = [each for each in sorted(unread) if not any(fnmatch(each, r) for r in REMARKS)]
        if forgotten:
            pytest.fail(f"no test asks for {', '.join(forgotten)}", pytrace=False)


@pytest.fixture(scope="module")
def tensors(golden: Callable[[str], Arrays]) -> Callable[[str], Tensors]:
    """The same with tensors."""
    return lambda name: Tensors(golden(name))
