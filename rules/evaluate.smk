# One job per run and way of choosing its checkpoint: predictions and scores of all test scans.


rule evaluate:
    input:
        model=f"{LAYOUT.selected}/model.pt",
        prepared=expand(LAYOUT.prepared, part="test", allow_missing=True),
    output:
        scores=LAYOUT.scores,
        predictions=directory(LAYOUT.predictions),
    log:
        f"{LAYOUT.selected}/evaluate.log",
    benchmark:
        LAYOUT.evaluation_benchmark
    conda:
        "../envs/train.yaml"
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
    params:
        volumes=lambda wildcards: LAYOUT.test_volumes(wildcards.dataset),
        unfinished=LAYOUT.unfinished,
        results=lambda wildcards: LAYOUT.results,
    script:
        "../workflow_scripts/evaluate.py"
