"""Servers that are slow, busy, cut off or say no."""

import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from sgrs_core.data.download.http import DownloadError, RetryPolicy, open_url
from tests.data.server import (
    CONTENT,
    HASTY,
    PATIENT,
    Fault,
    Server,
    cut,
    cut_in_chunks,
    sleep_first,
    stall,
    status,
)


@pytest.fixture
def server(server: Server) -> Server:
    """A server that holds one file."""
    server.contents["scan.h5"] = CONTENT
    return server


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait, none of which is waited for."""
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=waits.append))
    return waits


def read(url: str, policy: RetryPolicy) -> bytes:
    def attempt() -> bytes:
        with open_url(url, policy.timeout) as response:
            return response.content

    return policy.call(attempt)


@pytest.mark.parametrize(
    "fault",
    [*map(status, (408, 429, 500, 503)), cut, cut_in_chunks],
    ids=["408", "429", "500", "503", "cut", "cut in chunks"],
)
def test_a_busy_server_or_a_broken_connection_is_asked_again(server: Server, fault: Fault) -> None:
    server.fails("scan.h5", fault, fault)

    assert read(f"{server.url}/scan.h5", PATIENT) == CONTENT
    assert server.asked["scan.h5"] == 3


@pytest.mark.parametrize("fault", [stall, sleep_first])
def test_a_slow_server_is_asked_again(server: Server, fault: Fault) -> None:
    server.fails("scan.h5", fault)

    assert read(f"{server.url}/scan.h5", HASTY) == CONTENT
    assert server.asked["scan.h5"] > 1


def test_the_wait_doubles_between_attempts(server: Server, waits: list[float]) -> None:
    server.fails("scan.h5", *[status(503)] * 3)

    read(f"{server.url}/scan.h5", RetryPolicy(retries=3, backoff=0.5))

    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("7", 7.5),
        ("86400", 120.5),  # nobody waits until tomorrow
        (formatdate(time.time() + 86400, usegmt=True), 120.5),
        (formatdate(0, usegmt=True), 0.5),  # a date long gone
        ("soon", 0.5),
    ],
    ids=["seconds", "a day", "tomorrow", "1970", "no time"],
)
def test_a_server_that_says_when_is_asked_then(
    server: Server, waits: list[float], asked: str, wait: float
) -> None:
    server.fails("scan.h5", status(429, Retry_After=asked))

    assert read(f"{server.url}/scan.h5", RetryPolicy(backoff=0.5)) == CONTENT
    assert waits == [wait]


def test_a_server_that_stays_busy_is_given_up_by_name(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.fails("scan.h5", *[status(503)] * 10)

    with pytest.raises(DownloadError, match=r"scan\.h5: .* 503 .* after 4 attempts.*run again$"):
        read(f"{server.url}/scan.h5", PATIENT)

    assert server.asked["scan.h5"] == 4
    told = f"{server.url}/scan.h5: the server answered 503 Service Unavailable; next attempt in"
    assert [message.startswith(told) for message in caplog.messages] == [True] * 3


@pytest.mark.parametrize("code", [204, 206, 401, 403, 404, 410])
def test_a_refusal_fails_at_once_with_its_status(server: Server, code: int) -> None:
    server.fails("scan.h5", status(code))

    with pytest.raises(DownloadError, match=rf"scan\.h5: .* {code} .*check the address"):
        read(f"{server.url}/scan.h5", PATIENT)

    assert server.asked["scan.h5"] == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [("scan.h5", "Invalid URL.*check the address"), ("http://127.0.0.1:1/scan.h5", ".*refused")],
)
def test_an_address_without_a_server_is_named(url: str, reason: str) -> None:
    with pytest.raises(DownloadError, match=rf"^{url}: {reason}"):
        read(url, PATIENT)
