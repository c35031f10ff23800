"""Pancreas-CT from The Cancer Imaging Archive: scans through the NBIA REST API, labels as one zip.

The API lists a collection's series and packs one series' DICOM files into a zip for every request,
so scans have no published digest: a scan is right when its zip is sound and holds as many images
as the list says.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sgrs_core.data.download.archives import unpack
from sgrs_core.data.download.http import DownloadError, RetryPolicy, read_url
from sgrs_core.data.download.transfer import Download
from sgrs_core.experiment.originals import PANCREAS_LABELS, PANCREAS_PATIENT

IMAGES = "[!.]*.dcm"
SHOWN = 80  # characters of a reply that is no list, in the error
SLOW = RetryPolicy(timeout=120.0)  # the server packs a zip before its first byte comes


def list_scans(
    api: str,
    collection: str,
    patients: Collection[str],
    folder: Path,
    *,
    policy: RetryPolicy = SLOW,
) -> dict[str, Download]:
    """Each patient's CT scan in the collection, to be had in <folder>/<patient>/*.dcm.

    Raises DownloadError, naming the URL, for a reply that is no list of series and for those of
    `patients`, who are wanted, that have several CT series.
    """
    url = _address(api, "getSeries", Collection=collection, format="json")
    body = read_url(url, policy)
    try:
        series = [entry for entry in json.loads(body) if entry["Modality"] == "CT"]
        scans = {entry["PatientID"]: _scan(api, entry, folder) for entry in series}
    except (ValueError, KeyError, TypeError) as error:
        beginning = body[:SHOWN].decode("utf-8", "replace")
        raise DownloadError(
            f"{url}: expected a list of series as JSON, got {beginning!r} ({error!r}); "
            "check the address and the collection's name"
        ) from error
    count = Counter(entry["PatientID"] for entry in series)
    if several := [patient for patient in scans if patient in patients and count[patient] > 1]:
        raise DownloadError(
            f"{url}: a patient must be one scan, but these have several CT series; leave these "
            f"patients out or ask the archive which is right: {', '.join(several)}"
        )
    return scans


def _scan(api: str, series: Mapping[str, Any], folder: Path) -> Download:
    """A series of the API's list: as many images as it says, of so many bytes if it says.

    Raises KeyError, TypeError or ValueError for what is no such entry.
    """
    images, size = int(series["ImageCount"]), str(series.get("FileSize", ""))

    def fault(scan: Path) -> str | None:
        found = len(list(scan.glob(IMAGES)))
        return f"{images} images (*.dcm) expected, {found} found" if found != images else None

    return Download(
        _address(api, "getImage", SeriesInstanceUID=series["SeriesInstanceUID"]),
        folder / series["PatientID"],
        fault,
        unpack=partial(unpack, pattern=IMAGES),
        size=int(size) if size.isdecimal() else 0,
    )


def label_zip(url: str, folder: Path, patients: Sequence[str], sha256: str | None) -> Download:
    """The label maps, to be had in <folder>/TCIA_pancreas_labels-02-05-2017/label*.nii.gz.

    sha256: of the zip; None accepts any sound one that has these patients.
    """
    return Download(
        url,
        folder / PANCREAS_LABELS,
        fault=partial(_labels_fault, patients),
        unpack=partial(unpack, pattern="label*.nii.gz", sha256=sha256),
    )


def _labels_fault(patients: Sequence[str], labels: Path) -> str | None:
    """Whose label map is missing in the folder; PANCREAS_0001's is label0001.nii.gz."""
    needed = (f"label{patient.removeprefix(PANCREAS_PATIENT)}.nii.gz" for patient in patients)
    absent = sorted(name for name in needed if not (labels / name).exists())
    return f"no {', '.join(absent)} among the labels" if absent else None


def _address(api: str, call: str, **query: str) -> str:
    """The URL of one of the API's calls."""
    return f"{api.rstrip('/')}/{call}?{urlencode(query)}"
