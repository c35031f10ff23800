# One job per run and way of choosing its checkpoint: predictions and scores of all test scans.


rule evaluate:
    input:
        model=f"{RUN}/{{selection}}/model.pt",
        volumes=lambda wildcards: volumes_of(
            wildcards.dataset, PLAN.splits[wildcards.dataset].test
        ),
    output:
        scores=SCORES,
        predictions=directory(PREDICTIONS),
    log:
        f"{RUN}/{{selection}}/evaluate.log",
    params:
        scans=lambda wildcards: PLAN.splits[wildcards.dataset].test,
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
    script:
        "../workflow_scripts/evaluate.py"
