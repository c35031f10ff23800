# One job per run. While it works, it keeps its checkpoint and log in `unfinished/`, which is not
# declared: a killed job's declared outputs are deleted, and the next start goes on from there.


rule train:
    input:
        volumes=LAYOUT.volumes_of_run,
    output:
        models=[
            f"{LAYOUT.run}/{selection}/model.pt"
            for selection in PLAN.experiment.selections
        ],
        log=f"{LAYOUT.run}/log.csv",
        record=f"{LAYOUT.run}/record.json",
    log:
        f"{LAYOUT.run}/train.log",
    conda:
        "../envs/train.yaml"
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
    params:
        run=LAYOUT.run_of,
        unfinished=f"{LAYOUT.run}/unfinished",
    script:
        "../workflow_scripts/train.py"
