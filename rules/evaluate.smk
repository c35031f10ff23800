# One job per run and way of choosing its checkpoint: predictions and scores of all test scans.


rule evaluate:
    input:
        model=f"{LAYOUT.selected}/model.pt",
        volumes=lambda wildcards: LAYOUT.test_volumes(wildcards.dataset),
    output:
        scores=LAYOUT.scores,
        predictions=directory(LAYOUT.predictions),
    log:
        f"{LAYOUT.selected}/evaluate.log",
    conda:
        "../envs/train.yaml"
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
    params:
        scans=lambda wildcards: LAYOUT.test_scans(wildcards.dataset),
    script:
        "../workflow_scripts/evaluate.py"
