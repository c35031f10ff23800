"""Whether a method gives what training and prediction ask of it; if not, its file and class say so.

What is asked for: docs/adding-a-method.md.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import extract_tb

import torch
from torch import Tensor

from sgrs_core.experiment.own_methods import is_own, with_its_kind
from sgrs_core.methods import method_class
from sgrs_core.methods.base import Method, StepOutput

NOT_TERMS = re.compile("iteration|loss|pseudo_label_dice|.*_fraction")  # the log's own columns
PAGE = "docs/adding-a-method.md says what is asked for"


@contextmanager
def own_errors_named(method: str) -> Iterator[None]:
    """Let what a method of one's own raises name its file, line and class, as RuntimeError.

    method: as a run names it. Errors of other code, and of the methods here, stay as they are.
    """
    try:
        yield
    except Exception as error:
        if not is_own(method):
            raise
        file = inspect.getfile(method_class(method))
        frames = [frame for frame in extract_tb(error.__traceback__) if frame.filename == file]
        if not frames:
            raise
        place = f"{file}, line {frames[-1].lineno}, in {frames[-1].name} of {method}: it raised"
        raise RuntimeError(f"{with_its_kind(place, error)}; {PAGE}") from error


def check_output(method: Method, output: StepOutput, images_u: Tensor) -> None:
    """Raise TypeError unless a step gave a loss to minimise and terms to log.

    images_u: the unlabelled patches (U, 1, X, Y, Z), which pseudo labels are of.
    """
    if not isinstance(output, StepOutput):
        raise TypeError(_refused(method, "step gives StepOutput.of(loss, ...)", output))
    if not (_is_number(output.loss) and output.loss.requires_grad):
        asked = "step's loss is one number that depends on the weights, a tensor of shape ()"
        raise TypeError(_refused(method, asked, output.loss))
    for name, term in output.terms.items():
        if NOT_TERMS.fullmatch(name):
            asked = (
                "step's terms are called other than iteration, loss, pseudo_label_dice and "
                "..._fraction, which the log has or measures itself"
            )
            raise TypeError(_refused(method, asked, f"one called {name}"))
        if not _is_number(term):
            asked = f"step's term {name!r} is one number, a tensor of shape ()"
            raise TypeError(_refused(method, asked, term))
    shape = images_u[:, 0].shape
    pseudo_labels = output.observed.get("pseudo_labels")
    if pseudo_labels is not None and pseudo_labels.shape != shape:
        asked = f"step's pseudo_labels are a tensor of shape {tuple(shape)}"
        raise TypeError(_refused(method, asked, pseudo_labels))


@torch.no_grad()
def check_prediction(method: Method, images: Tensor) -> None:
    """Raise TypeError unless `predict` gives probabilities; images: patches (B, 1, X, Y, Z).

    Of a method that leaves `predict` alone: unless its network gives logits of two classes.
    """
    method.eval()
    sides = images.shape[2:]
    if type(method).predict is Method.predict:
        logits, shape = method.network(images), (len(images), 2, *sides)
        if not (isinstance(logits, Tensor) and logits.shape == shape):
            raise TypeError(_refused(method, f"network gives logits of shape {shape}", logits))
    given, shape = method.predict(images), (len(images), *sides)
    if not (isinstance(given, Tensor) and given.shape == shape):
        raise TypeError(_refused(method, f"predict gives a tensor of shape {shape}", given))
    if not ((given >= 0) & (given <= 1)).all():
        ends = f"{given.min().item():.3g} to {given.max().item():.3g}"
        asked = "predict gives the foreground's probability, from 0 to 1"
        raise TypeError(_refused(method, asked, ends))


def of_class(method: Method) -> str:
    """A method's file and class, for messages."""
    return f"{inspect.getfile(type(method))}, class {type(method).__name__}"


def _is_number(value: object) -> bool:
    return isinstance(value, Tensor) and value.dim() == 0


def _refused(method: Method, asked: str, given: object) -> str:
    if isinstance(given, Tensor):
        gradient = "" if given.requires_grad else " without a gradient"
        given = f"a tensor of shape {tuple(given.shape)}{gradient}"
    elif not isinstance(given, str):
        given = f"a {type(given).__name__}"
    return f"{of_class(method)}: {asked}, but this one gave {given}; {PAGE}"
