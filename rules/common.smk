# The checked experiment (PLAN) and its paths (LAYOUT).

import gc
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from snakemake.settings.enums import Quietness
from snakemake.utils import update_config

from sgrs_core.clock import bring_back
from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.layout import Layout, any_of
from sgrs_core.experiment.plan import Point
from sgrs_core.experiment.planning import check_scans, load_plan
from sgrs_core.experiment.schema import FigureKind
from sgrs_core.experiment.settings import Selection
from sgrs_core.experiment.splits import PARTS
from sgrs_core.experiment.yaml_file import value_of
from sgrs_core.files import exclusive_lock, sha256_of
from sgrs_core.log import ANNOUNCED
from sgrs_core.monitoring.planned import write_folds, write_planned
from sgrs_core.reporting.html.contents import contents_of, files_of_runs, pages_of
from sgrs_core.training.gpu import visible_gpus
from sgrs_core.training.record import is_of_another

# A planned experiment is very many objects that all stay. Looking through them for garbage as often
# as Python does by default takes an eighth of the time in which the paper's is planned.
gc.set_threshold(50_000)

CONFIG = Path(workflow.basedir) / "config"
# Jobs in environments of their own (conda, containers) find sgrs_core here.
SEARCHED = [workflow.basedir, os.getenv("PYTHONPATH", "")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, SEARCHED)))


def refuse(reason):
    """End here with a reason of one line; an exception would bring lines of source with it."""
    sys.exit(str(reason))


NOTES = Path(".snakemake") if Path(".snakemake").exists() else Path()
if workflow.is_main_process and not os.access(NOTES, os.W_OK):
    refuse(
        f"{NOTES.absolute()}: no permission to write here, where Snakemake keeps its notes; name a "
        "folder of yours with --directory, or copy this one"
    )

# What --config says is YAML, as in a file. Snakemake makes texts of the numbers in its lists and
# mappings, and numbers of texts in quotes.
COMMAND_LINE = {}
for argument in workflow.config_settings.config_args or ():
    key, _, value = argument.partition("=")
    try:
        update_config(
            COMMAND_LINE, {key: value_of(value, f"--config: {key} = {value}")}
        )
    except ValueError as error:
        refuse(error)
update_config(config, COMMAND_LINE)

CONFIGFILES = [Path(file) for file in workflow.configfiles]

try:
    PLAN = load_plan(config, CONFIGFILES, CONFIG, COMMAND_LINE)
    # Jobs need not import torch and look for files to check again.
    if workflow.is_main_process:
        from sgrs_core.methods.check import check_methods

        check_methods(PLAN)
        check_scans(PLAN)
        for line in PLAN.warnings():
            logger.warning(line)
        if "runs_per_card" in config:
            logger.warning(
                "runs_per_card is called runs_per_gpu now; the old name will go"
            )
except ConfigError as error:
    refuse(error)

LAYOUT = Layout(PLAN)
RESULTS = LAYOUT.results  # results/<experiment>
# results/<experiment>/{dataset}/labelled-{labelled}/{variant}/seed-{seed}
RUN = LAYOUT.run

# Schedulers warn a job's processes with SIGUSR1 before its time is over. Snakemake, which would die
# of it, is not meant: training notes it and saves.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

ALONE = ExitStack()  # what this process holds until it ends


def work_alone():
    """Keep other Snakemakes out: two would delete each other's unfinished files."""
    try:
        ALONE.enter_context(exclusive_lock(Path(RESULTS)))
    except (OSError, RuntimeError) as error:
        refuse(error)


# What deletes results (--delete-all-output, --delete-temp-output) never comes to `onstart`.
DELETES = any(option.startswith("--delete-") for option in sys.argv)
if DELETES and workflow.is_main_process and Path(RESULTS).exists():
    work_alone()


RUNS = LAYOUT.runs()

# Where Snakemake is to be quiet about rules, a line says what happens to a run instead.
ANNOUNCER = None
QUIET = Quietness.RULES in (workflow.output_settings.quiet or ())
if QUIET and workflow.is_main_process and not workflow.output_settings.dryrun:
    from sgrs_core.monitoring.announcer import Announcer

    ANNOUNCER = Announcer(
        RUNS,
        Path(RESULTS),
        lambda one: PLAN.run(Point(*(one[key] for key in Point._fields))).digest,
    )
    os.environ[ANNOUNCED] = "1"
    for terminal in logger.handlers:
        terminal.addFilter(ANNOUNCER.leaves)
    logger.addHandler(ANNOUNCER)


def trainings_at_once():
    """How many trainings may work at the same time, as far as can be said beforehand."""
    given = workflow.resource_settings
    limits = [given.nodes]
    if workflow.local_exec:
        places = given.cores // PLAN.experiment.training_threads
        gpus = len(visible_gpus()) * PLAN.experiment.runs_per_gpu
        limits = [places, gpus or places]
    if "gpu" in workflow.global_resources:  # --resources gpu=2
        limits.append(workflow.global_resources["gpu"].value)
    return max(1, min(limits))


def sha256_of_list(wildcards):
    """Of the list that a download goes by: its place may change. None where there is no list."""
    dataset = PLAN.dataset(wildcards.dataset)
    if dataset.source == "mirror":
        named = dataset.mirror.digests
    elif dataset.source == "idc" or dataset.label_files == "dicom_seg":
        named = dataset.idc.series
    else:
        return None
    return sha256_of(CONFIG / named) if (CONFIG / named).is_file() else None


def prepared_for_run(wildcards):
    """What a run waits for.

    A run whose record is of another one is trained anew, also where Snakemake does not know with
    which params: its files were copied or moved here, or Snakemake's notes are gone.
    """
    record = LAYOUT.record.format(**wildcards)
    if workflow.is_main_process and is_of_another(
        LAYOUT.run_of(wildcards), Path(record)
    ):
        workflow.dag.forcefiles.add(record)
    return LAYOUT.prepared_for_run(wildcards)


def asked_runs():
    """The runs that this call's targets need, each with the selections that they need."""
    asked = {}
    for job in workflow.dag.jobs:
        if job.rule.name in ("train", "evaluate"):
            of = asked.setdefault(Point.of(job.wildcards), set())
            of.add(job.wildcards.get("selection"))
    return asked


def conclude():
    if ANNOUNCER:
        ANNOUNCER.conclude()


onstart:
    # Nothing was changed before.
    work_alone()
    bring_back([Path(RESULTS), Path(PLAN.experiment.data_folder)])
    write_planned(Path(RESULTS), RUNS, PLAN, asked_runs(), trainings_at_once())
    write_folds(Path(RESULTS), PLAN)


onsuccess:
    conclude()


onerror:
    conclude()


wildcard_constraints:
    dataset=any_of(PLAN.splits),
    scan="[^/]+",
    variant="[^/]+",
    part=any_of(PARTS),
    labelled=r"\d+",
    seed=r"\d+",
    selection=any_of(get_args(Selection)),
    table=any_of(PLAN.tables),
    figure=any_of(PLAN.figures),
