"""Zip archives from elsewhere: read with care, and unpacked into one flat folder."""

import os
import shutil
import stat
import zipfile
import zlib
from fnmatch import fnmatchcase
from pathlib import Path, PureWindowsPath

from sgrs_core.data.download.transfer import MEGABYTE, ContentError, check_space
from sgrs_core.digests import digest_fault

MOST_BYTES = 50e9  # unpacked: many times any scan or collection of labels
MOST_RATIO = 200  # unpacked to packed: many times what scans, even empty ones, come to
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What zipfile raises for bytes that are no sound zip; OSError is left out, it is the disk's.
UNSOUND = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError)


def unpack(path: Path, folder: Path, pattern: str, sha256: str | None = None) -> None:
    """Write the zip's files of that pattern, wherever in it they are, into the new `folder`.

    sha256: of the zip; None accepts any sound one. Raises ContentError for: another digest, no
    zip, a zip cut off or damaged, encrypted members, links, names that lead out of a folder or
    meet at one file, too many bytes for any scan, or for their packed size; OSError for too little
    room on the disk.
    """
    if sha256 and (fault := digest_fault(sha256, path)):
        raise ContentError(fault)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, pattern)
            # zipfile reads no byte more of a member than it announces.
            size = sum(member.file_size for member in members.values())
            check_space(size, folder.parent)
            if size > min(MOST_BYTES, MOST_RATIO * path.stat().st_size):
                raise ContentError(
                    f"unpacked it would take {size / MEGABYTE:.1f} MB, packed it has "
                    f"{path.stat().st_size / MEGABYTE:.1f} MB; the archive is refused"
                )
            folder.mkdir()
            for name, member in members.items():
                with archive.open(member) as content, (folder / name).open("xb") as file:
                    shutil.copyfileobj(content, file)
                    file.flush()
                    os.fsync(file.fileno())
    except UNSOUND as error:
        raise ContentError(f"no sound zip ({error})") from error


def _members(archive: zipfile.ZipFile, pattern: str) -> dict[str, zipfile.ZipInfo]:
    """The files to unpack by their names without folders; ContentError for a harmful member."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        fault = _fault(member)
        name = PureWindowsPath(member.filename).name  # knows both slashes
        if not member.is_dir() and fnmatchcase(name, pattern):
            if name in members:
                fault = f"and {members[name].filename!r} would become one file"
            members[name] = member
        if fault is not None:
            raise ContentError(f"member {member.orig_filename!r} {fault}; the archive is refused")
    return members


def _fault(member: zipfile.ZipInfo) -> str | None:
    """Why a member may not be unpacked, by its entry in the zip's table."""
    path = PureWindowsPath(member.orig_filename)
    if path.anchor or ".." in path.parts or set(member.orig_filename) & {":", "\0"}:
        return "has a name that may lead out of its folder"
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device, not a file"
    if member.header_offset < 0:
        return "lies before the first byte: the archive's beginning is missing"
    if member.compress_type not in METHODS:
        return f"is compressed by method {member.compress_type}, not by deflate"
    return None
