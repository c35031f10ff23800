"""What every method is: an object that owns its networks and everything it remembers.

To add a method: a file here with a subclass of `Method`, one line in
`sgrs_core/methods/__init__.py`, and one file in config/methods. The loop, the checkpoints,
inference, metrics and tables need no change: none of them knows which method it serves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Selection, TrainingSettings
from sgrs_core.networks.vnet import VNet


class StepOutput(NamedTuple):
    """What a step gives back.

    loss: scalar, to be minimised. terms: its named parts, detached scalars, for the log.
    observed: what diagnostics may look at, detached: `pseudo_labels` (U, X, Y, Z) int64 and any
    `region_<name>` (U, X, Y, Z) bool.
    """

    loss: Tensor
    terms: Mapping[str, Tensor]
    observed: Mapping[str, Tensor] = {}


class Candidate(NamedTuple):
    """A part of a method whose checkpoint is chosen by what the part predicts.

    predict: as `Method.predict`. prefixes: how the names of what is chosen begin in the state.
    """

    predict: Callable[[Tensor], Tensor]
    prefixes: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class NoSettings:
    """For methods that have nothing to set beyond the training settings."""


class Method(nn.Module):
    """Base of all methods; `state_dict()` is the whole of what training has learnt.

    A subclass sets `self.network` (or overrides `predict`), implements `step`, and names its
    settings class. `iteration` counts from 1 everywhere.
    """

    Settings: ClassVar[type] = NoSettings
    uses_unlabelled: ClassVar[bool] = True
    fused: ClassVar[tuple[str, ...]] = ()  # its functions that `compile` fuses as it does networks

    network: nn.Module
    labelled_scans: int = 0  # of the run: `new_method` fills it in; 0: not known

    def __init__(self, run: TrainingSettings, settings: Any = None) -> None:
        super().__init__()
        self.run = run
        self.settings = self.Settings() if settings is None else settings

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        """The method itself: a differentiable loss on one batch."""
        raise NotImplementedError

    def after_step(self, iteration: int) -> None:
        """Whatever follows the optimiser's step: moving averages, memory banks."""

    def optimizers(self) -> list[Optimizer]:
        """The optimisers that follow each step's backward pass; default: one SGD."""
        trained = [p for p in self.parameters() if p.requires_grad]
        run = self.run
        return [SGD(trained, run.learning_rate, run.momentum, weight_decay=run.weight_decay)]

    def predict(self, images: Tensor) -> Tensor:
        """Foreground probability: (B, 1, X, Y, Z) -> (B, X, Y, Z) in [0, 1]."""
        return torch.softmax(self.network(images).float(), dim=1)[:, 1]

    def learning_rate(self, iteration: int) -> float | None:
        """That of an iteration's step by the first optimiser; None: the optimiser's own, always."""
        return None

    def learning_rates(self, iteration: int) -> Sequence[float]:
        """Those of the first optimisers; further ones keep their own."""
        rate = self.learning_rate(iteration)
        return [] if rate is None else [rate]

    def candidates(self) -> Mapping[str, Candidate]:
        """The parts that are chosen each by itself when a checkpoint is chosen; default: all."""
        return {"": Candidate(self.predict)}

    def starts_stage(self, iteration: int) -> bool:
        """Whether a new stage of training begins, within which checkpoints compete anew."""
        return False

    def start_stage(self, chosen: Mapping[str, Mapping[str, Tensor]]) -> None:
        """What is to be done then; chosen: the weights that each selection had last chosen."""

    @classmethod
    def trained_on(cls, settings: Any) -> frozenset[Selection]:
        """The selections whose choice changes what is trained afterwards; default: none."""
        return frozenset()

    def new_vnet(self) -> VNet:
        """A V-Net of this run's size: 1 input channel, 2 classes."""
        return VNet(base_filters=self.run.base_filters, dropout=self.run.dropout)
