# One job per run. While it works, it keeps its checkpoints and log in `unfinished/`, which is not
# declared: a killed job's declared outputs are deleted, and the next start goes on from there.
# The outputs are marked `update` so that they stay when the job starts again: a run whose record
# says that it is finished, with these settings and scans, is not trained a second time.
#
# A job is done again when its params change, but for those whose functions take more than the
# wildcards: these hold settings that change no weight.


rule train:
    input:
        prepared=prepared_for_run,
    output:
        model=update(f"{RUN}/model.pt"),  # the weights of all selections
        log=update(f"{RUN}/log.csv"),
        record=update(f"{RUN}/record.json"),
    log:
        f"{RUN}/train.log",
    # Of the last attempt only; all of them are in the record.
    benchmark:
        f"{RUN}/benchmark.tsv"
    conda:
        "../envs/train.yaml"
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=720,
    params:
        identity=lambda wildcards: LAYOUT.run_of(wildcards).identity(),
        run=lambda wildcards, threads: LAYOUT.run_of(wildcards).description(),
        volumes=LAYOUT.volumes_of_run,
        preparation=lambda wildcards: PLAN.preparation_of_new(wildcards.dataset),
        unfinished=LAYOUT.unfinished,
        results=lambda wildcards: RESULTS,
        label=lambda wildcards, threads: PLAN.label(Point.of(wildcards)),
        runs_per_gpu=lambda wildcards, threads: PLAN.experiment.runs_per_gpu,
        tensorboard=lambda wildcards, threads: PLAN.experiment.tensorboard,
    script:
        "../workflow_scripts/train.py"
