# Figures, by kind. They show the first of the experiment's selections and seeds.


def figure_of_kind(kind):
    """The names of the figures of one kind, as a wildcard's pattern."""
    return "|".join(name for name, sheet in PLAN.figures.items() if sheet.kind == kind) or "none"


def shown(name):
    """The lines of a figure: method, settings, labelled scans, scores and predictions."""
    selection = PLAN.experiment.selections[0]
    for entry in PLAN.entries(name):
        point = entry.points[0]
        yield {
            "title": PLAN.methods[entry.row.method].title,
            "settings": entry.row.settings,
            "labelled": entry.labelled,
            "scores": paths_of(SCORES, [point], selection=selection)[0],
            "predictions": paths_of(PREDICTIONS, [point], selection=selection)[0],
        }


rule segmentations_figure:
    input:
        scores=lambda wildcards: [line["scores"] for line in shown(wildcards.figure)],
        predictions=lambda wildcards: [line["predictions"] for line in shown(wildcards.figure)],
        volumes=lambda wildcards: volumes_of(
            PLAN.figures[wildcards.figure].dataset,
            PLAN.splits[PLAN.figures[wildcards.figure].dataset].test,
        ),
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=f"{RESULTS}/figures/{{figure}}.png",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    params:
        lines=lambda wildcards: list(shown(wildcards.figure)),
    wildcard_constraints:
        figure=figure_of_kind("segmentations"),
    localrule: True
    script:
        "../workflow_scripts/segmentations_figure.py"


rule threshold_figure:
    input:
        scores=lambda wildcards: [line["scores"] for line in shown(wildcards.figure)],
    output:
        pdf=f"{RESULTS}/figures/{{figure}}.pdf",
        png=f"{RESULTS}/figures/{{figure}}.png",
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    params:
        lines=lambda wildcards: list(shown(wildcards.figure)),
    wildcard_constraints:
        figure=figure_of_kind("threshold"),
    localrule: True
    script:
        "../workflow_scripts/threshold_figure.py"
