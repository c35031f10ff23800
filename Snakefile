# From raw scans to the paper's tables and figures.
#
#   snakemake --cores 2                                     everything of config/config.yaml (the demo)
#   snakemake --cores 2 headline                            its headline tables and figures only
#   snakemake --cores 2 --configfile config/paper.yaml      another experiment
#
# The stages, each in its own file: data -> train -> evaluate -> tables, figures.

from snakemake.utils import min_version

min_version("9.0")

if "experiment" not in config:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"


rule all:
    default_target: True
    input:
        [LAYOUT.outputs(name) for name in [*PLAN.tables, *PLAN.figures]],


rule headline:
    input:
        [LAYOUT.outputs(name) for name in PLAN.experiment.headline],
