"""Prepare one scan: from original or mirrored files to the h5 file that training reads."""

from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK

from sgrs_core.data.preprocessing.to_h5 import copy_prepared, prepare_original
from sgrs_core.experiment.settings import SCAN
from sgrs_core.log import log_to
from sgrs_core.monitoring.as_planned import check_planned_preparation

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(snakemake.threads)
    scan, output = snakemake.wildcards.scan, Path(snakemake.output.volume)
    folder, how = Path(snakemake.params.folder), snakemake.params.how
    check_planned_preparation(Path(snakemake.params.results), snakemake.wildcards.dataset, how)
    if "format" in how:
        prepare_original(
            how["format"],
            folder,
            scan,
            how["options"],
            how["downsample"],
            output,
            snakemake.params.label_is_used,
        )
    else:
        file = folder / how["prepared_file"].replace(SCAN, scan)
        copy_prepared(file, how["spacing"], how["axes"], how["downsample"], output)


if "snakemake" in globals():
    main(globals()["snakemake"])
