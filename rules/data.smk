# Scans: made up, downloaded or found in a folder, then prepared once for all runs.


rule make_phantoms:
    output:
        scans=directory(LAYOUT.phantoms),
    log:
        f"{LAYOUT.logs}/{{dataset}}/make_phantoms.log",
    wildcard_constraints:
        dataset=any_of(
            name
            for name, one in PLAN.experiment.datasets.items()
            if one.source == "phantom"
        ),
    conda:
        "../envs/data.yaml"
    params:
        form=lambda wildcards: PLAN.dataset(wildcards.dataset).format,
        scans=lambda wildcards: list(PLAN.splits[wildcards.dataset].scans()),
        phantom=lambda wildcards: PLAN.dataset(wildcards.dataset).phantom.model_dump(),
    script:
        "../workflow_scripts/make_phantoms.py"


# Of both downloads, only the proof of completeness is declared: a failed job's declared outputs are
# deleted, and a later start should find what had arrived.


rule download_mirror:
    output:
        complete=LAYOUT.complete,
    log:
        f"{LAYOUT.logs}/{{dataset}}/download_{{source}}-{{asked}}.log",
    wildcard_constraints:
        source="mirror",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        url=lambda wildcards: PLAN.dataset(wildcards.dataset).mirror.url,
        digests=lambda wildcards, threads: str(
            CONFIG / PLAN.dataset(wildcards.dataset).mirror.digests
        ),
        digest=sha256_of_list,
    script:
        "../workflow_scripts/download_mirror.py"


rule download_originals:
    output:
        complete=LAYOUT.complete,
    log:
        f"{LAYOUT.logs}/{{dataset}}/download_{{source}}-{{asked}}.log",
    wildcard_constraints:
        source="tcia|idc",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        asked=lambda wildcards: PLAN.download(wildcards.dataset),
        lists=lambda wildcards, threads: str(CONFIG),
        digest=sha256_of_list,
    script:
        "../workflow_scripts/download_originals.py"


rule prepare:
    input:
        LAYOUT.sources,
    output:
        volume=LAYOUT.volume,
    log:
        f"{LAYOUT.logs}/{{dataset}}/prepare/{{scan}}.log",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=2048,
    params:
        folder=lambda wildcards: LAYOUT.source_folder(wildcards.dataset),
        how=lambda wildcards: PLAN.preparation(wildcards.dataset),
        # With `threads`, because they change no prepared scan that can serve.
        results=lambda wildcards, threads: RESULTS,
        label_is_used=lambda wildcards, threads: wildcards.scan
        in PLAN.used_labels(wildcards.dataset),
    script:
        "../workflow_scripts/prepare.py"


# What training and evaluation depend on: a file for all training scans, one for all test scans,
# instead of hundreds for each of hundreds of runs, at which Snakemake would look at every start.


rule list_prepared:
    input:
        volumes=lambda wildcards: LAYOUT.volumes_of_part(
            wildcards.dataset, wildcards.part
        ),
    output:
        digests=LAYOUT.prepared,
    log:
        f"{LAYOUT.logs}/{{dataset}}/list_prepared_{{part}}.log",
    localrule: True
    conda:
        "../envs/data.yaml"
    params:
        scans=lambda wildcards: LAYOUT.volumes_of_part(
            wildcards.dataset, wildcards.part
        ),
        # With `threads`, because a list serves runs of more labelled scans, too: what is new about
        # them, whether they have labels, training asks itself.
        labelled=lambda wildcards, threads: PLAN.used_labels(wildcards.dataset),
        others=lambda wildcards, threads: LAYOUT.volumes_of_other_parts(
            wildcards.dataset, wildcards.part
        ),
    script:
        "../workflow_scripts/list_prepared.py"
