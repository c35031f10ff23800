"""BCP: bidirectional copy-paste (Bai et al., CVPR 2023).

A box cut out of one scan is filled from another: an unlabelled scan's inside a labelled one
(inward), a labelled scan's inside an unlabelled one (outward). The student is supervised on each
side of the box by the label of the scan it came from: the ground truth, or the pseudo label of the
teacher, its moving average. A first stage pastes labelled scans into each other.

Symbols: A, B labelled patches, U_A, U_B unlabelled ones, M the region outside the box, alpha the
weight of pseudo labels, L_in and L_out the losses of the two directions.

Sources: the paper, and the authors' public code (DeepMed-Lab-ECNU/BCP), whose choices are the
defaults; it holds two recipes, and docs/methods/bcp.md says how they differ from paper and from
each other.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.optim import Adam, Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.data.components import largest_components
from sgrs_core.data.masks import Neighbours
from sgrs_core.experiment.settings import Count, Factor, Selection, Share, TrainingSettings
from sgrs_core.losses.bcp import mixed_loss, region_loss
from sgrs_core.losses.common import foreground
from sgrs_core.methods.base import Method, MethodSettings, StepOutput
from sgrs_core.methods.mixing import pairing, paste, random_box
from sgrs_core.networks.ema import average_into
from sgrs_core.networks.vnet import VNet, instance_norm_vnet

ADAM_LEARNING_RATE = 1e-3  # of the recipe `pancreas`
NEIGHBOURS: dict[str, Neighbours] = {"la": 26, "pancreas": 18}


class BcpSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's on LA."""

    recipe: Literal["la", "pancreas"] = "la"
    """`la` has batch norm, dropout, SGD that starts afresh in the second stage, its rate falling
    there, and components of 26 neighbours; `pancreas` has instance norm, no dropout, Adam at one
    rate throughout, and components of 18 neighbours"""
    box: Annotated[float, Field(gt=0, lt=1)] = 2 / 3
    """side of the box over side of the patch"""
    alpha: Factor = 0.5
    """weight of pseudo labels"""
    decay: Annotated[float, Field(ge=0, le=1)] = 0.99
    """of the teacher's moving average"""
    pretraining: Share = 2 / 17
    """the first stage's share of all iterations"""
    second_stage: Selection = "last"
    """it starts from the first stage's last weights, or from those that a selection chose there;
    `best_on_test` is the public code's, and lets the test scans shape the training"""
    rate_levels: Count = 6
    """the second stage falls into so many equal parts, the rate a tenth at each new one; 1 leaves
    it constant"""
    component: bool = True
    """keep only the largest component of a pseudo label"""
    teacher_mode: Literal["train", "eval"] = "train"
    """`train` (active dropout, batch statistics), or `eval`, and then the teacher's running
    statistics follow the student's"""


