"""One file that holds everything an interrupted run needs to go on as if nothing had happened."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from sgrs_core.files import atomic
from sgrs_core.methods.method import Method

logger = logging.getLogger(__name__)


@dataclass
class Best:
    """The best checkpoint of one selection so far: mean Dice in [0, 1], iteration, weights."""

    dice: float
    iteration: int
    weights: dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far a run is. rows: the log's, one per logged iteration. seconds: spent training."""

    iteration: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)


def save(
    path: Path,
    description: dict[str, Any],
    method: Method,
    optimizers: list[Optimizer],
    progress: Progress,
) -> None:
    """Write the checkpoint whole or not at all.

    Raises FloatingPointError instead of replacing a good checkpoint by weights that are not finite.
    """
    for name, value in method.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise FloatingPointError(
                f"iteration {progress.iteration}: '{name}' is not finite after the update; "
                f"the last good checkpoint is kept in {path}"
            )
    state = {
        "description": description,
        "method": method.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "iteration": progress.iteration,
        "seconds": progress.seconds,
        "rows": progress.rows,
        "best": {name: vars(best) for name, best in progress.best.items()},
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def resume(
    path: Path, description: dict[str, Any], method: Method, optimizers: list[Optimizer]
) -> Progress:
    """Load the checkpoint into method and optimisers if there is one for this very description.

    A checkpoint of another description (some setting was changed since) is not used: mixing two
    settings in one run would make its record a lie. The log says so, and the run starts anew.
    """
    if not path.is_file():
        return Progress()
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["description"] != description:
        changed = [key for key in description if state["description"].get(key) != description[key]]
        logger.warning("%s was made with another %s: starting anew", path, ", ".join(changed))
        return Progress()
    method.load_state_dict(state["method"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    logger.info("going on after iteration %d of %s", state["iteration"], path)
    best = {name: Best(**saved) for name, saved in state["best"].items()}
    return Progress(state["iteration"], state["seconds"], state["rows"], best)
