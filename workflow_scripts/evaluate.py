"""Predict and score all test scans with one trained model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sgrs_core.clock import bring_back
from sgrs_core.data.formats.image_files import write_image
from sgrs_core.data.prepared import check_unchanged, listed_digests
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation.model import load_model
from sgrs_core.evaluation.scoring import evaluate, write_scores
from sgrs_core.experiment.run import Run
from sgrs_core.files import exclusive_lock
from sgrs_core.log import log_to
from sgrs_core.methods.base import Method
from sgrs_core.methods.contract import own_errors_named
from sgrs_core.monitoring.as_planned import check_planned
from sgrs_core.training.gpu import gpu_for

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    torch.set_num_threads(snakemake.threads)
    model, scores = Path(snakemake.input.model), Path(snakemake.output.scores)
    results = Path(snakemake.params.results)
    # One that a killed Snakemake left behind may be at work on the same files.
    with exclusive_lock(scores.parent, wait=True):
        # How it predicts is today's: only weights were decided by training.
        today = Run.from_description(snakemake.params.run)
        check_planned(results, model.parent, today, ["digest", "predicting"])
        files = {Path(file).stem: Path(file) for file in snakemake.params.volumes}
        check_unchanged(files, listed_digests(files, snakemake.input.prepared))
        trained, method, _ = load_model(model, snakemake.wildcards.selection)
        if not trained.answers(today):
            raise ValueError(
                f"{model}: the weights are of another run (seed {trained.seed}, "
                f"{trained.training.iterations} iterations, or other settings): delete its folder, "
                "and the run is trained anew"
            )
        run = replace(
            trained,
            training=replace(trained.training, device=today.training.device),
            inference=today.inference,
        )
        gpu = gpu_for(run.training.device, snakemake.params.runs_per_gpu)
        with gpu, own_errors_named(run.method):
            lines = work(run, method, files, Path(snakemake.output.predictions))
        write_scores(scores, lines)
    bring_back([results])


def work(
    run: Run, method: Method, files: Mapping[str, Path], predictions: Path
) -> dict[str, dict[str, float]]:
    lines: dict[str, Any] = {}
    for scored in evaluate(run, method, list(files), lambda name: read_volume(files[name])):
        mask = scored.volume.placed(scored.prediction.astype("uint8"))
        write_image(predictions / f"{scored.name}.nii.gz", mask)
        lines[scored.name] = scored.scores
    return lines


if "snakemake" in globals():
    main(globals()["snakemake"])
