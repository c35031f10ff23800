# One HTML file that shows the whole experiment.


rule report:
    input:
        tables=[LAYOUT.outputs(name)[0] for name in PLAN.tables],
        figures=[LAYOUT.outputs(name)[-1] for name in PLAN.figures],
        cases=[
            f"{LAYOUT.figure.format(figure=name)}.slices.json"
            for name in LAYOUT.figures_of_kind("segmentations")[:1]
        ],
        gain=lambda wildcards: LAYOUT.outputs_of_selection_gain()[:1],
        cost=lambda wildcards: LAYOUT.outputs_of_cost()[:1],
        runs=lambda wildcards: list(files_of_runs(LAYOUT)),
        pages=lambda wildcards: pages_of(PLAN, Path(workflow.basedir) / "docs"),
    output:
        html=report(
            LAYOUT.report,
            caption="../captions/report.rst",
            category="The whole experiment",
        ),
        findings=LAYOUT.findings,
    log:
        f"{LAYOUT.logs}/report.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        contents=lambda wildcards: contents_of(PLAN, LAYOUT),
    script:
        "../workflow_scripts/report.py"


# One case: slices that a reader can leaf through, and surfaces to turn.


rule case_slices:
    input:
        unpack(lambda wildcards: LAYOUT.inputs_of_figure(wildcards.figure)),
    output:
        json=f"{LAYOUT.figure}.slices.json",
    log:
        f"{LAYOUT.logs}/{{figure}}.slices.log",
    wildcard_constraints:
        figure=any_of(LAYOUT.figures_of_kind("segmentations")),
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_figure(wildcards.figure),
        case=lambda wildcards: LAYOUT.case_of_figure(wildcards.figure),
        surfaces=PLAN.experiment.report_3d,
    script:
        "../workflow_scripts/case_slices.py"
