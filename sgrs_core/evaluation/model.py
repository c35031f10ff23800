"""A run's model as one file: weights by selection, the run, how its scans were prepared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.experiment.run import Run
from sgrs_core.files import atomic
from sgrs_core.methods import new_method
from sgrs_core.methods.base import Method


class Model(NamedTuple):
    """A trained method in eval mode on the CPU.

    input_spec: None in files of before it was noted.
    """

    run: Run
    method: Method
    input_spec: InputSpec | None


def save_model(
    path: Path,
    run: Run,
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    input_spec: InputSpec | None = None,
) -> None:
    """Write weights, by the selection that chose them, and descriptions; whole or not at all."""
    state = {
        "run": run.description(),
        "preparation": input_spec and input_spec.description(),
        "weights": {selection: dict(chosen) for selection, chosen in weights.items()},
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load_model(path: Path, selection: str = "last") -> Model:
    """Read a run's model with the weights that a selection chose.

    Files of before all selections shared one hold one set of weights, which is read whatever the
    selection. Raises ValueError, naming the file, if it is none or has no such selection.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        run = Run.from_description(state["run"])
        method = new_method(run)
        weights = state["weights"]
        if all(isinstance(value, torch.Tensor) for value in weights.values()):
            weights = {selection: weights}
        if selection in weights:
            method.load_state_dict(weights[selection])
        noted = state.get("preparation")
        input_spec = InputSpec.from_description(noted) if noted else None
    except OSError:
        raise
    except Exception as error:  # unpickling arbitrary bytes may raise any exception
        kind = type(error).__name__
        raise ValueError(f"{path}: not a model that this version can read ({kind})") from error
    if selection not in weights:
        there = ", ".join(weights)
        raise ValueError(f"{path}: selection = {selection!r}: this run has the selections {there}")
    return Model(run, method.eval(), input_spec)
