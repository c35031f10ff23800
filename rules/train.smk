# One job per run. While it works, it keeps its checkpoint and log in `unfinished/`, which is not
# declared: a killed job's declared outputs are deleted, and the next start goes on from there.
# One rule per data set, because each has its own ways of choosing a checkpoint.

for DATASET in PLAN.experiment.datasets:

    rule:
        name:
            f"train_{DATASET}"
        input:
            volumes=LAYOUT.volumes_of_run,
        output:
            models=LAYOUT.models(DATASET),
            log=f"{LAYOUT.run}/log.csv",
            record=f"{LAYOUT.run}/record.json",
        log:
            f"{LAYOUT.run}/train.log",
        wildcard_constraints:
            dataset=DATASET,
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
