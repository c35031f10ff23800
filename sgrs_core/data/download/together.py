"""Several downloads side by side, none of which stops the others by failing."""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from sgrs_core.data.download.file import Received
from sgrs_core.data.download.progress import Progress
from sgrs_core.data.download.retries import DownloadError

logger = logging.getLogger(__name__)


class Job(Protocol):
    """Has one file or archive in its place, or raises DownloadError."""

    def __call__(self, *, received: Received) -> None:
        """Do it, telling of the bytes that arrive."""


def run_together(jobs: Mapping[str, Job], workers: int, progress: Progress) -> None:
    """Run the jobs (name for the log -> job), `workers` at a time.

    When all have been tried, DownloadError names every failure. Either way the log gets a line
    per job.
    """

    def outcome(name: str) -> DownloadError | None:
        try:
            jobs[name](received=progress.received)
        except DownloadError as error:
            logger.error("%s", error)
            return error
        progress.finished(name)
        return None

    with progress, ThreadPoolExecutor(workers) as executor:
        failures = [error for error in executor.map(outcome, jobs) if error is not None]
    if failures:
        reasons = "".join(f"\n  {failure}" for failure in failures)
        raise DownloadError(
            f"{len(failures)} of {len(jobs)} missing {progress.noun} could not be downloaded; "
            f"the others are kept, and running again tries only these:{reasons}"
        )
