"""MCF: mutual correction of two different networks (Wang et al., CVPR 2023).

A V-Net and a ResNet-34 learn side by side on the same patches. Where they disagree on labelled
voxels, both are corrected once more; on unlabelled patches the one that is better at the moment
teaches the other. At test time they vote.

Symbols: V, R the two networks, p_V, p_R their softmax outputs, y the ground truth of the labelled
patches, D the voxels where V and R differ, t the better one's sharpened output on the unlabelled
patches, T the temperature, n the iteration counted from 0, N the run's iterations, w(n) the weight.

Sources: the paper, and the authors' public code (WYC-321/MCF), whose choices are the defaults;
docs/methods/mcf.md says where they matter.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Count, Decay, Factor, Temperature
from sgrs_core.losses import mcf as losses
from sgrs_core.losses.common import cross_entropy_map, foreground, most_probable, squared_dice_loss
from sgrs_core.methods.base import Method, MethodSettings, StepOutput, sigmoid_rampup
from sgrs_core.networks.resnet import ResNet34VNet, zero_residual_norms
from sgrs_core.networks.vnet import he_normal

PUBLISHED_ITERATIONS = 6_000  # the run in which the schedules below are counted
RAMP_BLOCKS = 40


class McfSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's."""

    temperature: Temperature = 0.1
    """T of the sharpening"""
    rectification_weight: Factor = 0.5
    """beta, of L_rect"""
    consistency_weight: Factor = 0.1
    """w(n) when the ramp is over"""
    drop_every: Count = 2_500
    """iterations, of a run of 6,000, after which the learning rate is multiplied by drop_factor;
    stretched to the run's length"""
    drop_factor: Decay = 0.1
    """see drop_every"""
    learning_rate_drops: Literal["released", "punctual"] = "released"
    """at multiples of drop_every (`punctual`), or one iteration later (`released`)"""
    residual_norms: Literal["released", "zero"] = "released"
    """the last norm of each residual block starts at 1 (`released`) or, as the encoder's
    constructor meant it, at 0 (`zero`)"""
    prediction: Literal["mean", "vnet", "resnet"] = "mean"
    """the mean probability of both networks, or one network's"""


class Supervised(NamedTuple):
    """L_sup's terms of one network, scalars: L_ce, L_dice and L_rect."""

    cross_entropy: Tensor
    dice: Tensor
    rectification: Tensor


class MutualCorrection(Method):
    """Two networks of equal rank; neither is an average of the other."""

    Settings = McfSettings
    settings: McfSettings

    def build(self) -> None:
        self.vnet, self.resnet = self.new_vnet(), self.new_network(ResNet34VNet)
        for network in (self.vnet, self.resnet):
            he_normal(network)
        if self.settings.residual_norms == "zero":
            zero_residual_norms(self.resnet)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        count, images = len(batch.images_l), torch.cat([batch.images_l, batch.images_u])
        logits_v, logits_r = self.vnet(images).float(), self.resnet(images).float()

        region = losses.difference_region(logits_v[:count], logits_r[:count])  # D
        loss_v, terms_v = self.supervised(logits_v[:count], batch.labels_l, region)
        loss_r, terms_r = self.supervised(logits_r[:count], batch.labels_l, region)

        vnet_is_better = bool(terms_v.dice < terms_r.dice)  # of equals, the ResNet
        better, other = (logits_v, logits_r) if vnet_is_better else (logits_r, logits_v)
        target = losses.sharpened_softmax(better[count:].detach(), self.settings.temperature)  # t
        consistency = losses.squared_difference(torch.softmax(other[count:], dim=1), target)
        weight = self.weight(iteration)
        loss = loss_v + loss_r + weight * consistency  # no gradient meets the other network's

        return StepOutput.of(
            loss,
            {"pseudo_labels": most_probable(target)},
            **{f"vnet_{name}": term for name, term in terms_v._asdict().items()},
            **{f"resnet_{name}": term for name, term in terms_r._asdict().items()},
            consistency=consistency,
            weight=weight,
            vnet_is_better=float(vnet_is_better),
            learning_rate=self.learning_rate(iteration),
        )

    def supervised(
        self, logits: Tensor, label: Tensor, region: Tensor
    ) -> tuple[Tensor, Supervised]:
        """L_sup = L_ce + L_dice + beta L_rect of one network, and its terms.

        beta: rectification_weight. logits (L, 2, X, Y, Z), label (L, X, Y, Z) 0 or 1, region: D,
        (L, X, Y, Z) bool.
        """
        probability = foreground(logits)
        terms = Supervised(
            cross_entropy_map(logits, label).mean(),
            squared_dice_loss(probability, label),
            losses.rectification(probability, label, region),
        )
        weight = self.settings.rectification_weight
        return terms.cross_entropy + terms.dice + weight * terms.rectification, terms

    def weight(self, iteration: int) -> float:
        """w(n) = consistency_weight exp(-5 (1 - b / 40)^2), b = floor(40 n / N)."""
        block = RAMP_BLOCKS * (iteration - 1) // self.training_settings.iterations
        return self.settings.consistency_weight * sigmoid_rampup(block, RAMP_BLOCKS)

    def learning_rate(self, iteration: int) -> float:
        """The run's, times drop_factor after each drop_every / 6,000 of the run."""
        late = 1 if self.settings.learning_rate_drops == "released" else 0
        passed = max(iteration - 1 - late, 0)
        run = self.training_settings
        drops = passed * PUBLISHED_ITERATIONS // (self.settings.drop_every * run.iterations)
        return run.learning_rate * self.settings.drop_factor**drops

    def predict(self, images: Tensor) -> Tensor:
        """The mean of both networks' foreground probabilities, or that of one."""
        if self.settings.prediction == "vnet":
            return foreground(self.vnet(images))
        if self.settings.prediction == "resnet":
            return foreground(self.resnet(images))
        return (foreground(self.vnet(images)) + foreground(self.resnet(images))) / 2
