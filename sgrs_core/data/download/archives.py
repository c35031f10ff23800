"""Zip archives from elsewhere: checked to the last byte, unpacked whole or not at all."""

import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import ClassVar

from sgrs_core.data.download.disk_space import space_fault

PIECE = 1 << 20  # bytes read at once
ENCRYPTED = 0x1  # a member's flag bit
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SHOWN = 60  # bytes of a file that is no zip, in the error

# What zipfile raises for bytes that are no sound zip; OSError is left out, it is the disk's.
UNSOUND = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError)


class ArchiveError(RuntimeError):
    """An archive is refused; the message names it, the member where it is one's fault, and why."""


@dataclass(frozen=True)
class SoundZip:
    """The check of a zip whose digest is not known: all of it can be read and safely unpacked."""

    # Two zips of the same files, put together at any byte, may well look like one.
    resumable: ClassVar[bool] = False

    def fault(self, path: Path) -> str | None:
        """What is wrong with the zip; None where nothing is."""
        try:
            check_zip(path)
        except ArchiveError as error:
            return str(error)
        return None


def check_zip(path: Path) -> None:
    """Read the whole zip; raise ArchiveError unless every member is safe and matches its CRC."""
    with _opened(path) as archive:
        for member in archive.infolist():
            _read_all(path, archive, member)


def member_names(path: Path) -> list[str]:
    """The names of the zip's files, without its folders; raises ArchiveError as `unpack` does."""
    with _opened(path) as archive:
        return [member.filename for member in archive.infolist() if not member.is_dir()]


def unpack(
    path: Path, folder: Path, wanted: Callable[[str], str | None] = lambda name: name
) -> None:
    """Unpack a zip into `folder`, which appears complete or not at all.

    wanted: from a member's name to the relative name of its file; None leaves it out. Raises
    ArchiveError, leaving nothing behind, for: no zip, a zip cut off or damaged, encrypted members,
    links, names that lead out of the folder or meet at one file, too little room on the disk, and
    a `folder` that holds something already.
    """
    temporary = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # a killed process may have left it
        with _opened(path) as archive:
            targets = _targets(path, archive, temporary, wanted)
            _check_space(path, targets, folder)
            temporary.mkdir(parents=True)
            for target, member in targets.items():
                _extract(path, archive, member, target)
        temporary.rename(folder)
    except OSError as error:
        raise ArchiveError(
            f"{path}: cannot be unpacked into {folder} ({error}); remove what stands there, check "
            "the disk's free space and the folder's permissions, then run again"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip, none of whose members would do harm by its name or kind; raises ArchiveError."""
    try:
        archive = zipfile.ZipFile(path)
    except UNSOUND as error:
        raise ArchiveError(f"{path}: {_description(path)} ({error})") from error
    with archive:
        for member in archive.infolist():
            fault = _member_fault(member)
            if fault is not None:
                raise ArchiveError(
                    f"{path}: member {member.orig_filename!r} {fault}; the archive is refused"
                )
        yield archive


def _member_fault(member: zipfile.ZipInfo) -> str | None:
    """Why a member may not be unpacked, by its entry in the zip's table."""
    parts = _parts(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if PureWindowsPath(member.filename).anchor or ":" in member.filename or ".." in parts:
        return "would be written outside its folder"
    if "\0" in member.orig_filename or not (parts or member.is_dir()):
        return "has no usable name"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if member.header_offset < 0:
        return "lies before the first byte: the archive's beginning is missing"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in METHODS:
        return f"is compressed by method {member.compress_type}, not by deflate"
    return None


def _parts(name: str) -> tuple[str, ...]:
    """A member's folders and name; a backslash separates them as well, as on Windows it would."""
    return PureWindowsPath(name).parts


def _description(path: Path) -> str:
    """What a file that is no sound zip may be."""
    with path.open("rb") as file:
        beginning = file.read(SHOWN)
    if beginning.startswith(b"PK"):
        return "a damaged zip or one cut off"
    return f"not a zip, it begins with {beginning.decode('ascii', 'backslashreplace')!r}"


def _targets(
    path: Path,
    archive: zipfile.ZipFile,
    folder: Path,
    wanted: Callable[[str], str | None],
) -> dict[Path, zipfile.ZipInfo]:
    """Where each wanted member goes."""
    targets: dict[Path, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = None if member.is_dir() else wanted(member.filename)
        if name is None:
            continue
        target = folder.joinpath(*_parts(name))
        if target in targets:
            raise ArchiveError(
                f"{path}: members {targets[target].filename!r} and {member.filename!r} would "
                "become one file; the archive is refused"
            )
        targets[target] = member
    return targets


def _check_space(path: Path, targets: dict[Path, zipfile.ZipInfo], folder: Path) -> None:
    """Raise ArchiveError where the unpacked files have no room; zipfile reads no byte more."""
    fault = space_fault(sum(member.file_size for member in targets.values()), folder.parent)
    if fault is not None:
        raise ArchiveError(f"{path}: {fault}")


def _extract(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Write one member to its place and to the disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        _read_all(path, archive, member, file.write)
        file.flush()
        os.fsync(file.fileno())


def _read_all(
    path: Path,
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    write: Callable[[bytes], object] = lambda piece: None,
) -> None:
    """Read a member piece by piece; raise ArchiveError, naming it, where it is damaged."""
    try:
        with archive.open(member) as content:
            while piece := content.read(PIECE):
                write(piece)
    except UNSOUND as error:
        raise ArchiveError(
            f"{path}: member {member.filename!r} is damaged ({error}); download it again"
        ) from error
