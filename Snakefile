# From raw scans to the paper's tables and figures.
#
#   snakemake --cores 2                                     everything of config/config.yaml, on phantom scans
#   snakemake --cores 2 headline                            its headline tables and figures only
#   snakemake --cores 2 report                              all of it, and one HTML file that shows it
#   snakemake --cores 2 --configfile config/paper.yaml      another experiment
#
# The stages, each in its own file: data -> train -> evaluate -> tables, figures -> report.

from snakemake.utils import min_version

min_version("9.0")

if not workflow.configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        [LAYOUT.outputs(name) for name in [*PLAN.tables, *PLAN.figures]],
        LAYOUT.outputs_of_selection_gain(),
        LAYOUT.outputs_of_cost(),
        LAYOUT.results_of(PLAN.sheets),


rule headline:
    input:
        [LAYOUT.outputs(name) for name in PLAN.experiment.headline],
        LAYOUT.results_of(PLAN.experiment.headline),
