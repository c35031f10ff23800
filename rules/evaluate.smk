# One job per run and way of choosing its checkpoint: predictions and scores of all test scans.


rule evaluate:
    input:
        model=f"{RUN}/model.pt",
        prepared=LAYOUT.prepared_for_test,
    output:
        scores=f"{RUN}/{{selection}}/scores.csv",
        predictions=directory(f"{RUN}/{{selection}}/predictions"),
    log:
        f"{RUN}/{{selection}}/evaluate.log",
    benchmark:
        f"{RUN}/{{selection}}/benchmark.tsv"
    conda:
        "../envs/train.yaml"
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=30,
    params:
        volumes=lambda wildcards: LAYOUT.volumes_of_part(wildcards.dataset, "test"),
        predicting=LAYOUT.predicting_of,
        run=lambda wildcards, threads: LAYOUT.run_of(wildcards).description(),
        results=lambda wildcards: RESULTS,
        runs_per_gpu=lambda wildcards, threads: PLAN.experiment.runs_per_gpu,
    script:
        "../workflow_scripts/evaluate.py"
