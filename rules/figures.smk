# One rule per kind of figure, because each has its own script and caption.

for KIND in get_args(FigureKind):

    rule:
        name:
            f"{KIND}_figure"
        input:
            unpack(lambda wildcards: LAYOUT.inputs_of_figure(wildcards.figure)),
        output:
            pdf=f"{LAYOUT.figure}.pdf",
            png=report(
                f"{LAYOUT.figure}.png",
                caption=f"../captions/{KIND}_figure.rst",
                category="Figures",
                labels={"figure": "{figure}"},
            ),
        log:
            f"{LAYOUT.logs}/{{figure}}.log",
        wildcard_constraints:
            figure=any_of(LAYOUT.figures_of_kind(KIND)),
        localrule: True
        conda:
            "../envs/tables.yaml"
        params:
            kind=KIND,  # for the script, whose path is filled in by the job, after this loop
            lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
            case=lambda wildcards: LAYOUT.case_of_figure(wildcards.figure),
            slices=lambda wildcards: PLAN.figures[wildcards.figure].model_dump(
                include={"slices"}
            )["slices"],
            note=lambda wildcards: PLAN.note_of(wildcards.figure),
        script:
            "../workflow_scripts/{params.kind}_figure.py"
