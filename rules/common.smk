# The checked experiment (PLAN) and its paths (LAYOUT).

import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from sgrs_core.config import ConfigError
from sgrs_core.experiment import check_methods, load_plan
from sgrs_core.layout import Layout, any_of

CONFIG = Path(workflow.basedir) / "config"
# Jobs in environments of their own (conda, containers) find sgrs_core here.
SEARCHED = [workflow.basedir, os.getenv("PYTHONPATH", "")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, SEARCHED)))

try:
    PLAN = load_plan(config, [Path(file) for file in workflow.configfiles], CONFIG)
    if workflow.is_main_process:  # jobs need not import torch to check again
        check_methods(PLAN)
except ConfigError as error:
    raise WorkflowError(str(error)) from None

LAYOUT = Layout(PLAN)


wildcard_constraints:
    dataset=any_of(PLAN.experiment.datasets),
    labelled=r"\d+",
    seed=r"\d+",
    selection=any_of(PLAN.experiment.selections),
    table=any_of(PLAN.tables),
    figure=any_of(PLAN.figures),
