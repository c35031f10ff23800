"""Download the scans and label maps of Pancreas-CT from The Cancer Imaging Archive."""

from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.data.download.tcia import download_pancreas
from sgrs_core.files import write_text
from sgrs_core.log import log_to

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    complete = Path(snakemake.output.complete)
    tcia, patients = snakemake.params.tcia, snakemake.params.patients
    download_pancreas(
        tcia["api"],
        tcia["collection"],
        tcia["labels"],
        complete.parent,
        patients,
        labels_sha256=tcia["labels_sha256"],
    )
    write_text(complete, "".join(f"{patient}\n" for patient in patients))


if "snakemake" in globals():
    main(globals()["snakemake"])
