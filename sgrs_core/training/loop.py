"""The training loop, the same for every method.

It owns what is not the method's: drawing patches, precision, backward passes, the log,
checkpoints, and the choice of a checkpoint. Random numbers are a function of seed and iteration,
and a checkpoint holds all state, so a run that was killed and started again ends, on a CPU, with
the same bits as one that was not.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from sgrs_core.data.sampling import Sample, TwoStreamSampler
from sgrs_core.data.volumes import Volume
from sgrs_core.evaluation.inference import Predict, segment
from sgrs_core.evaluation.metrics import dice
from sgrs_core.evaluation.scoring import predict_score
from sgrs_core.experiment.own_methods import is_own
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import Selection, TrainingSettings, Triple
from sgrs_core.log import follow
from sgrs_core.methods import new_method, seed_everything
from sgrs_core.methods.base import Method, StepOutput
from sgrs_core.methods.contract import check_output, check_prediction, of_class
from sgrs_core.methods.cpu_tuning import keep_freed_memory
from sgrs_core.methods.precision import (
    autocast,
    choose_device,
    place,
    precision_context,
    uncompiled,
)
from sgrs_core.training.checkpoint import STAY, Best, Progress, resume, save
from sgrs_core.training.diagnostics import diagnose
from sgrs_core.training.log_file import GrowingLog
from sgrs_core.training.record import processor
from sgrs_core.training.signals import StoppedError
from sgrs_core.training.tensorboard import OnRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a run ends with: weights per selection, the log's rows, facts for the record."""

    weights: Mapping[str, Mapping[str, torch.Tensor]]
    rows: list[dict[str, float]]
    facts: dict[str, Any]


def train(
    run: Run,
    read: Callable[[str], Volume],
    unfinished: Path,
    asked_to_stop: Callable[[], str | None] = lambda: None,
    scans_sha256: str = "",
    on_row: OnRow = lambda row: None,
    label: str = "",
) -> Trained:
    """Train from the start, or from the newest checkpoint in the folder `unfinished`.

    read: gives the prepared scan of a name. The folder gets a checkpoint every `checkpoint_every`
    iterations, and the log's rows as they come. asked_to_stop: None, or by whom; then the run saves
    a checkpoint after its iteration and raises StoppedError. scans_sha256: what the scans are; a
    checkpoint of other ones is not gone on from. on_row: told of the log's rows as they come, after
    a resume of all that there are. label: what its progress bar is called. Raises
    FloatingPointError, naming iteration and term, when a loss is not finite, and TypeError, naming
    the method's class, when a step or a prediction is not what is asked for; the last good
    checkpoint stays.
    """
    settings = run.training
    device = choose_device(settings.device)
    method = first_method(run, device)
    optimizers = method.optimizers()
    identity = {**run.identity(), "scans_sha256": scans_sha256}
    progress = resume(unfinished, identity, method, optimizers)
    for row in progress.rows:
        on_row(row)
    log = GrowingLog(unfinished / "log.csv", progress.rows)
    progress.costs.begin(machine(device))
    sampler = new_sampler(run, method, read, device)
    if is_own(run.method):  # not after hours, when a checkpoint is chosen or evaluated
        with uncompiled():
            check_prediction(method, sampler.draw(1).batch.images_l)
    selection_volumes = {
        selection: [read(name) for name in names]
        for selection, names in run.selection_scans.items()
        if names
    }
    with precision_context(settings.precision), keep_freed_memory():
        steps = follow(progress.iteration, settings.iterations, lambda: summary(progress), label)
        for iteration in steps:
            started = time.monotonic()
            seed_everything(run.seed, iteration)
            sample = sampler.draw(iteration)
            if method.starts_stage(iteration):
                start_stage(method, optimizers, iteration, progress.best)
            output = take_step(method, optimizers, sample, iteration, settings)
            progress.iteration = iteration
            last = iteration == settings.iterations
            if last or iteration % settings.log_every == 0:
                progress.rows.append(log_row(iteration, output, sample))
                log.append_last()
                on_row(progress.rows[-1])
            if last or is_competing(iteration, settings):
                update_best(progress, method, selection_volumes, run, device)
            progress.seconds += time.monotonic() - started
            by = asked_to_stop()
            if last or by or iteration % settings.checkpoint_every == 0:
                progress.costs.note_work(on_gpu=device.type == "cuda")
                save(unfinished, identity, method, optimizers, progress)
            if by and not last:
                raise StoppedError(
                    f"{by} after iteration {iteration} of {settings.iterations}: "
                    "a checkpoint is saved, the next start goes on from it"
                )
    return finish(run, method, progress, device)


