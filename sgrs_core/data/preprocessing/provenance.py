"""What a prepared scan says about where it comes from."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sgrs_core import __version__
from sgrs_core.files import sha256_of


def provenance(files: Sequence[Path], preprocessing: str, **parameters: object) -> dict[str, str]:
    """Digests of the source files, what was done to them with which parameters, our version."""
    return {
        **{f"sha256 {file.name}": sha256_of(file) for file in files},
        "preprocessing": preprocessing,
        **{name: str(value) for name, value in parameters.items()},
        "sgrs_core": __version__,
    }


def digest_of_all(files: Sequence[Path]) -> str:
    """One SHA-256 of many files: of the lines that `sha256sum` would write, by name."""
    lines = sorted(f"{file.name}  {sha256_of(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def with_name(scan: object) -> Iterator[None]:
    """Put the scan's name in front of the ValueErrors of a block that knows arrays only."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{scan}: {error}") from error
