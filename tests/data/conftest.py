"""Servers on this machine, for tests of downloads."""

from collections.abc import Iterator

import pytest

from tests.data.server import Server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that holds nothing yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server().running() as running:
        yield running
