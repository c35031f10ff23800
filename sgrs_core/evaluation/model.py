"""A trained model as one file: weights, the run that made them, how its scans were prepared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.experiment.run import Run
from sgrs_core.files import atomic
from sgrs_core.methods.base import Method
from sgrs_core.methods.new import new_method


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
    weights: Mapping[str, torch.Tensor],
    input_spec: InputSpec | None = None,
) -> None:
    """Write weights and descriptions, whole or not at all."""
    state = {
        "run": run.description(),
        "preparation": input_spec and input_spec.description(),
        "weights": dict(weights),
    }
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load_model(path: Path) -> Model:
    """Read a model. Raises ValueError, naming the file, if it is none."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        run = Run.from_description(state["run"])
        method = new_method(run)
        method.load_state_dict(state["weights"])
        noted = state.get("preparation")
        input_spec = InputSpec.from_description(noted) if noted else None
    except OSError:
        raise
    except Exception as error:  # unpickling arbitrary bytes may raise any exception
        kind = type(error).__name__
        raise ValueError(f"{path}: not a model that this version can read ({kind})") from error
    return Model(run, method.eval(), input_spec)