class BidirectionalCopyPaste(Method):
    """Student (`network`, which predicts) and its moving average, the teacher."""

    Settings = BcpSettings
    settings: BcpSettings

    @classmethod
    def check(cls, training_settings: TrainingSettings, settings: Any) -> None:
        """Each labelled patch is pasted into an unlabelled one, and the other way round."""
        labelled, unlabelled = (
            training_settings.labelled_patches,
            training_settings.unlabelled_patches,
        )
        if labelled != unlabelled:
            raise ValueError(
                f"training: labelled_patches = {labelled}, unlabelled_patches = {unlabelled}: "
                "allowed for copy-paste are equal numbers"
            )

    def build(self) -> None:
        self.network = self.new_vnet()
        self.teacher = self.new_vnet().requires_grad_(False)
        self.teacher.load_state_dict(self.network.state_dict())

    @property
    def pretraining(self) -> int:
        """The first stage's last iteration; one at least is left for the second stage."""
        iterations = self.training_settings.iterations
        return min(round(self.settings.pretraining * iterations), iterations - 1)

    def new_vnet(self) -> VNet:
        """The recipe's network."""
        if self.settings.recipe == "pancreas":
            return instance_norm_vnet(base_filters=self.training_settings.base_filters)
        return super().new_vnet()

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        outside = random_box(batch.images_l, self.settings.box)  # M
        if iteration <= self.pretraining:
            return self.pretrain(batch, outside)
        return self.self_train(batch, outside)

    def pretrain(self, batch: Batch, outside: Tensor) -> StepOutput:
        """The first stage: B inside A, the whole patch against the ground truth pasted alike."""
        images, labels = batch.images_l, batch.labels_l
        first, second = pairing(len(images))
        logits = self.network(paste(images[first], images[second], outside)).float()
        label = paste(labels[first], labels[second], outside)
        loss = region_loss(logits, label, torch.ones_like(outside))
        return StepOutput.of(loss, pretraining=loss)

    def self_train(self, batch: Batch, outside: Tensor) -> StepOutput:
        """The second stage: both directions, each in a pass of its own."""
        first, second = pairing(len(batch.images_l))
        a, y_a, u_a = batch.images_l[first], batch.labels_l[first], batch.images_u[first]
        b, y_b, u_b = batch.images_l[second], batch.labels_l[second], batch.images_u[second]
        pseudo = torch.cat([self.pseudo_label(u) for u in batch.images_u.split(len(first))])

        inward = self.network(paste(a, u_a, outside)).float()
        outward = self.network(paste(u_b, b, outside)).float()
        alpha = self.settings.alpha
        loss_in = mixed_loss(inward, y_a, pseudo[first], outside, 1.0, alpha)
        loss_out = mixed_loss(outward, pseudo[second], y_b, outside, alpha, 1.0)
        observed = {"pseudo_labels": pseudo}
        return StepOutput.of(loss_in + loss_out, observed, inward=loss_in, outward=loss_out)

    @torch.no_grad()
    def pseudo_label(self, images: Tensor) -> Tensor:
        """The teacher's foreground (probability of at least 0.5), its largest component.

        images: (B, 1, X, Y, Z) -> (B, X, Y, Z) int64.
        """
        self.teacher.train(self.training and self.settings.teacher_mode == "train")
        labels = foreground(self.teacher(images)) >= 0.5
        if self.settings.component:
            labels = largest_components(labels, NEIGHBOURS[self.settings.recipe])
        return labels.long()

    def optimizers(self) -> list[Optimizer]:
        """The recipe's: SGD, or Adam."""
        if self.settings.recipe == "pancreas":
            return [Adam(self.network.parameters(), ADAM_LEARNING_RATE)]
        return super().optimizers()

    def after_step(self, iteration: int) -> None:
        """The teacher follows the student, from the second stage on."""
        if iteration > self.pretraining:
            buffers = self.settings.teacher_mode == "eval"
            average_into(self.teacher, self.network, self.settings.decay, buffers)

    def starts_stage(self, iteration: int) -> bool:
        return iteration == self.pretraining + 1

    def start_stage(
        self, chosen: Mapping[str, Mapping[str, Tensor]], optimizers: Sequence[Optimizer]
    ) -> None:
        """Of the second: the teacher becomes the student's copy, and SGD forgets its momentum."""
        if self.settings.second_stage != "last" and self.settings.second_stage in chosen:
            self.load_state_dict(chosen[self.settings.second_stage])
        self.teacher.load_state_dict(self.network.state_dict())
        if self.settings.recipe == "la":
            for optimizer in optimizers:
                optimizer.state.clear()

    @classmethod
    def trained_on(cls, settings: BcpSettings) -> frozenset[Selection]:
        return frozenset({settings.second_stage} - {"last"})

    def learning_rate(self, iteration: int) -> float:
        """Adam's one rate; of SGD: one in the first stage, a tenth at each new part of the next."""
        if self.settings.recipe == "pancreas":
            return ADAM_LEARNING_RATE
        elapsed = max(iteration - self.pretraining - 1, 0)
        second_stage = self.training_settings.iterations - self.pretraining
        level = elapsed * self.settings.rate_levels // second_stage
        return self.training_settings.learning_rate * 0.1**level
