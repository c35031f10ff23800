"""MC-Net+: mutual consistency of three decoders (Wu et al., Medical Image Analysis 2022).

One encoder feeds three decoders that differ only in how they double the sides. On labelled patches
each is trained by a Dice loss; on all patches each must give what the others' sharpened outputs
say, so the decoders come to agree, and to be sure, where nobody has drawn a label.

Symbols: p_1, p_2, p_3 the decoders' softmax outputs, y the ground truth of the labelled patches,
s(p) a sharpened output, T its temperature, w(t) the weight of the consistency.

Sources: the paper, and the authors' public code (ycwu1997/MC-Net, its model mcnet3d_v2), whose
choices are the defaults; docs/methods/mcnet_plus.md says where they matter.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Factor, Temperature
from sgrs_core.losses.common import binary_dice_loss, foreground, most_probable
from sgrs_core.losses.mcnet_plus import mutual_consistency
from sgrs_core.methods.base import Method, MethodSettings, StepOutput
from sgrs_core.networks.mcnet_plus import ThreeDecoderVNet


class McNetPlusSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's."""

    temperature: Temperature = 0.1
    """T of the sharpening"""
    dice_weight: Factor = 0.5
    """of the three Dice losses' sum"""
    consistency_weight: Factor = 1.0
    """w(t) when the ramp is over"""
    targets: Literal["released", "constant"] = "released"
    """whether the gradient also flows through the sharpened outputs (`released`) or they are
    constants as labels are (`constant`)"""
    prediction: Literal["first", "mean"] = "first"
    """the first decoder's probability, or the mean of the three"""


class McNetPlus(Method):
    """One network; what it knows is its parameters and batch statistics."""

    Settings = McNetPlusSettings
    settings: McNetPlusSettings
    network: ThreeDecoderVNet

    def build(self) -> None:
        self.network = self.new_network(ThreeDecoderVNet)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        probabilities = self.probabilities(torch.cat([batch.images_l, batch.images_u]))
        dice = labelled_dice(probabilities, batch.labels_l)
        consistency = mutual_consistency(
            probabilities, self.settings.temperature, self.settings.targets == "released"
        )
        weight = self.weight(iteration)
        loss = self.settings.dice_weight * dice + weight * consistency

        unlabelled = probabilities[0][len(batch.images_l) :]
        observed = {"pseudo_labels": most_probable(unlabelled)}
        return StepOutput.of(
            loss, observed, labelled_dice=dice, consistency=consistency, weight=weight
        )

    def weight(self, iteration: int) -> float:
        """w(t)."""
        return self.settings.consistency_weight * self.rampup(iteration)

    def probabilities(self, images: Tensor) -> list[Tensor]:
        """p_1, p_2, p_3: (B, 1, X, Y, Z) -> three (B, 2, X, Y, Z) float32.

        One pass over labelled and unlabelled patches, so batch statistics are joint.
        """
        return [torch.softmax(logits.float(), dim=1) for logits in self.network(images)]

    def predict(self, images: Tensor) -> Tensor:
        """Foreground probability of the first decoder, or the mean of the three."""
        if self.settings.prediction == "first":
            return foreground(self.network.first(images))
        return torch.stack(self.probabilities(images)).mean(dim=0)[:, 1]


def labelled_dice(probabilities: Sequence[Tensor], label: Tensor) -> Tensor:
    """L_dice: the binary Dice losses of all decoders on the labelled patches, added.

    probabilities: (B, 2, X, Y, Z) each, the labelled patches first; label: (L, X, Y, Z), L <= B.
    """
    foregrounds = [probability[: len(label), 1] for probability in probabilities]
    return torch.stack([binary_dice_loss(p, label) for p in foregrounds]).sum()
