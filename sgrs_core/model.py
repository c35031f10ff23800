"""A trained model as one file: its weights and the description of the run that made them."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from sgrs_core.files import atomic
from sgrs_core.methods.method import Method
from sgrs_core.run import Run, new_method


def save_model(path: Path, run: Run, weights: Mapping[str, torch.Tensor]) -> None:
    """Write weights and description, whole or not at all."""
    with atomic(path) as temporary:
        torch.save({"run": run.description(), "weights": dict(weights)}, temporary)


def load_model(path: Path) -> tuple[Run, Method]:
    """Read a model, in eval mode on the CPU. Raises ValueError, naming the file, if it is none."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        run = Run.from_description(state["run"])
        method = new_method(run)
        method.load_state_dict(state["weights"])
    except (UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        kind = type(error).__name__
        raise ValueError(f"{path}: not a model that this version can read ({kind})") from error
    return run, method.eval()
