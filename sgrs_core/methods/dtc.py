"""DTC: dual-task consistency (Luo et al., AAAI 2021).

One network says of each voxel how probably it is foreground and how far it lies from the object's
boundary. Labelled patches supervise both; on all patches the mask that follows from the distance
has to agree with the predicted mask.

Symbols: y the mask of a labelled patch, S its signed distance map, q the mask head's foreground
probability, d the distance head's output, m the mask that follows from d, k the slope of that way
back, w(t) the weight of the consistency loss.

Sources: the paper, and its authors' public code (HiLab-git/DTC), which differs from it in the
points of docs/methods/dtc.md.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Decay, Factor, Positive
from sgrs_core.losses.common import squared_dice_loss
from sgrs_core.losses.dtc import distance_to_mask, signed_distance
from sgrs_core.methods.base import Method, MethodSettings, StepOutput, step_decay
from sgrs_core.networks.dtc import DualTaskVNet


class DtcSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's."""

    slope: Positive = 1500.0
    """k"""
    transform: Literal["paper", "released"] = "released"
    """the sign of k's exponent; with the paper's, sigmoid(+k d), and distances negative inside, the
    mask that follows from the distances is the background's"""
    distance_weight: Factor = 0.3
    """of the distance loss"""
    consistency_weight: Factor = 1.0
    """w(t)'s last value"""
    rate_factor: Decay = 0.1
    """the learning rate is multiplied by it after 5/12 and 10/12 of the iterations"""


class DualTaskConsistency(Method):
    """One network with two heads; the mask head predicts."""

    Settings = DtcSettings
    settings: DtcSettings
    network: DualTaskVNet

    def build(self) -> None:
        self.network = self.new_network(DualTaskVNet)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        d, logit = self.network(torch.cat([batch.images_l, batch.images_u]))
        supervised, terms = self.labelled_loss(d, logit, batch.labels_l)
        consistency = self.consistency(d, logit)
        weight = self.weight(iteration)
        loss = supervised + weight * consistency

        return StepOutput.of(loss, **terms, consistency=consistency, weight=weight)

    def labelled_loss(
        self, d: Tensor, logit: Tensor, label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Dice loss of q and weighted mean square of d - S, on the first, labelled patches.

        d, logit: (B, X, Y, Z); label: (L, X, Y, Z), L <= B. The cross-entropy of q is for the log.
        """
        d, logit = d[: len(label)], logit[: len(label)]
        dice = squared_dice_loss(torch.sigmoid(logit), label)
        distance = functional.mse_loss(d, signed_distance(label))
        with torch.no_grad():
            entropy = functional.binary_cross_entropy_with_logits(logit, label.float())
        loss = dice + self.settings.distance_weight * distance
        return loss, {"dice": dice, "distance": distance, "cross_entropy": entropy}

    def consistency(self, d: Tensor, logit: Tensor) -> Tensor:
        """Mean square of m - q over all patches; its gradient reaches both heads."""
        sign = 1 if self.settings.transform == "released" else -1
        m = distance_to_mask(d, sign * self.settings.slope)
        return functional.mse_loss(m, torch.sigmoid(logit))

    def weight(self, iteration: int) -> float:
        """w(t) = exp(-5 (1 - t / T)^2), T the whole run, in blocks of `ramp_block` iterations.

        t counts from 0, as in the public code, so that even the last block is below 1.
        """
        whole_run = max(1, self.training_settings.iterations // self.training_settings.ramp_block)
        return self.settings.consistency_weight * self.rampup(iteration - 1, whole_run)

    def learning_rate(self, iteration: int) -> float:
        """Of the step of an iteration: the run's, lowered at 5/12 and 10/12 of the run."""
        run = self.training_settings
        falls = [round(twelfths * run.iterations / 12) for twelfths in (5, 10)]
        return run.learning_rate * step_decay(iteration, falls, self.settings.rate_factor)

    def predict(self, images: Tensor) -> Tensor:
        """q of the mask head: (B, 1, X, Y, Z) -> (B, X, Y, Z) in [0, 1]."""
        return torch.sigmoid(self.network(images).logit)
