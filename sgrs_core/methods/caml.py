"""CAML: correlation-aware mutual learning (Gao et al., MICCAI 2023).

Two V-Nets see the same patches and teach each other. The auxiliary one also lets the patches of a
batch attend to each other, in training only; the vanilla one predicts. A memory holds features of
labelled voxels that both get right; an unlabelled voxel is described by its correlation with a
sample of that memory, once by each network, and both descriptions must agree.

Symbols: v and a the vanilla and the auxiliary network, p their softmax outputs, e their voxel
features, y the ground truth of the labelled patches, M_c the memory's sample of class c, A the
correlation of a voxel with all M_c, w(t) the weight of what unlabelled patches bring.

Sources: the paper, and the authors' public code (Herschel555/CAML), whose choices are the defaults;
docs/methods/caml.md says where they matter.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Count, Factor, Positive, Share, Temperature
from sgrs_core.losses.caml import correlations, most_confident, omni_correlation
from sgrs_core.losses.common import most_probable
from sgrs_core.losses.mcnet_plus import mutual_consistency
from sgrs_core.methods.base import Method, MethodSettings, StepOutput
from sgrs_core.methods.mcnet_plus import labelled_dice
from sgrs_core.networks.caml import AuxiliaryVNet, Heads, View, view
from sgrs_core.networks.memory import ScanMemory
from sgrs_core.networks.vnet import VNet

CLASSES = 2
MemoryLayout = Literal["published", "corrected"]


class CamlSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's."""

    supervised_weight: Factor = 0.5
    """of the two Dice losses' sum (the paper's formula has 1)"""
    consistency_weight: Factor = 1.0
    """of L_c, before w(t)"""
    correlation_weight: Factor = 0.05
    """of L_o, before w(t)"""
    temperature: Temperature = 0.1
    """of the sharpening"""
    correlation_temperature: Positive = 0.1
    """of the correlation's softmax"""
    memory_number: Count = 256
    """vectors drawn of each class"""
    voxel_number: Count = 12_800
    """unlabelled voxels compared of each class"""
    width: Count = 32
    """of a memory vector"""
    memory_layout: MemoryLayout = "published"
    """how the auxiliary network's features are read for the memory, see `rows_as_read`"""
    attention_dropout: Share = 0.5
    """in the attention layers"""
    ramp_share: Positive = 1.0
    """of the run's ramp_iterations; the authors' runs on LA have 1 with 4 labelled scans, 0.5 with
    8, 0.375 with 16"""


