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
        png=report(
            f"{LAYOUT.figure}.png",
            caption="../captions/segmentations_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("segmentations"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        case=lambda wildcards: LAYOUT.case_of_figure(wildcards.figure),
        slices=lambda wildcards: LAYOUT.slices_of_figure(wildcards.figure),
        note=lambda wildcards: PLAN.note(PLAN.figures[wildcards.figure].dataset),
    script:
        "../workflow_scripts/segmentations_figure.py"


rule error_maps_figure:
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
        png=report(
            f"{LAYOUT.figure}.png",
            caption="../captions/error_maps_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("error_maps"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        case=lambda wildcards: LAYOUT.case_of_figure(wildcards.figure),
        slices=lambda wildcards: LAYOUT.slices_of_figure(wildcards.figure),
        note=lambda wildcards: PLAN.note(PLAN.figures[wildcards.figure].dataset),
    script:
        "../workflow_scripts/error_maps_figure.py"


rule threshold_figure:
    input:
        scores=lambda wildcards: LAYOUT.part_of_figure(wildcards.figure, "scores"),
    output:
        pdf=f"{LAYOUT.figure}.pdf",
        png=report(
            f"{LAYOUT.figure}.png",
            caption="../captions/threshold_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("threshold"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        note=lambda wildcards: PLAN.note(PLAN.figures[wildcards.figure].dataset),
    script:
        "../workflow_scripts/threshold_figure.py"


rule training_curves_figure:
    input:
        logs=lambda wildcards: LAYOUT.part_of_figure(wildcards.figure, "log"),
    output:
        pdf=f"{LAYOUT.figure}.pdf",
        png=report(
            f"{LAYOUT.figure}.png",
            caption="../captions/training_curves_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("training_curves"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        note=lambda wildcards: PLAN.note(PLAN.figures[wildcards.figure].dataset),
    script:
        "../workflow_scripts/training_curves_figure.py"


rule paired_scores_figure:
    input:
        scores=lambda wildcards: LAYOUT.part_of_figure(wildcards.figure, "scores"),
    output:
        pdf=f"{LAYOUT.figure}.pdf",
        png=report(
            f"{LAYOUT.figure}.png",
            caption="../captions/paired_scores_figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{LAYOUT.logs}/{{figure}}.log",
    wildcard_constraints:
        figure=LAYOUT.figures_of_kind("paired_scores"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        note=lambda wildcards: PLAN.note(PLAN.figures[wildcards.figure].dataset),
    script:
        "../workflow_scripts/paired_scores_figure.py"
