"""Where a job's messages go."""

import logging
import sys
from pathlib import Path


def log_to(file: str | Path) -> None:
    """Send this process's log messages to a file, added to what an earlier attempt wrote."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=file,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        encoding="utf-8",
    )
    sys.excepthook = _log_and_print


def _log_and_print(kind: type[BaseException], error: BaseException, traceback: object) -> None:
    """An uncaught error: the whole story to the log, one readable line to the terminal."""
    logging.critical("%s", error, exc_info=(kind, error, traceback))  # type: ignore[arg-type]
    print(f"{kind.__name__}: {error}", file=sys.stderr)
