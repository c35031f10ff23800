# Scans: made up, downloaded or found in a folder, then prepared once for all runs.


rule make_phantoms:
    output:
        scans=[
            f"{RESULTS}/raw/la/{scan}/{file}"
            for scan in PLAN.scans("la")
            for file in ("lgemri.nrrd", "laendo.nrrd")
        ],
    log:
        f"{RESULTS}/logs/la/make_phantoms.log",
    params:
        scans=PLAN.scans("la"),
        phantom=lambda _: PLAN.dataset("la").phantom.model_dump(),
    script:
        "../workflow_scripts/make_phantoms.py"


rule download_mirror:
    output:
        # The files themselves are not declared: a failed job's declared outputs are deleted,
        # and a later start should find what had arrived.
        complete=f"{DOWNLOADS}/complete.txt",
    log:
        f"{RESULTS}/logs/{{dataset}}/download_mirror.log",
    params:
        url=lambda wildcards: PLAN.dataset(wildcards.dataset).mirror.url,
        digests=lambda wildcards: str(CONFIG / PLAN.dataset(wildcards.dataset).mirror.digests),
    localrule: True
    script:
        "../workflow_scripts/download_mirror.py"


def source_of(wildcards):
    """What a scan is prepared from."""
    dataset = PLAN.dataset(wildcards.dataset)
    if dataset.source == "mirror":
        return {"complete": DOWNLOADS.format(dataset=wildcards.dataset) + "/complete.txt"}
    folder = dataset.folder if dataset.source != "phantom" else RAW.rsplit("/", 1)[0]
    folder = f"{folder}/{wildcards.scan}".format(dataset=wildcards.dataset)
    if dataset.source == "local":
        return {"prepared": f"{folder}/mri_norm2.h5"}
    return {"image": f"{folder}/lgemri.nrrd", "label": f"{folder}/laendo.nrrd"}


rule prepare:
    input:
        unpack(source_of),
    output:
        volume=VOLUME,
    log:
        f"{RESULTS}/logs/{{dataset}}/prepare/{{scan}}.log",
    params:
        spacing=lambda wildcards: PLAN.dataset(wildcards.dataset).spacing,
        downsample=lambda wildcards: PLAN.dataset(wildcards.dataset).downsample,
    script:
        "../workflow_scripts/prepare.py"
