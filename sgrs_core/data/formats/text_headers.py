"""NRRD's and MetaImage's headers, checked before ITK reads the voxels, and their size after it.

ITK makes up what a header does not say, takes damaged compression for voxels, leaves what follows
them unread, and fetches them from any file that a header names.
"""

import re
import zlib
from collections.abc import Iterator
from gzip import GzipFile
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from sgrs_core.data.formats.nifti import content_of, is_nifti

POSITIVE = r"[\d.]+(e[-+]?\d+)?"
NUMBER = rf"[-+]?{POSITIVE}"
SIDE = r"0*[1-9]\d*"
VECTOR = rf"\( *{NUMBER} *, *{NUMBER} *, *{NUMBER} *(, *{NUMBER} *)?\)"
UNPLACED = "where its voxels lie is not known; write it as it should be"
FLAT = "it is no stack of slices; needed are three axes, or four of which one has a single volume"
UNREAD = "it is not read; write raw, gzip, ascii or hex"
BINARY = "it is not read; write binary voxels"
UNSCALED = "its values are not known, for ITK leaves that out; apply it and take it away"
# What a header states, under one of these names, in this form; and what follows where it does not.
Stated = dict[tuple[str, ...], tuple[str, str]]
NRRD: Stated = {
    ("dimension",): ("3|4", FLAT),
    ("sizes",): (rf"{SIDE}(\s+{SIDE}){{2,3}}", FLAT),
    ("encoding",): ("raw|gz|gzip|hex|ascii|text|txt", UNREAD),
    # May be missing. Of four axes, one may be anything.
    ("kinds",): (r"(((domain|space|none|\?+)\s*){3})?|(\S+\s+){3}\S+", FLAT),
    ("space dimension",): ("[34]?", FLAT),  # may be missing
    ("space",): ("(left-(posterior|anterior)|right-anterior)-superior|LPS|LAS|RAS", UNPLACED),
    ("space directions",): (rf"(none\s+)?({VECTOR}\s+){{2,3}}{VECTOR}(\s+none)?", UNPLACED),
    ("space origin",): (VECTOR, UNPLACED),
    ("space units",): ('("(mm)?" *)*', UNPLACED),  # may be missing
    ("old min",): ("", UNSCALED),  # must be missing
    ("old max",): ("", UNSCALED),
}
METAIMAGE: Stated = {
    ("NDims",): ("3|4", FLAT),
    ("BinaryData",): ("T.*|1", BINARY),
    ("DimSize",): (rf"{SIDE}(\s+{SIDE}){{2,3}}", FLAT),
    ("ElementSpacing",): (rf"{POSITIVE}(\s+{POSITIVE}){{2,3}}", UNPLACED),
    ("TransformMatrix", "Orientation", "Rotation"): (
        rf"{NUMBER}(\s+{NUMBER}){{8}}((\s+{NUMBER}){{7}})?", UNPLACED,
    ),
    ("Offset", "Origin", "Position"): (rf"{NUMBER}(\s+{NUMBER}){{2,3}}", UNPLACED),
    ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"): ("(T.*|F.*|1|0)?", BINARY),
    ("DistanceUnits",): (r"(mm|\?)?", UNPLACED),  # may be missing
    ("ElementToIntensityFunctionSlope",): (r"(1(\.0*)?)?", UNSCALED),  # may be missing
    ("ElementToIntensityFunctionOffset",): (r"(0(\.0*)?)?", UNSCALED),  # may be missing
}  # fmt: skip
FIELD = re.compile(r"^([\w ]+?) ?[:=](?!=) ?(.*?)\s*$", re.MULTILINE)  # `:=` are notes
ALIASES = {
    "datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip",
    "oldmin": "old min", "oldmax": "old max",
}  # fmt: skip
END = {
    "NRRD": re.compile(rb"\ANRRD\d{4}.*?(\r?\n\r?\n|\Z)", re.DOTALL),
    "MetaImage": re.compile(rb"\A\w+ *[:=].*?^ElementDataFile *[:=].*?(\n|\Z)", re.DOTALL | re.M),
}
LIST = re.compile(rb"^(?:data ?file|ElementDataFile) *[:=] *LIST.*?\n(.*)", re.I | re.M | re.DOTALL)
PATTERN = re.compile(r"([^%]*%0?\d?d[^%\s]*)\s+(\d+)\s+(\d+)\s+([1-9]\d*)(\s+\d+)?")


class TextHeader(NamedTuple):
    """A file's fields, each value by its name, and its voxels: in files of their own, or behind it.

    data_files: empty where the voxels are `rest`, the file's bytes behind the header, `text`.
    """

    path: Path
    text: bytes
    fields: dict[str, str]
    data_files: list[Path]
    rest: bytes


def read_header(path: Path, kind: str) -> TextHeader:
    """The header of a file of a kind: NRRD or MetaImage.

    Raises ValueError, naming the file and the field, for another format, for what must be stated
    and is not, or is twice and differs, and for data files that are missing or not below the
    header's folder.
    """
    content = path.read_bytes()
    found = END[kind].match(content)
    if found is None:
        if is_nifti(content_of(path)):
            raise ValueError(f"{path}: no {kind} but NIfTI; name it .nii or .nii.gz")
        begin = content[:12]
        raise ValueError(
            f"{path}: {len(content)} bytes that begin with {begin!r}: no {kind}, or cut off"
        )
    lines = FIELD.findall(found[0].decode("utf-8", "backslashreplace"))
    if kind == "NRRD":  # whose names are known in any case, while MetaImage's are not
        lines = [(ALIASES.get(name.lower(), name.lower()), value) for name, value in lines]
    fields = implied(dict(lines))
    if kind == "NRRD" and not found[1] and "data file" not in fields:
        raise ValueError(f"{path}: cut off within its header; fetch it again")
    for names, (allowed, consequence) in (NRRD if kind == "NRRD" else METAIMAGE).items():
        values = {value for name, value in lines if name in names}
        if len(values) > 1:
            told = f"{' or '.join(names)} is {' and '.join(sorted(values))}"
            raise ValueError(f"{path}: {told}, of which readers take one or another; leave one")
        value = next((fields[name] for name in names if name in fields), "")
        if not re.fullmatch(allowed, value, re.IGNORECASE):
            told = f"{' or '.join(names)} is {value or 'missing'}"
            raise ValueError(f"{path}: {told}, so {consequence}")
    files = [inside(path, name) for name in data_names(fields, content)]
    return TextHeader(path, found[0], fields, files, content[found.end() :])


