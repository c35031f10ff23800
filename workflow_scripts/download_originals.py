"""Download the scans and label maps of Pancreas-CT from the archives that have them."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.data.download.idc import list_series
from sgrs_core.data.download.tcia import SLOW, label_zip, list_scans
from sgrs_core.data.download.transfer import Download, download_all, of_patients
from sgrs_core.experiment.originals import PANCREAS_SEGMENTATIONS
from sgrs_core.files import exclusive_lock, write_text
from sgrs_core.log import log_to

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    complete = Path(snakemake.output.complete)
    folder = complete.parent
    asked = snakemake.params.asked
    patients = asked["patients"]

    def series(modality: str, place: Path) -> dict[str, Download]:
        idc = asked["idc"]
        listed = Path(snakemake.params.lists, idc["series"])
        return list_series(idc["bucket"], listed, modality, place)

    if snakemake.wildcards.source == "idc":
        scans = series("CT", folder)
    else:
        tcia = asked["tcia"]
        scans = list_scans(tcia["api"], tcia["collection"], patients, folder)
    if asked["label_files"] == "dicom_seg":
        labels = of_patients(patients, series("SEG", folder / PANCREAS_SEGMENTATIONS))
    else:
        its = asked["labels"]
        labels = [label_zip(its["url"], folder, patients, its["sha256"])]
    # Experiments may share the folder.
    with exclusive_lock(folder, wait=True):
        download_all([*of_patients(patients, scans), *labels], policy=SLOW)
    write_text(complete, "".join(f"{patient}\n" for patient in patients))


if "snakemake" in globals():
    main(globals()["snakemake"])
