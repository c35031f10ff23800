# Scans: made up, downloaded or found in a folder, then prepared once for all runs.


rule make_phantoms:
    output:
        scans=LAYOUT.phantoms("la"),
    log:
        f"{LAYOUT.logs}/la/make_phantoms.log",
    conda:
        "../envs/data.yaml"
    params:
        scans=PLAN.scans("la"),
        phantom=lambda wildcards: PLAN.dataset("la").phantom.model_dump(),
    script:
        "../workflow_scripts/make_phantoms.py"


rule download_mirror:
    output:
        # The files themselves are not declared: a failed job's declared outputs are deleted,
        # and a later start should find what had arrived.
        complete=f"{LAYOUT.mirror}/complete.txt",
    log:
        f"{LAYOUT.logs}/{{dataset}}/download_mirror.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        url=lambda wildcards: PLAN.dataset(wildcards.dataset).mirror.url,
        digests=lambda wildcards: str(
            CONFIG / PLAN.dataset(wildcards.dataset).mirror.digests
        ),
    script:
        "../workflow_scripts/download_mirror.py"


rule prepare:
    input:
        LAYOUT.sources,
    output:
        volume=LAYOUT.volume,
    log:
        f"{LAYOUT.logs}/{{dataset}}/prepare/{{scan}}.log",
    conda:
        "../envs/data.yaml"
    params:
        source=lambda wildcards: PLAN.dataset(wildcards.dataset).source,
        spacing=lambda wildcards: PLAN.dataset(wildcards.dataset).spacing,
        downsample=lambda wildcards: PLAN.dataset(wildcards.dataset).downsample,
    script:
        "../workflow_scripts/prepare.py"
