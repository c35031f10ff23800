"""The Imaging Data Commons' public bucket, played by a server on this machine."""

import hashlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID
from xml.sax.saxutils import escape

from tests.data.server import Server

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Bucket(Server):
    """Serves files by their keys, <uuid>/<name>, and the listing of a series as "<uuid>/".

    page: how many files one answer lists. etags: what is told of a file in its MD5's place.
    """

    def __init__(self, page: int = 1000) -> None:
        super().__init__()
        self.page = page
        self.etags: dict[str, str] = {}
        self.rows: list[tuple[str, str, str, int, int]] = []

    def hold(self, modality: str, patient: str, files: dict[str, bytes]) -> str:
        """Hold a series and put it onto the list; returns its UUID."""
        uuid = str(UUID(int=len(self.rows) + 1))
        self.contents |= {f"{uuid}/{name}": content for name, content in files.items()}
        size = sum(map(len, files.values()))
        self.rows.append((modality, patient, uuid, len(files), size))
        return uuid

    def hold_folder(self, modality: str, folder: Path) -> str:
        """Hold a patient's folder of DICOM files."""
        files = {file.name: file.read_bytes() for file in folder.glob("*.dcm")}
        return self.hold(modality, folder.name, files)

    def write_list(self, path: Path) -> Path:
        """The list of what is held, as config/splits/pancreas/idc.csv has it."""
        lines = [",".join(map(str, row)) for row in self.rows]
        text = "\n".join(["# made up", "modality,patient,uuid,files,bytes", *lines, ""])
        path.write_text(text, encoding="utf-8")
        return path

    def name_of(self, address: str) -> str:
        """A listing's prefix, with the token after it on further pages; or a file's key."""
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        if query.get("list-type") != ["2"]:
            return parts.path.removeprefix("/")
        return " ".join(query["prefix"] + query.get("continuation-token", []))

    def content(self, name: str) -> bytes | None:
        if name in self.contents:
            return self.contents[name]
        prefix, _, token = name.partition(" ")
        return self.listing(prefix, token) if prefix.endswith("/") else None

    def listing(self, prefix: str, token: str) -> bytes:
        """A page of the list, in the order of keys; a token is the last key of the page before."""
        keys = sorted(key for key in self.contents if key.startswith(prefix))
        left = [key for key in keys if key > token.removeprefix("after+/=&")]
        shown = left[: self.page]
        entries = [
            f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{self.etag_of(key)}&quot;</ETag>"
            f"<Size>{len(self.contents[key])}</Size></Contents>"
            for key in shown
        ]
        more = shown != left
        last = f"after+/=&amp;{shown[-1]}" if more else ""
        rest = f"<NextContinuationToken>{last}</NextContinuationToken>"
        return (
            f'{HEAD}<ListBucketResult xmlns="{NAMESPACE}"><Prefix>{prefix}</Prefix>'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{rest if more else ''}"
            f"{''.join(entries)}</ListBucketResult>"
        ).encode()

    def etag_of(self, key: str) -> str:
        return self.etags.get(key, hashlib.md5(self.contents[key]).hexdigest())
