"""Servers that may be slow, busy or cut off: asking them, and asking again where that may help."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import requests
import tenacity
import urllib3

logger = logging.getLogger(__name__)

BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # and everything from 500 on
LONGEST_WAIT = 120.0  # seconds, whatever a server asks for
# A body compressed on the way would have another length than the file.
AS_STORED = {"Accept-Encoding": "identity"}

Result = TypeVar("Result")


class DownloadError(RuntimeError):
    """Something could not be had; the message names its URL, the cause and what to do."""


class TemporaryError(DownloadError):
    """The next attempt may go well; retry_after: the seconds that the server asks to wait."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for a server and how often to ask again.

    retries: further attempts after a temporary failure. timeout: seconds without a byte until an
    attempt counts as failed. backoff: seconds before the first retry, doubled for each further one
    and added to what the server asks for (Retry-After).
    """

    retries: int = 5
    timeout: float = 30.0
    backoff: float = 0.5

    def call(self, attempt: Callable[[], Result]) -> Result:
        """The first result without a TemporaryError; raises DownloadError after the last one."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TemporaryError),
            stop=tenacity.stop_after_attempt(self.retries + 1),
            wait=tenacity.wait_exponential(multiplier=self.backoff, max=LONGEST_WAIT)
            + tenacity.wait_exception(lambda error: getattr(error, "retry_after", 0.0)),
            before_sleep=_log_wait,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TemporaryError as error:
            raise DownloadError(
                f"{error}; gave up after {self.retries + 1} attempts. Check the network and run "
                "again"
            ) from error


def _log_wait(state: tenacity.RetryCallState) -> None:
    """Say why an attempt failed, and when the next one comes."""
    error = state.outcome and state.outcome.exception()
    logger.warning("%s; next attempt in %.1f s", error, state.upcoming_sleep)


DEFAULT = RetryPolicy()


Get = Callable[..., requests.Response]


@contextmanager
def open_url(url: str, timeout: float, get: Get = requests.get) -> Iterator[requests.Response]:
    """Ask once; the body is still to be read from the response.

    get: a session's, where a server is asked for many files in turn. Raises TemporaryError, also
    for a body that breaks off while it is read in the block, or DownloadError where asking again is
    of no use.
    """
    try:
        with get(url, headers=AS_STORED, stream=True, timeout=timeout) as response:
            status = response.status_code
            told = f"{url}: the server answered {status} {response.reason}"
            if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in BUSY:
                wait = urllib3.Retry().get_retry_after(response.raw) or 0.0  # seconds or a date
                raise TemporaryError(told, min(wait, LONGEST_WAIT))
            if status != HTTPStatus.OK:
                raise DownloadError(f"{told}; check the address and whether it is still public")
            yield response
    except (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        urllib3.exceptions.HTTPError,
    ) as error:
        raise TemporaryError(f"{url}: {error}") from error
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {error}; check the address") from error


def read_url(url: str, policy: RetryPolicy, get: Get = requests.get) -> bytes:
    """What lies at an address, if it is short; raises DownloadError."""

    def body() -> bytes:
        with open_url(url, policy.timeout, get) as response:
            return response.content

    return policy.call(body)
