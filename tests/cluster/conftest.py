"""A cluster of one node, and the workflow tests' way of running Snakemake."""

import pytest

from tests.cluster import one_node
from tests.workflow.conftest import (  # noqa: F401  (fixtures)
    begin,
    command,
    finished,
    prepared,
    snakemake,
    succeed,
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A real SLURM, running until the module's tests have ended."""
    if reason := one_node.why_not():
        pytest.skip(f"no SLURM can be started here: {reason}")
    with one_node.running(tmp_path_factory.mktemp("slurm")):
        yield
