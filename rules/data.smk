# Scans: made up, downloaded or found in a folder, then prepared once for all runs.

LA_FILES = ("lgemri.nrrd", "laendo.nrrd")  # one scan, as the challenge distributes it


rule make_phantoms:
    output:
        scans=[
            RAW.format(dataset="la", scan=scan) + f"/{file}"
            for scan in PLAN.scans("la")
            for file in LA_FILES
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
    """The files that a scan is prepared from; for a mirror, the proof that it is downloaded."""
    dataset = PLAN.dataset(wildcards.dataset)
    if dataset.source == "mirror":
        return DOWNLOADS.format(dataset=wildcards.dataset) + "/complete.txt"
    if dataset.source == "local":
        return f"{dataset.folder}/{wildcards.scan}/mri_norm2.h5"
    if dataset.source == "phantom":
        folder = RAW.format(**wildcards)
    else:
        folder = f"{dataset.folder}/{wildcards.scan}"
    return [f"{folder}/{file}" for file in LA_FILES]


rule prepare:
    input:
        source_of,
    output:
        volume=VOLUME,
    log:
        f"{RESULTS}/logs/{{dataset}}/prepare/{{scan}}.log",
    params:
        source=lambda wildcards: PLAN.dataset(wildcards.dataset).source,
        spacing=lambda wildcards: PLAN.dataset(wildcards.dataset).spacing,
        downsample=lambda wildcards: PLAN.dataset(wildcards.dataset).downsample,
    script:
        "../workflow_scripts/prepare.py"
