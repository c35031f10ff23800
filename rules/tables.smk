# Tables: published beside ours, from the score files alone.


rule table:
    input:
        scores=lambda wildcards: LAYOUT.scores_of_table(wildcards.table),
        published=str(CONFIG / "published.csv"),
    output:
        csv=f"{LAYOUT.table}.csv",
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
        note=lambda wildcards: PLAN.note(PLAN.tables[wildcards.table].dataset),
    script:
        "../workflow_scripts/table.py"
