# One job per run. While it works, it keeps its checkpoint and log in `unfinished/`, which is not
# declared: a killed job's declared outputs are deleted, and the next start goes on from there.


def scans_of_run(wildcards):
    """The prepared scans that a run may read."""
    run = PLAN.run(point_of(wildcards))
    judges = [scan for scans in run["selection_scans"].values() for scan in scans]
    scans = dict.fromkeys([*run["labelled"], *run["unlabelled"], *judges])
    return volumes_of(wildcards.dataset, scans)


rule train:
    input:
        volumes=scans_of_run,
    output:
        models=[f"{RUN}/{selection}/model.pt" for selection in PLAN.experiment.selections],
        log=f"{RUN}/log.csv",
        record=f"{RUN}/record.json",
    log:
        f"{RUN}/train.log",
    params:
        run=lambda wildcards: PLAN.run(point_of(wildcards)),
        unfinished=f"{RUN}/unfinished",
    threads: PLAN.experiment.training_threads
    resources:
        gpu=1,
    script:
        "../workflow_scripts/train.py"
