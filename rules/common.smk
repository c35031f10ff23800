# The checked experiment (PLAN), and where everything lies.

from pathlib import Path

from snakemake.exceptions import WorkflowError

from sgrs_core.config import ConfigError
from sgrs_core.experiment import Point, check_methods, load_plan

CONFIG = Path(workflow.basedir) / "config"

try:
    PLAN = load_plan(config, Path(workflow.configfiles[0]), CONFIG)
    if workflow.is_main_process:  # jobs need not import torch to check again
        check_methods(PLAN)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{PLAN.experiment.experiment}"
DOWNLOADS = f"{PLAN.experiment.data_folder}/{{dataset}}/mirror"
RAW = f"{RESULTS}/raw/{{dataset}}/{{scan}}"
VOLUME = f"{RESULTS}/volumes/{{dataset}}/{{scan}}.h5"
RUN = f"{RESULTS}/{{dataset}}/labelled-{{labelled}}/{{variant}}/seed-{{seed}}"
SCORES = f"{RUN}/{{selection}}/scores.csv"
PREDICTIONS = f"{RUN}/{{selection}}/predictions"


wildcard_constraints:
    dataset="|".join(PLAN.experiment.datasets),
    labelled=r"\d+",
    seed=r"\d+",
    selection="|".join(PLAN.experiment.selections),
    table="|".join(PLAN.tables) or "none",
    figure="|".join(PLAN.figures) or "none",


def point_of(wildcards):
    """The run that a path belongs to."""
    point = Point(
        wildcards.dataset, int(wildcards.labelled), wildcards.variant, int(wildcards.seed)
    )
    if point not in PLAN.rows:
        raise WorkflowError(f"no table or figure of this experiment has the run {point}")
    return point


def paths_of(pattern, points, **fixed):
    """A pattern's path for each point."""
    return [pattern.format(**point._asdict(), **fixed) for point in points]


def volumes_of(dataset, scans):
    """The prepared files of a data set's scans."""
    return [VOLUME.format(dataset=dataset, scan=scan) for scan in scans]


def outputs_of(name):
    """The files of one table or figure."""
    if name in PLAN.tables:
        return [f"{RESULTS}/tables/{name}.{suffix}" for suffix in ("csv", "md", "tex")]
    return [f"{RESULTS}/figures/{name}.{suffix}" for suffix in ("pdf", "png")]