def first_method(run: Run, device: torch.device) -> Method:
    """The run's method at its first weights, on the device, as its settings want it there."""
    method = new_method(run)
    place(method, device, run.training)
    if run.training.compile:
        method.compile_parts()
    return method


def new_sampler(
    run: Run, method: Method, read: Callable[[str], Volume], device: torch.device
) -> TwoStreamSampler:
    """The run's two streams, in the device's memory."""
    unlabelled = run.unlabelled if method.uses_unlabelled else ()
    labelled = {name: read(name) for name in run.labelled}
    others = {name: read(name) for name in unlabelled}
    warn_of_padding(run.training.patch, {**labelled, **others})
    return TwoStreamSampler(
        [*labelled.values()], [*others.values()], run.training, run.seed, device
    )


def warn_of_padding(patch: Triple, volumes: Mapping[str, Volume]) -> None:
    """Say in the log where a side of the patch is longer than that of every scan."""
    for axis, (name, length) in enumerate(zip("xyz", patch, strict=True)):
        sides = {scan: volume.image.shape[axis] for scan, volume in volumes.items()}
        largest = max(sides, key=lambda scan: sides[scan])
        if sides[largest] < length:
            logger.warning(
                "training.patch = %s: longer along %s than every training scan, the largest of "
                "which, %s, has %d voxels there; each patch is filled up with zeros",
                list(patch), name, largest, sides[largest],
            )  # fmt: skip


def start_stage(
    method: Method, optimizers: list[Optimizer], iteration: int, best: dict[str, Best]
) -> None:
    """Let a method begin a stage of training, from what was chosen in the one before if it wants.

    What was chosen there takes part in no later choice: `best` is empty afterwards.
    """
    chosen = chosen_weights(best)
    for selection in method.trained_on(method.settings) - chosen.keys():
        logger.warning(
            "iteration %d: the next stage was to start from the weights of %s, but none are chosen "
            "so far; it starts from the last ones (is selection_from after the first stage?)",
            iteration, selection,
        )  # fmt: skip
    method.start_stage(chosen, optimizers)
    best.clear()


def take_step(
    method: Method,
    optimizers: list[Optimizer],
    sample: Sample,
    iteration: int,
    settings: TrainingSettings,
) -> StepOutput:
    """One update: the method's loss, backward, optimisers, then whatever the method does after."""
    method.train()
    with autocast(sample.batch.images_l.device, settings.precision):
        output = method.step(sample.batch, iteration)
    check_output(method, output, sample.batch.images_u)
    check_finite(method, output, iteration)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    output.loss.backward()
    set_learning_rates(method, optimizers, iteration)
    for optimizer in optimizers:
        optimizer.step()
    method.after_step(iteration)
    return output


