"""Digests: what the bytes of a right file hash to, and the lists that say so."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from sgrs_core.files import sha256_of, write_text

LINE = re.compile(r"(?P<digest>[0-9a-fA-F]{64}|[0-9a-fA-F]{40}) [ *](?P<name>.+)")


def digest_fault(expected: str, path: Path) -> str | None:
    """What is wrong with the file's content; None where it is right.

    expected: 64 hex digits are a SHA-256, 40 the id that git gives a file's content, 32 an MD5.
    """
    kind, digest = KINDS[len(expected)]
    found = digest(path)
    return None if found == expected else f"expected {kind} {expected}, found {found}"


def md5_of(path: Path) -> str:
    """The file's MD5, which servers tell, as 32 lower-case hex digits; no proof against malice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()


def git_blob_of(path: Path) -> str:
    """The id under which git stores the file's content, as 40 lower-case hex digits."""
    header = f"blob {path.stat().st_size}\0".encode()
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.sha1(header, usedforsecurity=False)
        ).hexdigest()


KINDS = {64: ("SHA-256", sha256_of), 40: ("git blob id", git_blob_of), 32: ("MD5", md5_of)}


def read_digests(path: Path) -> dict[str, str]:
    """Read a list as `sha256sum` writes it: relative name -> digest in lower case.

    Each line has a SHA-256 or a git blob id. Raises ValueError, naming the file and the line, for
    a line of another form or a repeated name.
    """
    digests: dict[str, str] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            match = LINE.fullmatch(line.rstrip("\n"))
            if match is None:
                raise ValueError(
                    f"{path}, line {number}: expected '<64 or 40 hex digits>  <relative path>', "
                    f"got {line.rstrip()!r}; write the list anew with sha256sum"
                )
            if match["name"] in digests:
                raise ValueError(
                    f"{path}, line {number}: {match['name']!r} is listed twice; remove one line"
                )
            digests[match["name"]] = match["digest"].lower()
    return digests


def write_digests(path: Path, digests: Mapping[str, str]) -> None:
    """Write a list, relative name -> digest, as `sha256sum` does and checks."""
    write_text(path, "".join(f"{digest}  {name}\n" for name, digest in digests.items()))


def list_files(path: Path, files: Iterable[Path]) -> None:
    """Write the list of files below `path`'s folder, with their SHA-256."""
    names = {file.relative_to(path.parent).as_posix(): file for file in files}
    write_digests(path, {name: sha256_of(file) for name, file in names.items()})