class CorrelationAwareMutualLearning(Method):
    """Vanilla network (`network`, which predicts), its partner, their heads, and the memory."""

    Settings = CamlSettings
    settings: CamlSettings
    network: VNet

    def build(self) -> None:
        filters, width = self.training_settings.base_filters, self.settings.width
        self.network = self.new_vnet()
        self.auxiliary = self.new_network(
            AuxiliaryVNet, attention_dropout=self.settings.attention_dropout
        )
        self.heads_v, self.heads_a = Heads(filters, width), Heads(filters, width)
        self.memory = ScanMemory(CLASSES, self.settings.memory_number, width)

    def compile_parts(self) -> None:
        """Of both networks what is called; the heads see another number of voxels in each step."""
        for network in (self.network, self.auxiliary):
            network.compile_features()

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        views = self.views(torch.cat([batch.images_l, batch.images_u]))
        labelled = len(batch.images_l)
        probabilities = [torch.softmax(each.logits, dim=1) for each in views]
        supervised = labelled_dice(probabilities, batch.labels_l)
        consistency = mutual_consistency(probabilities, self.settings.temperature, True)
        with torch.autocast(batch.images_l.device.type, enabled=False):
            self.remember(batch, views)
            confidence, pseudo_labels = probabilities[0][labelled:].detach().max(dim=1)
            agree = pseudo_labels == most_probable(views[1].logits[labelled:])
            features = [each.features[labelled:] for each in views]
            correlation = self.correlation_loss(features, confidence, pseudo_labels, agree)
        weight = self.weight(iteration)
        unsupervised = (
            self.settings.consistency_weight * consistency
            + self.settings.correlation_weight * correlation
        )
        loss = self.settings.supervised_weight * supervised + weight * unsupervised

        return StepOutput.of(
            loss,
            {"pseudo_labels": pseudo_labels, "region_agreement": agree},
            labelled_dice=supervised,
            consistency=consistency,
            correlation=correlation,
            weight=weight,
        )

    def views(self, images: Tensor) -> list[View]:
        """Logits and features of both networks, each in one pass over all patches of the batch."""
        return [view(self.network, images), view(self.auxiliary, images)]

    @torch.no_grad()
    def remember(self, batch: Batch, views: Sequence[View]) -> None:
        """Replace the batch's labelled scans in the memory by the voxels that both get right.

        A voxel's vector is (P_v(e_v) + P_a(e_a)) / 2, P the projections in eval mode.
        """
        scans, y = batch.scans_l or range(len(batch.labels_l)), batch.labels_l
        vanilla, auxiliary = (each.features[: len(y)] for each in views)
        rows_v = rows(vanilla).unflatten(0, y.shape)
        rows_a = rows_as_read(auxiliary, self.settings.memory_layout).unflatten(0, y.shape)
        correct = torch.stack([most_probable(each.logits[: len(y)]) == y for each in views]).all(0)
        for b, scan in enumerate(scans):
            for c in range(CLASSES):
                mask = (correct[b] & (y[b] == c)).flatten()
                chosen = self.memory.choose(mask)
                projected_v = self.heads_v.projection.evaluate(rows_v[b].flatten(0, 2)[chosen])
                projected_a = self.heads_a.projection.evaluate(rows_a[b].flatten(0, 2)[chosen])
                self.memory.store(scan, c, (projected_v + projected_a) / 2, int(mask.sum()))

    def correlation_loss(
        self, features: Sequence[Tensor], confidence: Tensor, pseudo_labels: Tensor, agree: Tensor
    ) -> Tensor:
        """L_o = -mean_i sum_m A_a log A_v, over voxels i of one pseudo label by both networks.

        Of each class the voxels that the vanilla network is most confident of. features: of each
        network, (U, f, X, Y, Z); the others (U, X, Y, Z). The heads are in train mode, so their
        batch norms take the voxels' statistics and follow them; fewer than 2 voxels have none, and
        L_o is 0.
        """
        memories = self.memory.sample(self.settings.memory_number)
        if int(agree.sum()) < 2:
            return confidence.new_zeros(())
        vanilla, auxiliary = (rows(each)[agree.flatten()] for each in features)
        number, temperature = self.settings.voxel_number, self.settings.correlation_temperature
        chosen = most_confident(confidence[agree], pseudo_labels[agree], CLASSES, number)
        vectors = [self.heads_v(vanilla)[chosen], self.heads_a(auxiliary)[chosen]]
        a_v, a_a = correlations(vectors, memories, temperature)
        return omni_correlation(a_v, a_a)

    def weight(self, iteration: int) -> float:
        """w(t), with the ramp shortened or stretched by `ramp_share` in whole blocks."""
        run = self.training_settings
        blocks = round(self.settings.ramp_share * run.ramp_iterations / run.ramp_block)
        return self.rampup(iteration, max(blocks, 1))


def rows(features: Tensor) -> Tensor:
    """One row of channels for each voxel, row-major: (B, C, X, Y, Z) -> (B X Y Z, C)."""
    return features.movedim(1, -1).flatten(0, -2)


def rows_as_read(features: Tensor, layout: MemoryLayout) -> Tensor:
    """The auxiliary features of labelled voxels as the memory gets them: (B X Y Z, C).

    `corrected`: each voxel's own channels. `published`: the public code leaves the channel axis
    where it is, so voxel number n gets numbers n C to n C + C - 1 of the whole tensor.
    """
    return rows(features) if layout == "corrected" else features.reshape(-1, features.shape[1])
