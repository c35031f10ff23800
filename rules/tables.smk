# Tables: published beside ours, from the score files alone.


def scores_of_table(wildcards):
    """The score files behind a table, for every way of choosing checkpoints."""
    return [
        path
        for selection in PLAN.experiment.selections
        for path in paths_of(SCORES, PLAN.points(wildcards.table), selection=selection)
    ]


def lines_of_table(wildcards):
    """What the table shows, line by line: names, and each selection's score files by seed."""
    return [
        {
            "variant": entry.row.variant,
            "labelled": entry.labelled,
            "scores": {
                selection: paths_of(SCORES, entry.points, selection=selection)
                for selection in PLAN.experiment.selections
            },
        }
        for entry in PLAN.entries(wildcards.table)
    ]


rule table:
    input:
        scores=scores_of_table,
        published=str(CONFIG / "published.csv"),
    output:
        csv=f"{RESULTS}/tables/{{table}}.csv",
        md=f"{RESULTS}/tables/{{table}}.md",
        tex=f"{RESULTS}/tables/{{table}}.tex",
    log:
        f"{RESULTS}/logs/{{table}}.log",
    params:
        lines=lines_of_table,
        table=lambda wildcards: PLAN.tables[wildcards.table].model_dump(exclude={"rows"}),
        note=PLAN.experiment.note,
    localrule: True
    script:
        "../workflow_scripts/table.py"
