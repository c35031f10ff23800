"""SS-Net: smoothness of voxels and separation of classes (MICCAI 2022).

Voxels: the worst perturbation of an image should not change its segmentation. Classes: the features
of a class should lie close to a small memory of that class's features which were segmented
correctly.

Symbols: x all patches, p the softmax output, d a perturbation's direction, f the embedded features
of one class, M the memory of that class, a and b the learned weights of the rows f and columns M,
w(t) the warm-up.

Sources: Wu et al., "Exploring Smoothness and Class-Separation for Semi-supervised Medical Image
Segmentation", and the authors' public code (ycwu1997/SS-Net), which differs from it in the points
numbered in docs/methods/ssnet.md.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Count, Decay, Factor, Positive
from sgrs_core.losses import ssnet as losses
from sgrs_core.losses.common import binary_dice_loss, foreground, most_probable
from sgrs_core.methods.base import Method, MethodSettings, StepOutput
from sgrs_core.networks.memory import ClassMemory
from sgrs_core.networks.ssnet import EMBEDDING, SeparatingVNet, score

CLASSES = 2


class SsnetSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's.

    Numbered: the differences between idea and public code.
    """

    xi: Positive = 10.0
    """length of the perturbation that probes"""
    epsilon: Positive = 10.0
    """length of the perturbation that is trained on"""
    contrast_weight: Factor = 0.1
    """of both contrast losses beside the smoothness"""
    consistency_weight: Factor = 1.0
    """w(t) when the ramp is over"""
    memory_size: Annotated[int, Field(ge=2)] = 32
    """vectors per class; a class with a single one is left out of the contrast"""
    memory_ranking: Literal["lowest", "highest"] = "lowest"
    """1: which scores enter the memory"""
    memory_weights: Literal["ones", "learned"] = "ones"
    """2: how the memory's vectors are weighed"""
    memory_classes: Literal["foreground", "all"] = "foreground"
    """3: which classes have a memory"""
    rate_levels: Count = 6
    """the run has so many parts of one length"""
    rate_factor: Decay = 0.1
    """from one part to the next the learning rate is multiplied by it"""


class SmoothnessAndSeparation(Method):
    """A V-Net with heads (`network`), and a memory of correctly segmented voxels of each class."""

    Settings = SsnetSettings
    settings: SsnetSettings
    network: SeparatingVNet

    def build(self) -> None:
        self.network = self.new_network(SeparatingVNet, classes=CLASSES)
        self.memory = ClassMemory(CLASSES, self.settings.memory_size, EMBEDDING)
        for c in set(range(CLASSES)) - set(self.remembered):  # no loss reaches their selectors
            self.network.selectors[c].requires_grad_(False)
            self.network.memory_selectors[c].requires_grad_(False)

    def compile_parts(self) -> None:
        """The passes of the whole batch, and those of the smoothness, which need no features."""
        self.network.compile(dynamic=False)
        self.network.compile_features()

    @property
    def remembered(self) -> range:
        """The classes that have a memory: difference 3."""
        return range(1 if self.settings.memory_classes == "foreground" else 0, CLASSES)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        images, labels_l = torch.cat([batch.images_l, batch.images_u]), batch.labels_l
        sizes = [len(batch.images_l), len(batch.images_u)]
        logits, features = self.network.with_features(images)
        logits_l, logits_u = logits.float().split(sizes)
        features_l, features_u = features.split(sizes)
        pseudo_labels = most_probable(logits_u)

        supervised = binary_dice_loss(foreground(logits_l), labels_l)
        smoothness = self.smoothness_loss(images)
        self.remember(features_l, most_probable(logits_l), labels_l)
        contrast_l = self.contrast_loss(features_l, labels_l)
        contrast_u = self.contrast_loss(features_u, pseudo_labels)
        weight = self.weight(iteration)
        contrast = self.settings.contrast_weight * (contrast_l + contrast_u)
        loss = supervised + weight * (smoothness + contrast)

        return StepOutput.of(
            loss,
            {"pseudo_labels": pseudo_labels},
            dice=supervised,
            smoothness=smoothness,
            contrast_labelled=contrast_l,
            contrast_unlabelled=contrast_u,
            weight=weight,
            learning_rate=self.learning_rate(iteration),
        )

    def smoothness_loss(self, images: Tensor) -> Tensor:
        """L_vat on all patches; the first direction is uniform in [-0.5, 0.5]."""
        start = torch.rand_like(images) - 0.5
        xi, epsilon = self.settings.xi, self.settings.epsilon
        return losses.adversarial_dice_loss(self.network, images, start, xi, epsilon)

    @torch.no_grad()
    def remember(self, features: Tensor, predicted: Tensor, label: Tensor) -> None:
        """Replace the memory by projected features of correctly segmented labelled voxels.

        features (B, f, X, Y, Z), predicted and label (B, X, Y, Z) int64. A class without such
        voxels keeps its memory.
        """
        correct = predicted == label
        for c in self.remembered:
            vectors = features.movedim(1, -1)[correct & (label == c)]
            if len(vectors):
                self.memory.store(c, self.select(c, self.network.projection.evaluate(vectors)))

    def select(self, c: int, vectors: Tensor) -> Tensor:
        """At most `memory_size` of (N, 32), ranked by the class's selector: difference 1."""
        size = self.settings.memory_size
        if len(vectors) <= size:
            return vectors
        scores = score(self.network.selectors[c], vectors)
        order = scores.argsort(descending=self.settings.memory_ranking == "highest", stable=True)
        return vectors[order[:size]]

    def contrast_loss(self, features: Tensor, label: Tensor) -> Tensor:
        """L_contrast: the mean over the classes of weighted distances between f and M.

        features (B, f, X, Y, Z), label (B, X, Y, Z) int64. A class with fewer than 2 voxels or 2
        memory vectors contributes 0.
        """
        embedded = self.network.embed(features.movedim(1, -1).flatten(0, -2))
        loss = embedded.new_zeros(())
        for c in range(CLASSES):
            memory, f = self.memory.recall(c), embedded[label.flatten() == c]
            if memory is not None and len(memory) > 1 and len(f) > 1:
                loss = loss + self.class_distance(c, f, memory)
        return loss / CLASSES

    def class_distance(self, c: int, f: Tensor, memory: Tensor) -> Tensor:
        """mean_ij a_i b_j (1 - cos(f_i, M_j)) of one class.

        Difference 2: the public code divides each b_j by itself, so all are 1 and the selector
        learns nothing but its batch statistics.
        """
        a = losses.rescaled(score(self.network.selectors[c], f.detach()))
        b = score(self.network.memory_selectors[c], functional.normalize(memory, dim=1))
        b = losses.rescaled(b) if self.settings.memory_weights == "learned" else b / b
        return losses.weighted_mean_distance(losses.cosine_distances(f, memory), a, b)

    def weight(self, iteration: int) -> float:
        """w(t)."""
        return self.settings.consistency_weight * self.rampup(iteration)

    def learning_rate(self, iteration: int) -> float:
        """Of the step of an iteration: the run's, times the factor for each part that is over."""
        run = self.training_settings
        part = max(1, round(run.iterations / self.settings.rate_levels))
        return run.learning_rate * self.settings.rate_factor ** ((iteration - 1) // part)
