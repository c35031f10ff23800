"""Servers on this machine, for tests of downloads."""

import os
from collections.abc import Iterator

import pytest

from tests.data.server import Server


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes that were sent to the disk; tests do not wait for it."""
    inodes: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda file: inodes.add(os.fstat(file).st_ino))
    return inodes


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that holds nothing yet."""
    with Server().running() as running:
        yield running
