"""Train one run, from the start or from where an earlier attempt was stopped."""

import json
import shutil
from pathlib import Path

import torch

from sgrs_core.data.volumes import read_volume
from sgrs_core.files import atomic, held_alone
from sgrs_core.log import log_to
from sgrs_core.model import save_model
from sgrs_core.record import record_of
from sgrs_core.run import Run
from sgrs_core.training import train, write_log


def main(snakemake):
    log_to(snakemake.log[0])
    torch.set_num_threads(snakemake.threads)
    run = Run.from_description(snakemake.params.run)
    files = {Path(file).stem: Path(file) for file in snakemake.input.volumes}
    unfinished = Path(snakemake.params.unfinished)
    with held_alone(unfinished):
        trained = train(run, lambda scan: read_volume(files[scan]), unfinished)
        for path in map(Path, snakemake.output.models):
            save_model(path, run, trained.weights[path.parent.name])
        write_log(Path(snakemake.output.log), trained.rows)
        with atomic(Path(snakemake.output.record)) as temporary:
            temporary.write_text(json.dumps(record_of(run, trained.facts), indent=2) + "\n")
        shutil.rmtree(unfinished)


if "snakemake" in globals():
    main(globals()["snakemake"])
