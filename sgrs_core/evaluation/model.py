"""A run's model as one file: weights by selection, the run, how its scans were prepared."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.experiment.run import Run
from sgrs_core.files import write_bytes
from sgrs_core.methods import new_method
from sgrs_core.methods.base import Method, not_finite

WAY_OUT = "copy it from its source again, or delete its run's folder and train again"
FORMAT = 1  # raised when a version writes what the ones before cannot read


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
    """Write weights, by the selection that chose them, and descriptions; whole or not at all.

    Equal runs write equal bytes.
    """
    state = {
        "format": FORMAT,
        "torch": str(torch.__version__),
        "run": run.description(),
        "preparation": input_spec and input_spec.description(),
        "weights": {selection: dict(chosen) for selection, chosen in weights.items()},
    }
    buffer = io.BytesIO()  # torch would write a file's name into it
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_model(path: Path, selection: str = "last") -> Model:
    """Read a run's model with the weights that a selection chose.

    Files of before all selections shared one hold one set of weights, which is read whatever the
    selection. Raises OSError, or ValueError naming the file and the cause, if it is none, is
    damaged, was made by a later version or for another method, has no such selection, or weights
    that are not finite.
    """
    state = _read(path)
    run = Run.from_description(state["run"])
    weights = state["weights"]
    if all(isinstance(value, torch.Tensor) for value in weights.values()):
        weights = {selection: weights}
    if selection not in weights:
        there = ", ".join(weights)
        raise ValueError(f"{path}: selection = {selection!r}: this run has the selections {there}")
    if name := not_finite(weights[selection]):
        raise ValueError(f"{path}: the weights {name!r} hold NaN or infinite values")
    try:
        method = new_method(run)
    except ValueError as error:
        raise ValueError(f"{path}: its method {run.method!r}: {error}") from error
    try:
        method.load_state_dict(weights[selection])
    except RuntimeError as error:
        first = str(error).splitlines()[1:2]
        reason = first[0].strip() if first else str(error)
        raise ValueError(
            f"{path}: its weights are not those of a {run.method} with its settings: {reason}"
        ) from error
    noted = state.get("preparation")
    return Model(run, method.eval(), InputSpec.from_description(noted) if noted else None)


def _read(path: Path) -> dict[str, Any]:
    """What the file holds, every byte of it checked by the sums that the zip format keeps."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a model that torch saved, or cut off ({error})") from error
    except OSError:
        raise
    except Exception as error:  # of what a damaged list of contents leads to
        raise ValueError(f"{path}: damaged ({error}); {WAY_OUT}") from error
    if damaged:
        raise ValueError(f"{path}: damaged in {damaged!r}; {WAY_OUT}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling arbitrary bytes may raise any exception
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a model that this version can read ({reason})") from error
    if not isinstance(state, dict) or not {"run", "weights"} <= state.keys():
        raise ValueError(f"{path}: not a run's model, which holds 'run' and 'weights'")
    if state.get("format", FORMAT) > FORMAT:
        raise ValueError(f"{path}: written by a later version of this project; update it")
    return state
