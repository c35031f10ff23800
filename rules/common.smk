# The checked experiment (PLAN) and its paths (LAYOUT).

import os
from pathlib import Path
from typing import get_args

from snakemake.exceptions import WorkflowError

from sgrs_core.config import ConfigError
from sgrs_core.planning import check_methods, check_scans, load_plan
from sgrs_core.layout import Layout, any_of
from sgrs_core.settings import Selection

CONFIG = Path(workflow.basedir) / "config"
# Jobs in environments of their own (conda, containers) find sgrs_core here.
SEARCHED = [workflow.basedir, os.getenv("PYTHONPATH", "")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, SEARCHED)))

CONFIGFILES = [Path(file) for file in workflow.configfiles]

try:
    PLAN = load_plan(config, CONFIGFILES, CONFIG)
    # Jobs need not import torch and look for files to check again.
    if workflow.is_main_process:
        check_methods(PLAN)
        check_scans(PLAN, CONFIGFILES)
        for line in PLAN.warnings():
            logger.warning(line)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

LAYOUT = Layout(PLAN)


wildcard_constraints:
    dataset=any_of(PLAN.experiment.datasets),
    labelled=r"\d+",
    seed=r"\d+",
    selection=any_of(get_args(Selection)),
    table=any_of(PLAN.tables),
    figure=any_of(PLAN.figures),
