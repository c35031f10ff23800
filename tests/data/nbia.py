"""The archive's NBIA REST API and label download, played by a server on this machine."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.data.server import Handler, Server, answer_in_chunks

LABELS = "TCIA_pancreas_labels-02-05-2017"
COLLECTION = "Pancreas-CT"


class Nbia(Server):
    """Serves a folder with `PANCREAS_<number>/*.dcm` and `<LABELS>/label<number>.nii.gz`.

    series: what the list of series says, to be changed by tests. Names are a patient's,
    "getSeries" and "labels". The list and the labels are stored files, whose length is known;
    a scan's zip is made for each request and sent in pieces.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        scans = (each for each in folder.iterdir() if each.is_dir() and each.name != LABELS)
        self.series = [_entry(number, scan) for number, scan in enumerate(sorted(scans))]

    @property
    def api(self) -> str:
        return f"{self.url}/nbia-api/services/v4"

    @property
    def labels(self) -> str:
        return f"{self.url}/{LABELS}.zip"

    @property
    def patients(self) -> list[str]:
        return [entry["PatientID"] for entry in self.series]

    def name_of(self, address: str) -> str:
        parts = urlsplit(address)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.endswith("/getSeries") and query == {
            "Collection": COLLECTION,
            "format": "json",
        }:
            return "getSeries"
        if parts.path.endswith("/getImage"):
            uids = {each["SeriesInstanceUID"]: each["PatientID"] for each in self.series}
            return uids.get(query["SeriesInstanceUID"], "unknown")
        return "labels" if parts.path == f"/{LABELS}.zip" else "unknown"

    def content(self, name: str) -> bytes | None:
        if name in self.contents:
            return self.contents[name]
        if name == "getSeries":
            return json.dumps(self.series).encode()
        if name == "labels":
            files = (self.folder / LABELS).glob("label*.nii.gz")
            return zipped({f"{LABELS}/{file.name}": file.read_bytes() for file in files})
        if name in self.patients:
            return self.scan_zip(name)
        return None

    def scan_zip(self, patient: str) -> bytes:
        """A patient's images and the licence that the archive packs beside them."""
        images = (self.folder / patient).glob("*.dcm")
        return zipped({"LICENSE": b"CC BY 3.0"} | {each.name: each.read_bytes() for each in images})

    def answer_well(self, handler: Handler, content: bytes) -> None:
        if "/getImage?" in handler.path:
            answer_in_chunks(handler, content)
        else:
            handler.answer(200, content)


def zipped(
    members: Mapping[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _entry(number: int, scan: Path) -> dict[str, Any]:
    """A scan's entry in the list of series; counts come as numbers or as text."""
    images = list(scan.glob("*.dcm"))
    return {
        "SeriesInstanceUID": f"1.2.826.0.1.{number}",
        "PatientID": scan.name,
        "Modality": "CT",
        "Collection": COLLECTION,
        "ImageCount": len(images) if number % 2 else str(len(images)),
        "FileSize": sum(image.stat().st_size for image in images),
    }
