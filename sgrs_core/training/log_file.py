"""A run's numbers as CSV: whole at its end, and row by row while it runs."""

import csv
import logging
from pathlib import Path

from sgrs_core.files import atomic

logger = logging.getLogger(__name__)
Row = dict[str, float]


def write_log(path: Path, rows: list[Row]) -> None:
    """One line per logged iteration, one column per number; blank where a row lacks it."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns_of(rows))
        writer.writeheader()
        writer.writerows(rows)


def columns_of(rows: list[Row]) -> list[str]:
    """All names in the rows, in the order of their appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


class GrowingLog:
    """The same file while the run grows `rows`: each new one is appended as it comes.

    It begins with the rows that there are, those of a checkpoint: what an earlier attempt wrote
    after it is cut. A row with a new column writes the file anew, so that at any time it has the
    bytes that `write_log` would give it. Of a killed process, the last line may be half.
    """

    def __init__(self, path: Path, rows: list[Row]) -> None:
        self.path, self.rows = path, rows
        self.columns: list[str] = []
        path.unlink(missing_ok=True)
        if rows:
            self._write_anew()

    def append_last(self) -> None:
        """Write the last of the rows. One that cannot be written is no reason to stop training."""
        row = self.rows[-1]
        try:
            if not row.keys() <= set(self.columns):
                self._write_anew()
                return
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(row)
        except OSError as error:
            logger.warning("%s: %s; it is written again with the next row", self.path, error)
            self.columns = []  # what stands there may end with half a row

    def _write_anew(self) -> None:
        write_log(self.path, self.rows)
        self.columns = columns_of(self.rows)
