"""DICOM series from the Imaging Data Commons' public bucket, which speaks S3's protocol.

A series is a folder of the bucket, named by a UUID that stands for the same files for good. Our
list says how many files and bytes it has, the bucket's own listing the size and the MD5 of each.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import requests

from sgrs_core.data.download.http import DownloadError, RetryPolicy, read_url
from sgrs_core.data.download.transfer import ContentError, Download
from sgrs_core.digests import digest_fault

PLAIN = re.compile(r"[\w-]+\.dcm")  # a file's name that leads nowhere else
MD5 = re.compile("[0-9a-f]{32}")  # the ETag of a file that was stored in parts is no MD5
SHOWN = 80  # characters of a reply that is no listing, in the error


def list_series(bucket: str, series: Path, modality: str, folder: Path) -> dict[str, Download]:
    """Each patient's series of a modality (CT, SEG), to be had in <folder>/<patient>/*.dcm.

    bucket: its address. series: the list, a CSV file with modality, patient, uuid, files, bytes.
    """
    with series.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {
        row["patient"]: Series(
            f"{bucket.rstrip('/')}/{row['uuid']}",
            folder / row["patient"],
            partial(_folder_fault, int(row["files"]), int(row["bytes"])),
            size=int(row["bytes"]),
        )
        for row in rows
        if row["modality"] == modality
    }


@dataclass(frozen=True)
class Series(Download):
    """A folder of a bucket's files, each asked for by itself.

    They wait in <path>.download until all are there: a broken download goes on with the others.
    """

    def _fetch(self, policy: RetryPolicy) -> None:
        arriving = self.path.with_name(f"{self.path.name}.download")
        if self.path.exists() and not arriving.exists():
            self.path.replace(arriving)  # what is right of it need not come again
        arriving.mkdir(exist_ok=True)
        try:
            with requests.Session() as session:
                files = list(self._files(arriving, policy, session))
                for stray in set(arriving.iterdir()) - {file.path for file in files}:
                    stray.unlink()
                for file in files:
                    if not file.is_complete():
                        file.run(policy)
            self._replace_by(arriving)
        except (ContentError, DownloadError) as error:
            raise DownloadError(f"{self.path.name}, series {self.url}: {error}") from error

    def _files(
        self, folder: Path, policy: RetryPolicy, session: requests.Session
    ) -> Iterator[Download]:
        """What the bucket lists of the series, to be had in a folder; a page has 1,000 files."""
        bucket, uuid = self.url.rsplit("/", maxsplit=1)
        token = ""
        while True:
            after = token and f"&continuation-token={quote(token, safe='')}"
            address = f"{bucket}/?list-type=2&prefix={uuid}/{after}"
            page = _page(read_url(address, policy, session.get))
            for entry in page.iterfind("{*}Contents"):
                key, size, etag = (
                    entry.findtext(f"{{*}}{tag}", "") for tag in ("Key", "Size", "ETag")
                )
                name = key.removeprefix(f"{uuid}/")
                if not PLAIN.fullmatch(name) or not size.isdecimal():
                    raise ContentError(f"{key!r} of {size!r} bytes is no DICOM file of this series")
                fault = partial(_file_fault, int(size), etag.strip('"'))
                yield Download(f"{self.url}/{name}", folder / name, fault, get=session.get)
            token = page.findtext("{*}NextContinuationToken", "")
            if not token:
                return


def _page(body: bytes) -> ElementTree.Element:
    """A page of a bucket's listing. Raises ContentError, showing what came, for anything else."""
    try:
        page = ElementTree.fromstring(body)
        if page.tag.endswith("ListBucketResult"):
            return page
    except ElementTree.ParseError:
        pass
    raise ContentError(f"expected a list of files as XML, got {body[:SHOWN]!r}")


def _file_fault(size: int, etag: str, path: Path) -> str | None:
    """What is wrong with a file, by what the bucket's listing says of it."""
    found = path.stat().st_size
    if found != size:
        return f"{size} bytes expected, {found} found"
    return digest_fault(etag, path) if MD5.fullmatch(etag) else None


def _folder_fault(files: int, size: int, folder: Path) -> str | None:
    """What is wrong with a series' folder, by our list; its files were checked one by one."""
    found = [file.stat().st_size for file in folder.glob("*.dcm")]
    if (len(found), sum(found)) == (files, size):
        return None
    return f"{files} files of {size} bytes expected, {len(found)} of {sum(found)} found"
