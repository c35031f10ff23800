"""Train one run, from the start or from where an earlier attempt was stopped."""

import logging
import os
import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sgrs_core.clock import bring_back
from sgrs_core.data.prepared import check_unchanged, listed_digests, read_prepared
from sgrs_core.data.preprocessing.input_spec import input_spec_of
from sgrs_core.evaluation.model import save_model
from sgrs_core.experiment.run import Run
from sgrs_core.files import exclusive_lock, write_text
from sgrs_core.log import log_to
from sgrs_core.methods import is_changed
from sgrs_core.methods.contract import own_errors_named
from sgrs_core.monitoring.as_planned import DIGEST, check_planned, check_planned_preparation
from sgrs_core.training.gpu import gpu_for
from sgrs_core.training.log_file import write_log
from sgrs_core.training.loop import train
from sgrs_core.training.record import is_record_of, sums_of_scans, write_record
from sgrs_core.training.signals import defer_signals
from sgrs_core.training.tensorboard import tensorboard_for

if TYPE_CHECKING:
    from snakemake.script import Snakemake

logger = logging.getLogger(__name__)


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    logger.info("process %d on %s", os.getpid(), platform.node())  # `sgrs status` looks for it
    torch.set_num_threads(snakemake.threads)
    run = Run.from_description(snakemake.params.run)
    files = {Path(file).stem: Path(file) for file in snakemake.params.volumes}
    model, record = Path(snakemake.output.model), Path(snakemake.output.record)
    results = Path(snakemake.params.results)
    with exclusive_lock(record.parent, wait=True):
        check_planned(results, record.parent, run, ["digest"])
        check_planned_preparation(
            results, snakemake.wildcards.dataset, snakemake.params.preparation
        )
        digests = listed_digests(files, snakemake.input.prepared)
        scans = sums_of_scans(run, digests)
        all_there = all(Path(file).is_file() for file in snakemake.output)
        if all_there and is_record_of(run, scans, record):
            logger.info(
                "this run is finished, says %s; to train it anew, delete its folder", record
            )
            return
        check_unchanged(files, digests)
        if is_changed(run):
            raise ValueError(
                f"the file of {run.method} was changed after this run was planned: start again"
            )
        gpu = gpu_for(run.training.device, snakemake.params.runs_per_gpu)
        events = tensorboard_for(snakemake.params.tensorboard, record.with_name("tensorboard"))
        named = own_errors_named(run.method)
        with events as on_row, gpu, named, defer_signals() as asked_to_stop:
            unfinished = Path(snakemake.params.unfinished)
            write_text(unfinished / DIGEST, run.digest)
            trained = train(
                run,
                lambda scan: read_prepared(files[scan], scan not in run.unlabelled),
                unfinished,
                asked_to_stop,
                scans["scans_sha256"],
                on_row,
                snakemake.params.label,
            )
        learnt_from = [files[scan] for scan in (*run.labelled, *run.unlabelled)]
        input_spec = input_spec_of(snakemake.params.preparation, learnt_from)
        record.unlink(missing_ok=True)  # that of a run before, whose weights are replaced now
        save_model(
            model, run, {name: trained.weights[name] for name in run.selection_scans}, input_spec
        )
        write_log(Path(snakemake.output.log), trained.rows)
        # Last, because it says that all of it is there.
        write_record(record, run, {**trained.facts, **scans})
        shutil.rmtree(unfinished, ignore_errors=True)
    bring_back([results])  # it may have been set back in these hours


if "snakemake" in globals():
    main(globals()["snakemake"])
