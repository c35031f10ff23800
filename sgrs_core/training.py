"""The training loop, the same for every method.

It owns what is not the method's: drawing patches, precision, backward passes, the log,
checkpoints, and the choice of a checkpoint. Random numbers are a function of seed and iteration,
and one checkpoint file holds all state, so a run that was killed and started again ends, on a CPU,
with the same bits as one that was not.
"""

import csv
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from sgrs_core.checkpoint import Best, Progress, resume, save
from sgrs_core.data.sampling import Sample, TwoStreamSampler
from sgrs_core.data.volumes import Volume
from sgrs_core.diagnostics import diagnose
from sgrs_core.evaluation import predict_mask
from sgrs_core.files import atomic
from sgrs_core.methods.method import Method, StepOutput
from sgrs_core.metrics import dice
from sgrs_core.progress import follow
from sgrs_core.run import Run, autocast, choose_device, new_method, seed_everything
from sgrs_core.settings import Selection, TrainingSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a run ends with: weights per selection, the log's rows, facts for the record."""

    weights: Mapping[str, Mapping[str, torch.Tensor]]
    rows: list[dict[str, float]]
    facts: dict[str, Any]


def train(run: Run, read: Callable[[str], Volume], unfinished: Path) -> Trained:
    """Train from the start, or from the checkpoint in the folder `unfinished`.

    read: gives the prepared scan of a name. Checkpoint and log in the folder are brought up to date
    every `checkpoint_every` iterations. Raises FloatingPointError, naming iteration and term, when
    a loss is not finite; the last good checkpoint stays.
    """
    checkpoint = unfinished / "checkpoint.pt"
    settings = run.training
    device = choose_device(settings.device)
    method = new_method(run).to(device)
    if settings.channels_last:
        method.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimizers = method.optimizers()
    progress = resume(checkpoint, run.description(), method, optimizers)
    sampler = new_sampler(run, method, read, device)
    judges = {
        selection: [read(name) for name in names]
        for selection, names in run.selection_scans.items()
        if names
    }
    for iteration in follow(progress.iteration, settings.iterations, lambda: summary(progress)):
        started = time.monotonic()
        seed_everything(run.seed, iteration)
        sample = sampler.draw(iteration)
        output = take_step(method, optimizers, sample, iteration, settings)
        progress.iteration = iteration
        last = iteration == settings.iterations
        if last or iteration % settings.log_every == 0:
            progress.rows.append(log_row(iteration, output, sample))
        if last or is_competing(iteration, settings):
            update_best(progress, method, judges, run, device)
        progress.seconds += time.monotonic() - started
        if last or iteration % settings.checkpoint_every == 0:
            save(checkpoint, run.description(), method, optimizers, progress)
            write_log(unfinished / "log.csv", progress.rows)
    return finish(run, method, progress, device)


def new_sampler(
    run: Run, method: Method, read: Callable[[str], Volume], device: torch.device
) -> TwoStreamSampler:
    """The run's two streams, in the device's memory."""
    unlabelled = run.unlabelled if method.uses_unlabelled else ()
    return TwoStreamSampler(
        [read(name) for name in run.labelled],
        [read(name) for name in unlabelled],
        run.training,
        run.seed,
        device,
    )


def take_step(
    method: Method,
    optimizers: list[Optimizer],
    sample: Sample,
    iteration: int,
    settings: TrainingSettings,
) -> StepOutput:
    """One update: the method's loss, backward, optimisers, then whatever the method does after."""
    method.train()
    with autocast(sample.labels_u.device, settings):
        output = method.step(sample.batch, iteration)
    check_finite(output, iteration)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    output.loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    method.after_step(iteration)
    return output


def check_finite(output: StepOutput, iteration: int) -> None:
    """Raise FloatingPointError naming the iteration and the first term that is not finite."""
    for name, value in (*output.terms.items(), ("loss", output.loss)):
        if not torch.isfinite(value).all():
            raise FloatingPointError(
                f"iteration {iteration}: the loss term '{name}' is {value.item()}; the last good "
                "checkpoint is kept; lower learning_rate, or set precision: float32"
            )


def log_row(iteration: int, output: StepOutput, sample: Sample) -> dict[str, float]:
    """One line of the log: the loss, its terms, and the diagnostics the method never sees."""
    terms = {name: value.item() for name, value in output.terms.items()}
    hidden = diagnose(output.observed, sample.labels_u)
    return {"iteration": iteration, "loss": output.loss.item(), **terms, **hidden}


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """One line per logged iteration, one column per number."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def is_competing(iteration: int, settings: TrainingSettings) -> bool:
    """Whether this iteration's weights take part in the choice of a checkpoint."""
    started = iteration >= settings.selection_from
    return started and iteration % settings.selection_every == 0


def update_best(
    progress: Progress,
    method: Method,
    judges: Mapping[Selection, list[Volume]],
    run: Run,
    device: torch.device,
) -> None:
    """Keep the weights whose mean Dice on a selection's scans is the best so far."""
    for selection, volumes in judges.items():
        value = mean_dice(method, volumes, run, device)
        logger.info("iteration %d: %s Dice %.4f", progress.iteration, selection, value)
        if selection not in progress.best or value > progress.best[selection].dice:
            progress.best[selection] = Best(value, progress.iteration, copy_weights(method))


def mean_dice(method: Method, volumes: list[Volume], run: Run, device: torch.device) -> float:
    """Mean Dice of whole-scan predictions, with the stride meant for selection."""
    method.eval()
    stride = run.inference.selection_stride
    return float(
        np.mean(
            [
                dice(predict_mask(run, method, volume, stride, device), volume.label == 1)
                for volume in volumes
            ]
        )
    )


def finish(run: Run, method: Method, progress: Progress, device: torch.device) -> Trained:
    """Collect the weights of every selection and what the record should say about them."""
    weights = {str(selection): best.weights for selection, best in progress.best.items()}
    weights["last"] = copy_weights(method)
    selected = {
        selection: {"iteration": best.iteration, "mean_dice": best.dice}
        for selection, best in progress.best.items()
    }
    facts = {
        "read_test_scans_in_training": bool(run.selection_scans.get("best_on_test")),
        "selected": selected,
        "seconds": round(progress.seconds, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }
    return Trained(weights, progress.rows, facts)


def summary(progress: Progress) -> str:
    """The last logged loss, for the progress bar."""
    return f"loss {progress.rows[-1]['loss']:.4f}" if progress.rows else ""


def copy_weights(method: Method) -> dict[str, torch.Tensor]:
    """A copy of the state on the CPU that further steps do not change."""
    return {name: value.detach().cpu().clone() for name, value in method.state_dict().items()}
