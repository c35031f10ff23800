# Figures, by kind.


rule segmentations_figure:
    input:
        scores=lambda wildcards: LAYOUT.part_of_figure(wildcards.figure, "scores"),
        predictions=lambda wildcards: LAYOUT.part_of_figure(
            wildcards.figure, "predictions"
        ),
        volumes=lambda wildcards: LAYOUT.test_volumes(
            PLAN.figures[wildcards.figure].dataset
        ),
    output:
        pdf=f"{LAYOUT.figure}.pdf",
        png=f"{LAYOUT.figure}.png",
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("segmentations"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
    script:
        "../workflow_scripts/segmentations_figure.py"


rule threshold_figure:
    input:
        scores=lambda wildcards: LAYOUT.part_of_figure(wildcards.figure, "scores"),
    output:
        pdf=f"{LAYOUT.figure}.pdf",
        png=f"{LAYOUT.figure}.png",
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("threshold"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
    script:
        "../workflow_scripts/threshold_figure.py"
