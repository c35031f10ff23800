"""URPC: uncertainty rectified pyramid consistency (MICCAI 2021; Medical Image Analysis 2022).

One network predicts at four scales. Labelled patches supervise all four; on unlabelled patches each
scale is pulled to the mean of the four, less where it diverges from it, and the divergence itself
is minimised.

Symbols: o_k the logits of scale k (1 is the finest), p_k their softmax, m the mean of the four p_k,
D_k the divergence between p_k and m, w_k = exp(-D_k), y the labels, lambda(t) the weight of the
consistency, N the number of iterations, t the iteration counted from 0.

Sources: the papers, and the authors' public code (HiLab-git/SSL4MIS), which differs from them in
the points numbered in docs/methods/urpc.md.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Count, Positive
from sgrs_core.losses import urpc as losses
from sgrs_core.losses.common import cross_entropy_map, foreground, most_probable
from sgrs_core.methods.base import Method, MethodSettings, StepOutput
from sgrs_core.networks.urpc import PyramidUNet, PyramidVNet

Form = Literal["paper", "released"]


class UrpcSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's.

    Numbered: the differences between papers and public code.
    """

    network: Literal["unet", "vnet"] = "unet"
    """`unet`, the public code's, or `vnet`, our own, for a comparison on one backbone"""
    base_rate: Positive = 0.1
    """SGD's first learning rate, in place of the training settings'"""
    weight: Positive = 0.1
    """the largest lambda"""
    ramp_blocks: Count | None = None
    """of the training settings' ramp_block iterations each, until lambda is largest; None: as many
    as the run has, as in the public scripts"""
    divergence: Form = "released"
    """1: of which of the two distributions from the other"""
    distance: Form = "released"
    """2: the classes' mean, or their sum"""
    uncertainty: Form = "released"
    """3: the mean of D_k, or its norm"""
    rate_lag: Literal[0, 1] = 1
    """4: how many iterations the learning rate lags behind its formula (public code 1: iterations
    t = 0 and t = 1 both use base_rate)"""


class UncertaintyRectifiedPyramidConsistency(Method):
    """One network with four outputs; the finest one predicts."""

    Settings = UrpcSettings
    settings: UrpcSettings

    def build(self) -> None:
        kind = PyramidUNet if self.settings.network == "unet" else PyramidVNet
        self.network = self.new_network(kind)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        outputs = self.network(torch.cat([batch.images_l, batch.images_u]))  # o_1, ..., o_4
        halves = [o.float().split([len(batch.images_l), len(batch.images_u)]) for o in outputs]
        labelled, unlabelled = zip(*halves, strict=True)
        supervised, terms = self.supervised_loss(labelled, batch.labels_l)
        consistency, more_terms, m = self.consistency_loss(unlabelled)
        weight = self.weight(iteration)  # lambda(t)
        loss = supervised + weight * consistency

        observed = {"pseudo_labels": most_probable(m)}
        return StepOutput.of(loss, observed, **terms, **more_terms, weight=weight)

    def supervised_loss(
        self, outputs: Sequence[Tensor], label: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_sup = mean_k 0.5 (cross-entropy + Dice loss of both classes)."""
        cross_entropy = torch.stack([cross_entropy_map(o, label).mean() for o in outputs]).mean()
        dice = torch.stack([losses.class_mean_dice(o, label) for o in outputs]).mean()
        return 0.5 * (cross_entropy + dice), {"cross_entropy": cross_entropy, "dice": dice}

    def consistency_loss(
        self, outputs: Sequence[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """L_cons = mean_k (rectified squared distance of p_k from m + uncertainty of scale k).

        Nothing is detached: m, D_k and w_k all carry gradients. Also returns the terms and, without
        gradient, m: (U, C, X, Y, Z).
        """
        log_p = [torch.log_softmax(o, dim=1) for o in outputs]
        log_m = losses.log_mean(log_p)
        distances, uncertainties = [], []
        for log_p_k in log_p:
            d = losses.divergence(log_m, log_p_k, self.settings.divergence == "released")
            square = losses.squared_distance(log_m, log_p_k, self.settings.distance == "released")
            distances.append(losses.rectified(square, d))
            released = self.settings.uncertainty == "released"
            uncertainties.append(losses.minimised_uncertainty(d, released))
        distance, uncertainty = torch.stack(distances).mean(), torch.stack(uncertainties).mean()
        terms = {"rectified_distance": distance, "uncertainty": uncertainty}
        return distance + uncertainty, terms, log_m.detach().exp()

    def weight(self, iteration: int) -> float:
        """lambda(t) = weight exp(-5 (1 - min(t, T) / T)^2), t and T in whole ramp blocks."""
        whole_run = max(1, self.training_settings.iterations // self.training_settings.ramp_block)
        return self.settings.weight * self.rampup(
            iteration - 1, self.settings.ramp_blocks or whole_run
        )

    def learning_rate(self, iteration: int) -> float:
        """base_rate (1 - max(t - lag, 0) / N)^0.9: the rate that this iteration's step uses."""
        passed = max(iteration - 1 - self.settings.rate_lag, 0) / self.training_settings.iterations
        return self.settings.base_rate * max(1 - passed, 0.0) ** 0.9

    def predict(self, images: Tensor) -> Tensor:
        """Foreground probability of o_1 alone: (B, 1, X, Y, Z) -> (B, X, Y, Z) in [0, 1]."""
        return foreground(self.network(images)[0])
