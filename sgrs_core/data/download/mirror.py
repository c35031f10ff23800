"""Many files with known digests, below one address of a mirror."""

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from sgrs_core.data.download.disk_space import space_fault
from sgrs_core.data.download.file import RemoteFile, download
from sgrs_core.data.download.progress import Progress
from sgrs_core.data.download.retries import USUAL, DownloadError, Patience, size_of
from sgrs_core.data.download.together import run_together
from sgrs_core.digests import Digest

logger = logging.getLogger(__name__)


def mirror_files(base_url: str, digests: Mapping[str, str], folder: Path) -> list[RemoteFile]:
    """The files of a list (relative name -> digest), below `base_url` there and `folder` here.

    Names are quoted for the URL; `base_url` is taken as it is. Raises ValueError, naming the
    entry, for a name that would be written outside `folder`.
    """
    files = []
    for name, digest in digests.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.name:
            raise ValueError(
                f"{name!r}: names in the list of digests must be relative and without '..'; "
                "correct this entry"
            )
        address = "/".join(quote(component, safe="") for component in relative.parts)
        url = f"{base_url.rstrip('/')}/{address}"
        files.append(RemoteFile(url, folder / relative, Digest(digest)))
    return files


def download_all(
    files: Sequence[RemoteFile],
    *,
    workers: int = 4,
    patience: Patience = USUAL,
    progress: bool | None = None,
) -> None:
    """Download the files that are missing or wrong, `workers` at a time; see `download`.

    progress: whether to draw a bar; None draws it where standard error is a terminal. Raises
    DownloadError: before the first byte where all together have no room on the disk, or when all
    have been tried, naming each URL that failed and why.
    """
    with ThreadPoolExecutor(workers) as executor:
        complete = executor.map(_is_complete, files)
        missing = [file for file, there in zip(files, complete, strict=True) if not there]
        sizes = list(executor.map(partial(_size, patience.timeout), missing))
    kept = [file.bytes_kept() for file in missing]
    logger.info("%d of %d files are there already", len(files) - len(missing), len(files))
    _check_space(missing, sizes, kept)
    total = None if None in sizes else sum(filter(None, sizes))
    bar = Progress(
        len(files), done=len(files) - len(missing), total=total, kept=sum(kept), shown=progress
    )
    jobs = {str(file.path): partial(download, file, patience=patience) for file in missing}
    run_together(jobs, workers, bar)


def _is_complete(file: RemoteFile) -> bool:
    """Whether the file needs no download; one that cannot be read does, and fails by itself."""
    try:
        return file.is_complete()
    except OSError:
        return False


def _size(timeout: float, file: RemoteFile) -> int | None:
    """The file's bytes, as known or as the server tells."""
    return size_of(file.url, timeout) if file.size is None else file.size


def _check_space(
    files: Sequence[RemoteFile], sizes: Sequence[int | None], kept: Sequence[int]
) -> None:
    """Raise DownloadError where the bytes still to come have no room; unknown sizes count as 0."""
    if not files:
        return
    needed = sum(max((size or 0) - there, 0) for size, there in zip(sizes, kept, strict=True))
    folder = Path(os.path.commonpath([file.path.parent.absolute() for file in files]))
    fault = space_fault(needed, folder)
    if fault is not None:
        raise DownloadError(f"{len(files)} files from {files[0].url} on: {fault}")
