# One job per run. While it works, it keeps its checkpoints and log in `unfinished/`, which is not
# declared: a killed job's declared outputs are deleted, and the next start goes on from there.
# So are those of a job that ended well after its Snakemake was killed; hence evaluation, not
# training, removes `unfinished/`.
# One rule per data set, because each has its own ways of choosing a checkpoint.

for DATASET in PLAN.experiment.datasets:

    rule:
        name:
            f"train_{DATASET}"
        input:
            LAYOUT.prepared_for_run,
        output:
            models=LAYOUT.models(DATASET),
            log=LAYOUT.training_log,
            record=LAYOUT.record,
        log:
            f"{LAYOUT.run}/train.log",
        # Of the last attempt only; all of them are in the record.
        benchmark:
            LAYOUT.training_benchmark
        wildcard_constraints:
            dataset=DATASET,
        conda:
            "../envs/train.yaml"
        threads: PLAN.experiment.training_threads
        resources:
            gpu=1,
        params:
            run=LAYOUT.run_of,
            volumes=LAYOUT.volumes_of_run,
            preparation=PLAN.preparation_of_new(DATASET),
            unfinished=LAYOUT.unfinished,
            results=lambda wildcards: LAYOUT.results,
        script:
            "../workflow_scripts/train.py"