def set_learning_rates(method: Method, optimizers: list[Optimizer], iteration: int) -> None:
    """Let an iteration's step use the method's rates; optimisers without one keep theirs."""
    for optimizer, rate in zip(optimizers, method.learning_rates(iteration), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = rate


def check_finite(method: Method, output: StepOutput, iteration: int) -> None:
    """Raise FloatingPointError naming class, iteration and the first term that is not finite."""
    terms = {**output.terms, "loss": output.loss.detach()}
    values = torch.stack([value.float() for value in terms.values()])
    if torch.isfinite(values).all():  # the one place of a step where the device is waited for
        return
    for name, value in zip(terms, values.tolist(), strict=True):
        if not math.isfinite(value):
            raise FloatingPointError(
                f"iteration {iteration}: the loss term '{name}' is {value}; {STAY}; "
                "lower learning_rate, or, with another precision, set precision: float32 "
                f"({of_class(method)})"
            )


def log_row(iteration: int, output: StepOutput, sample: Sample) -> dict[str, float]:
    """One line of the log: the loss, its terms, and the diagnostics the method never sees."""
    terms = {name: value.item() for name, value in output.terms.items()}
    hidden = diagnose(output.observed, sample.labels_u)
    return {"iteration": iteration, "loss": output.loss.item(), **terms, **hidden}


def is_competing(iteration: int, settings: TrainingSettings) -> bool:
    """Whether this iteration's weights take part in the choice of a checkpoint."""
    started = iteration >= settings.selection_from
    return started and iteration % settings.selection_every == 0


def chooses_before_a_stage(method: Method, settings: TrainingSettings) -> bool:
    """Whether weights compete before a stage begins, which may start from them."""
    iterations = range(1, settings.iterations + 1)
    stage = next(filter(method.starts_stage, iterations), 0)
    return any(is_competing(iteration, settings) for iteration in range(1, stage))


def update_best(
    progress: Progress,
    method: Method,
    selection_volumes: Mapping[Selection, list[Volume]],
    run: Run,
    device: torch.device,
) -> None:
    """Keep the weights whose mean Dice on a selection's scans is the best so far.

    Of a method with several candidates, each one's own weights, by its own Dice.
    """
    method.eval()
    for selection, volumes in selection_volumes.items():
        for name, candidate in method.candidates().items():
            value = mean_dice(candidate.predict, volumes, run, device)
            chosen = f"{selection}, {name}" if name else selection
            logger.info("iteration %d: %s Dice %.4f", progress.iteration, chosen, value)
            if chosen not in progress.best or value > progress.best[chosen].dice:
                weights = copy_weights(method, candidate.prefixes)
                progress.best[chosen] = Best(value, progress.iteration, weights)


def chosen_weights(best: Mapping[str, Best]) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of each selection, put together from its candidates'."""
    weights: dict[str, dict[str, torch.Tensor]] = {}
    for chosen, one in best.items():
        weights.setdefault(chosen.split(", ")[0], {}).update(one.weights)
    return weights


def mean_dice(predict: Predict, volumes: list[Volume], run: Run, device: torch.device) -> float:
    """Mean Dice of whole-scan predictions, with the stride meant for selection, all components."""
    stride = run.inference.selection_stride
    with uncompiled():
        scores = [predict_score(run, predict, one.image, stride, device) for one in volumes]
    pairs = zip(scores, volumes, strict=True)
    return float(np.mean([dice(segment(score), volume.mask) for score, volume in pairs]))


def finish(run: Run, method: Method, progress: Progress, device: torch.device) -> Trained:
    """Collect the weights of every selection and what the record should say about them.

    seconds: of the iterations that led to the weights, work that was lost and done again left out.
    """
    weights = chosen_weights(progress.best)
    weights["last"] = copy_weights(method)
    selected = {
        selection: {"iteration": best.iteration, "mean_dice": best.dice}
        for selection, best in progress.best.items()
    }
    facts = {
        "read_test_scans_in_training": bool(run.selection_scans.get("best_on_test")),
        "test_scans_shaped_weights": "best_on_test" in method.trained_on(method.settings)
        and chooses_before_a_stage(method, run.training),
        "selected": selected,
        "seconds": round(progress.seconds, 1),
        **progress.costs.facts(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }
    return Trained(weights, progress.rows, facts)


def machine(device: torch.device) -> str:
    """What computes, with what, for the record of a run that may be moved."""
    on = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{on}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def summary(progress: Progress) -> str:
    """The last logged loss, for the progress bar."""
    return f"loss {progress.rows[-1]['loss']:.4f}" if progress.rows else "no loss yet"


def copy_weights(method: Method, prefixes: tuple[str, ...] = ("",)) -> dict[str, torch.Tensor]:
    """A copy of the state on the CPU that further steps do not change; of all, or some names."""
    return {
        name: value.detach().cpu().clone()
        for name, value in method.state_dict().items()
        if name.startswith(prefixes)
    }
