# Tables: published beside ours, from the score files alone.


rule table:
    input:
        scores=lambda wildcards: LAYOUT.scores_of_table(wildcards.table),
        published=str(CONFIG / "published.csv"),
    output:
        csv=report(
            f"{LAYOUT.table}.csv",
            caption="../captions/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md=f"{LAYOUT.table}.md",
        tex=f"{LAYOUT.table}.tex",
    log:
        f"{LAYOUT.logs}/{{table}}.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_table(wildcards.table),
        table=lambda wildcards: PLAN.tables[wildcards.table].model_dump(
            exclude={"rows"}
        ),
        note=lambda wildcards: PLAN.note_of(wildcards.table),
        tested=lambda wildcards: PLAN.tested(PLAN.tables[wildcards.table].dataset),
    script:
        "../workflow_scripts/table.py"


# What choosing checkpoints on the test scans adds, over all runs of all tables.
rule selection_gain:
    input:
        scores=lambda wildcards: LAYOUT.scores_of_selection_gain(),
    output:
        csv=report(
            f"{LAYOUT.selection_gain}.csv",
            caption="../captions/selection_gain.rst",
            category="Tables",
            labels={"table": "selection_gain"},
        ),
        md=f"{LAYOUT.selection_gain}.md",
    log:
        f"{LAYOUT.logs}/selection_gain.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_selection_gain(),
    script:
        "../workflow_scripts/selection_gain.py"


# What the runs of all tables cost. Scores from before there were benchmark files stay without.
rule cost:
    input:
        unpack(lambda wildcards: LAYOUT.inputs_of_cost()),
    output:
        csv=f"{LAYOUT.cost}.csv",
        md=f"{LAYOUT.cost}.md",
    log:
        f"{LAYOUT.logs}/cost.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    params:
        lines=lambda wildcards: LAYOUT.lines_of_cost(),
        note=PLAN.experiment.note,
    script:
        "../workflow_scripts/cost.py"
