"""What every method is: an object that owns its networks and everything it remembers.

To add a method: a file of one's own with a subclass of `Method`, which rows of a table name as
`package.module:Class`; docs/adding-a-method.md. The loop, the checkpoints, inference, metrics and
tables need no change: none of them knows which method it serves.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Selection, TrainingSettings
from sgrs_core.losses.common import foreground
from sgrs_core.networks.vnet import VNet

Network = TypeVar("Network", bound=nn.Module)


class StepOutput(NamedTuple):
    """What a step gives back.

    loss: scalar, to be minimised. terms: its named parts, detached scalars, for the log.
    observed: what diagnostics may look at, detached: `pseudo_labels` (U, X, Y, Z) int64 and any
    `region_<name>` (U, X, Y, Z) bool.
    """

    loss: Tensor
    terms: Mapping[str, Tensor]
    observed: Mapping[str, Tensor] = {}

    @classmethod
    def of(
        cls, loss: Tensor, observed: Mapping[str, Tensor] = {}, /, **terms: Tensor | float
    ) -> Self:
        """The same from terms that may be numbers, or carry gradients."""
        detached = {
            name: term.detach() if isinstance(term, Tensor) else loss.new_tensor(term)
            for name, term in terms.items()
        }
        return cls(loss, detached, observed)


class Candidate(NamedTuple):
    """A part of a method whose checkpoint is chosen by what the part predicts.

    predict: as `Method.predict`. prefixes: how the names of what is chosen begin in the state.
    """

    predict: Callable[[Tensor], Tensor]
    prefixes: tuple[str, ...] = ("",)


class MethodSettings(BaseModel):
    """What a method can be told beyond the training settings: here, nothing."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True
    )


class Method(nn.Module):
    """Base of all methods; `state_dict()` is the whole of what training has learnt.

    A subclass builds its networks, implements `step`, and names its settings class. `iteration`
    counts from 1 everywhere.

    labelled_scans: how many the run has; None: not known.
    """

    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    uses_unlabelled: ClassVar[bool] = True

    network: nn.Module

    def __init__(
        self,
        training_settings: TrainingSettings,
        settings: Any = None,
        labelled_scans: int | None = None,
    ) -> None:
        super().__init__()
        self.training_settings, self.labelled_scans = training_settings, labelled_scans
        self.settings = self.Settings() if settings is None else settings
        self.check(training_settings, self.settings)
        self.build()

    @classmethod
    def check(cls, training_settings: TrainingSettings, settings: Any) -> None:
        """Raises ValueError, naming the keys, where both together are no training; default: never.

        Called before an experiment's first job, and again when the method is made.
        """

    def build(self) -> None:
        """Make the networks; default: one V-Net, which `predict` asks."""
        self.network = self.new_vnet()

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        """The method itself: a differentiable loss on one batch."""
        raise NotImplementedError

    def after_step(self, iteration: int) -> None:
        """Whatever follows the optimiser's step: moving averages, memory banks."""

    def optimizers(self) -> list[Optimizer]:
        """The optimisers that follow each step's backward pass; default: one SGD."""
        return [self.new_sgd(self.parameters())]

    def learning_rate(self, iteration: int) -> float:
        """The first optimiser's in an iteration's step; default: the run's, throughout."""
        return self.training_settings.learning_rate

    def learning_rates(self, iteration: int) -> Sequence[float]:
        """Those of the first optimisers; further ones keep their own."""
        return [self.learning_rate(iteration)]

    def rampup(self, iteration: int, blocks: int | None = None) -> float:
        """w(t), eq. 20, as public codes compute it: it changes once in `ramp_block` iterations.

        iteration: the counter where the public code reads it, which is before or after the
        counter's increase. blocks: until w(t) is 1; default: those of `ramp_iterations`.
        """
        block = self.training_settings.ramp_block
        length = self.training_settings.ramp_iterations // block if blocks is None else blocks
        return sigmoid_rampup(iteration // block, length)

    def predict(self, images: Tensor) -> Tensor:
        """Foreground probability: (B, 1, X, Y, Z) -> (B, X, Y, Z) in [0, 1]."""
        return foreground(self.network(images))

    def candidates(self) -> Mapping[str, Candidate]:
        """The parts that are chosen each by itself when a checkpoint is chosen; default: all."""
        return {"": Candidate(self.predict)}

    def starts_stage(self, iteration: int) -> bool:
        """Whether a new stage of training begins, within which checkpoints compete anew."""
        return False

    def start_stage(
        self, chosen: Mapping[str, Mapping[str, Tensor]], optimizers: Sequence[Optimizer]
    ) -> None:
        """What is to be done then.

        chosen: the weights that each selection had last chosen. optimizers: the run's.
        """

    @classmethod
    def trained_on(cls, settings: Any) -> frozenset[Selection]:
        """The selections whose choice changes what is trained afterwards; default: none."""
        return frozenset()

    def compile_parts(self) -> None:
        """Have the networks compiled at their first call, for each shape and mode apart.

        Default: the attributes that are networks, which `step` calls. The names in the state stay
        as they are.
        """
        for network in self.children():
            network.compile(dynamic=False)

    def new_network(self, kind: Callable[..., Network], **further: Any) -> Network:
        """A network with this run's number of filters and dropout rate."""
        filters, dropout = self.training_settings.base_filters, self.training_settings.dropout
        return kind(base_filters=filters, dropout=dropout, **further)

    def new_vnet(self) -> VNet:
        """A V-Net of this run's size: images (B, 1, X, Y, Z) -> logits (B, 2, X, Y, Z).

        V-Net, BCP and SGRS-Net take any network of these shapes that a subclass gives here.
        """
        return self.new_network(VNet)

    def new_sgd(self, parameters: Iterable[nn.Parameter]) -> SGD:
        """SGD of the run's settings, for those parameters that are trained."""
        run = self.training_settings
        trained = [p for p in parameters if p.requires_grad]
        return SGD(trained, run.learning_rate, run.momentum, weight_decay=run.weight_decay)


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the first weights, of a `state_dict()`, that hold NaN or infinite values."""
    return next((name for name, value in weights.items() if not value.isfinite().all()), None)


def sigmoid_rampup(current: float, length: float) -> float:
    """w = exp(-5 (1 - min(current / length, 1))^2): from exp(-5) to 1, and 1 from `length` on."""
    return math.exp(-5 * (1 - min(current / length, 1.0)) ** 2)


def step_decay(iteration: int, falls: Iterable[int], factor: float) -> float:
    """factor^(number of falls that lie before the iteration): 1 up to the first of them."""
    return float(factor ** sum(iteration > fall for fall in falls))
