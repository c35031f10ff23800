"""Asking servers that may be slow, busy or cut off: what is worth another attempt, and when."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import requests
import urllib3

logger = logging.getLogger(__name__)

WORTH_RETRYING = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.TOO_MANY_REQUESTS,
)
# A body compressed on the way would have other lengths and offsets than the file.
AS_STORED = {"Accept-Encoding": "identity"}

Result = TypeVar("Result")


class DownloadError(RuntimeError):
    """A file could not be had; the message names its URL and says what to do."""


class TemporaryError(Exception):
    """A failed attempt that may go well when it is repeated."""


class RangeError(TemporaryError):
    """The server has no such bytes as were asked for, or sent others."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server and how often to ask again.

    retries: further attempts after a temporary failure. timeout: seconds without a byte until an
    attempt counts as failed. backoff: seconds before the first retry, doubled for each further one.
    """

    retries: int = 5
    timeout: float = 30.0
    backoff: float = 0.5

    def repeat(self, url: str, attempt: Callable[[], Result], advice: str = "run again") -> Result:
        """The result of the first attempt without a TemporaryError.

        Raises DownloadError, naming the URL and ending with the advice, after the last one.
        """
        for wait in (self.backoff * 2**number for number in range(self.retries)):
            try:
                return attempt()
            except TemporaryError as error:
                logger.warning("%s: %s; next attempt in %.1f s", url, error, wait)
            time.sleep(wait)
        try:
            return attempt()
        except TemporaryError as error:
            raise DownloadError(
                f"{url}: {error}; gave up after {self.retries + 1} attempts. "
                f"Check the network and {advice}"
            ) from error


USUAL = Patience()


@contextmanager
def answer(url: str, timeout: float, offset: int = 0) -> Iterator[requests.Response]:
    """Ask once for a file from byte `offset` on; its bytes are still to be read from the answer.

    A server may ignore `offset` and answer 200 with the whole file; an answer 206 does start at
    `offset`. Raises TemporaryError, also for a body that breaks off while it is read here, or
    DownloadError where asking again is of no use.
    """
    headers = AS_STORED | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            _check_status(url, response)
            if response.status_code == HTTPStatus.PARTIAL_CONTENT:
                _check_range(response.headers, offset)
            yield response
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
    ) as error:
        raise TemporaryError(str(error)) from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {error}; check the address") from error


def _check_status(url: str, response: requests.Response) -> None:
    """Raise TemporaryError or DownloadError unless the answer carries the file's bytes."""
    status = response.status_code
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    told = f"the server answered {status} {response.reason}"
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        raise RangeError(told)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in WORTH_RETRYING:
        raise TemporaryError(told)
    raise DownloadError(f"{url}: {told}; check the address and whether the file is still public")


def _check_range(headers: Mapping[str, str], offset: int) -> None:
    """Raise RangeError where a partial answer does not start at `offset`, or does not say so."""
    told = headers.get("Content-Range", "")
    match = re.match(r"bytes (\d+)-", told)
    if match is None or int(match[1]) != offset:
        raise RangeError(
            f"asked for the bytes from {offset} on, the server sent {told or 'others'}"
        )


def size_of(url: str, timeout: float) -> int | None:
    """A file's length in bytes, asked for once without its content.

    None, with the reason in the log, where the server does not tell.
    """
    try:
        with requests.head(
            url, headers=AS_STORED, allow_redirects=True, timeout=timeout
        ) as response:
            length = response.headers.get("Content-Length", "")
            if response.status_code == HTTPStatus.OK and length.isdecimal():
                return int(length)
            reason = f"answer {response.status_code}, Content-Length {length or 'missing'}"
    except requests.RequestException as error:
        reason = str(error)
    logger.info("%s: size unknown (%s)", url, reason)
    return None