def implied(fields: dict[str, str]) -> dict[str, str]:
    """The fields, and those that follow from others by the rules of ITK, which writes such files.

    Its images of four dimensions are LPS as all of its are, but their NRRD files cannot say so.
    """
    if fields.get("space dimension") == "4":
        fields = {"space": "LPS"} | fields
    if "ElementSize" in fields:
        fields = {"ElementSpacing": fields["ElementSize"]} | fields
    return fields


def for_itk(header: TextHeader, folder: Path) -> Path:
    """The file or, where ITK would refuse its fourth axis, a copy in `folder`.

    An axis of no direction in space holds volumes, be it called time or nothing at all. ITK knows
    it as a list only.
    """
    directions = re.findall(r"none|\(", header.fields.get("space directions", "").lower())
    kinds = ["list" if one == "none" else "domain" for one in directions]
    if "list" not in kinds or len(header.data_files) > 1:
        return header.path
    text = re.sub(rb"^(kinds|data ?file) ?:.*$", b"#", header.text, flags=re.MULTILINE | re.I)
    added = f"\nkinds: {' '.join(kinds)}\n"
    for file in header.data_files:
        (folder / "voxels").symlink_to(file)
        added += "data file: voxels\n"
    copy = folder / "copy.nhdr"
    copy.write_bytes(text.rstrip() + added.encode() + b"\n" + header.rest)
    return copy


def data_names(fields: dict[str, str], content: bytes) -> Iterator[str]:
    """The files that a header gives for its voxels; none where they follow it in `content`."""
    value = fields.get("data file", fields.get("ElementDataFile", "LOCAL"))
    listed, numbered = LIST.search(content), PATTERN.fullmatch(value)
    if value.upper().startswith("LIST") and listed:
        lines = listed[1].decode("utf-8", "backslashreplace").split("\n")
        yield from filter(None, map(str.strip, lines))
    elif numbered:
        first, last, step = map(int, numbered.group(2, 3, 4))
        yield from (numbered[1] % number for number in range(first, last + 1, step))
    elif value.upper() != "LOCAL":
        yield value


def inside(path: Path, name: str) -> Path:
    """A data file that a header gives. Raises ValueError, naming both."""
    try:
        file = (path.parent / name).resolve()
        is_there = file.is_file()
    except (OSError, ValueError):  # a name that no system allows
        file, is_there = path.resolve(), False
    if not file.is_relative_to(path.parent.resolve()):
        raise ValueError(f"{path}: its data file {name} lies outside its folder; copy it there")
    if not is_there:
        raise ValueError(f"{path}: its data file {name!r} is missing; fetch it, too")
    return file


def check_size(header: TextHeader, nbytes: int, itemsize: int) -> None:
    """Raise ValueError, naming the file, unless its voxels are sound and as many as were read.

    nbytes: of all voxels. itemsize: bytes of one.
    """
    pieces = [(file, file.read_bytes()) for file in header.data_files]
    for file, content in pieces or [(header.path, header.rest)]:
        wanted = nbytes // max(len(pieces), 1)
        try:
            found = size_of(content, header.fields, wanted, itemsize)
        except (EOFError, OSError, ValueError, zlib.error) as error:
            raise ValueError(f"{file}: damaged or cut off ({error}); fetch it again") from error
        if found != wanted:
            told, cause = f"{found} of", "cut off; fetch it again"
            if found > wanted:
                told, cause = "more than", "damaged, or its header is wrong"
            raise ValueError(f"{file}: {told} the {wanted} bytes that its header says: {cause}")


def size_of(content: bytes, fields: dict[str, str], wanted: int, itemsize: int) -> int:
    """How many bytes of voxels a file's content holds; compressed ones are counted to one too many.

    Raises EOFError, OSError, ValueError or zlib's error for what is no sound content.
    """
    encoding = fields.get("encoding", "raw").lower()
    lines, skip = (int(fields.get(name, 0)) for name in ("line skip", "byte skip"))
    skip = int(fields.get("HeaderSize", skip))
    content = content.split(b"\n", lines)[lines] if lines else content
    if encoding in ("ascii", "text", "txt"):
        return len(content.split()) * itemsize
    if encoding == "hex":
        content = bytes.fromhex(content.decode())
    elif encoding in ("gz", "gzip"):
        content = GzipFile(fileobj=BytesIO(content)).read(max(skip, 0) + wanted + 1)
    elif fields.get("CompressedData", "False")[:1] in tuple("Tt1"):  # as MetaImage reads it
        said = fields.get("CompressedDataSize", "missing")
        if said != str(len(content)):
            raise ValueError(f"CompressedDataSize is {said}, but there are {len(content)} bytes")
        inflated = zlib.decompressobj()
        content = inflated.decompress(content, wanted + 1)
        if not inflated.eof and len(content) <= wanted:
            raise EOFError("it ends within its compression")
    # -1: the last bytes count.
    return min(len(content), wanted) if skip == -1 else len(content) - skip
