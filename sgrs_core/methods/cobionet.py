"""Co-BioNet: uncertainty-guided dual views (Peiris et al., Nature Machine Intelligence 2023).

Two V-Nets, two views of the same scans, learn from labelled patches and, on unlabelled ones, from
each other's soft outputs. Each has a critic, meant to tell where its outputs look like labels: the
other network should trust it there, and it should be moved to look so everywhere.

Symbols: k = 1, 2 the networks; l_k, u_k, g_k network k's foreground probability on the labelled,
the unlabelled and all patches; y the labels; t_m the threshold of trust, m_k the voxels where
network k trusts the other's output, kappa_k their share; lambda, w(t) and mu weights.

Sources: the paper, and the authors' public code (himashi92/Co-BioNet), whose choices are the
defaults, the defects that shaped its numbers among them: in it the critics never learn. See
docs/methods/cobionet.md.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import Factor, Share
from sgrs_core.losses import cobionet as losses
from sgrs_core.methods.base import Candidate, Method, MethodSettings, StepOutput
from sgrs_core.networks.critic import Critic, critic_probability, frozen_critic_probability
from sgrs_core.networks.vnet import VNet

CRITICS_LEARNING_RATE = 1e-4  # the first; it follows the networks' cosine


class CoBioNetSettings(MethodSettings):
    """Every choice of the method; the defaults are the public code's on LA."""

    supervised_weight: Factor = 0.7
    """lambda"""
    threshold: Share = 0.4
    """t_m"""
    generator_weight: Factor = 0.01
    """mu"""
    mutual_weight: Factor = 1.0
    """w(t) when the ramp is over"""
    critics: Literal["frozen", "trained"] = "frozen"
    """whether they keep their first weights"""
    mask: Literal["scalar", "voxel"] = "scalar"
    """whether m_k scales the whole loss or selects voxels"""
    difference: Literal["logged", "trained"] = "logged"
    """whether L_dif is trained on, or only logged"""
    schedule: Literal["published", "once"] = "published"
    """the learning rate's cosine turns round about once an epoch (`published`), or falls once in
    the run"""
    prediction: Literal["ensemble", "first", "second"] = "ensemble"
    """which network's probability, or the mean of both"""
    chosen: Literal["together", "each"] = "together"
    """a checkpoint is chosen for both networks at once (`together`), by what they predict, or for
    each by what it predicts alone (`each`, as in the public code), so that two moments of the
    training meet in the mean"""


class View(NamedTuple):
    """A network's foreground probabilities, (B, X, Y, Z) float32, from three passes, and a critic.

    labelled: l_k. unlabelled: u_k. everything: g_k, labelled patches first.
    """

    labelled: Tensor
    unlabelled: Tensor
    everything: Tensor
    critic: nn.Module


class Terms(NamedTuple):
    """L_k's terms, scalars: L_k = lambda L_sup + w(t) (L_dif + L_mask + mu L_gen) + L_crit.

    critic: None where the critics keep their first weights.
    """

    supervised: Tensor
    difference: Tensor
    masked: Tensor
    generator: Tensor
    critic: Tensor | None


class CoBioNet(Method):
    """Two V-Nets of one output channel, and a critic for each."""

    Settings = CoBioNetSettings
    settings: CoBioNetSettings

    def build(self) -> None:
        """Raises ValueError where the schedule needs the number of labelled scans, and lacks it."""
        if self.settings.schedule == "published" and self.labelled_scans is None:
            raise ValueError("schedule: published turns once an epoch: give labelled_scans")
        self.networks = nn.ModuleList(self.new_network(VNet, classes=1) for _ in range(2))
        self.critics = nn.ModuleList(Critic() for _ in range(2))
        self.critics.requires_grad_(self.settings.critics == "trained")

    def compile_parts(self) -> None:
        for network in (*self.networks, *self.critics):
            network.compile(dynamic=False)

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        first, second = self.views(batch)
        weight = self.settings.mutual_weight * self.rampup(iteration)  # w(t)
        loss = torch.zeros((), device=batch.images_l.device)
        logged: dict[str, Tensor] = {}
        observed = {"pseudo_labels": ((first.unlabelled + second.unlabelled) / 2 > 0.5).long()}
        for k, (view, other) in enumerate(((first, second), (second, first)), start=1):
            trusted = self.trusts(other)  # m_k
            terms = self.terms(view, other, trusted, batch.labels_l)
            mutual = terms.difference + terms.masked
            mutual = mutual + self.settings.generator_weight * terms.generator
            total = self.settings.supervised_weight * terms.supervised + weight * mutual  # L_k
            if terms.critic is not None:
                total = total + terms.critic
            loss = loss + total
            for name, term in terms._asdict().items():
                if term is not None:
                    logged[f"{name}{k}"] = term
            observed[f"region_trusted{k}"] = trusted

        rate = self.learning_rate(iteration)
        return StepOutput.of(loss, observed, **logged, weight=weight, learning_rate=rate)

    def views(self, batch: Batch) -> list[View]:
        """l_k, u_k and g_k: three passes a network, each with batch statistics of its own."""
        everything = torch.cat([batch.images_l, batch.images_u])
        parts = [
            [foreground(network, images) for images in (batch.images_l, batch.images_u)]
            for network in self.networks
        ]
        return [
            View(part[0], part[1], foreground(network, everything), critic)
            for part, network, critic in zip(parts, self.networks, self.critics, strict=True)
        ]

    @torch.no_grad()
    def trusts(self, other: View) -> Tensor:
        """m_k: where the other network's critic gives its output more than t_m, bool."""
        return critic_probability(other.critic, other.unlabelled) > self.settings.threshold

    def terms(self, view: View, other: View, trusted: Tensor, label: Tensor) -> Terms:
        """The terms of L_k of the network whose view comes first.

        As released, L_dif counts in the loss's value and has no gradient, and m_k scales L_mask by
        its share kappa_k instead of selecting voxels.
        """
        u, critic = view.unlabelled, view.critic
        difference = losses.difference_loss(u, other.unlabelled)
        by_voxel = self.settings.mask == "voxel"
        mask_loss = losses.voxel_masked_loss if by_voxel else losses.scalar_masked_loss
        return Terms(
            supervised=losses.supervised_loss(view.labelled, label),
            difference=difference.detach() if self.settings.difference == "logged" else difference,
            masked=mask_loss(u, other.unlabelled, trusted),
            generator=losses.generator_loss(frozen_critic_probability(critic, view.everything)),
            critic=critics_own_loss(view, label) if self.settings.critics == "trained" else None,
        )

    @property
    def period(self) -> int:
        """T: the run's iterations over an epoch's, plus 1; `once`: the run's iterations."""
        run = self.training_settings
        if self.labelled_scans is None or self.settings.schedule == "once":
            return run.iterations
        epoch = max(1, self.labelled_scans // run.labelled_patches)
        return run.iterations // epoch + 1

    def rate_share(self, iteration: int) -> float:
        """1/2 (1 + cos(pi (t - 1) / T)): it falls from 1 for T steps, then rises again.

        A cosine meant to be advanced once an epoch, and advanced in each iteration.
        """
        return (1 + math.cos(math.pi * (iteration - 1) / self.period)) / 2

    def learning_rate(self, iteration: int) -> float:
        """The networks' rate in this iteration."""
        return self.training_settings.learning_rate * self.rate_share(iteration)

    def optimizers(self) -> list[Optimizer]:
        """SGD for both networks, AdamW for critics that learn."""
        sgd = self.new_sgd(self.networks.parameters())
        if self.settings.critics == "frozen":
            return [sgd]
        return [sgd, AdamW(self.critics.parameters(), CRITICS_LEARNING_RATE)]

    def learning_rates(self, iteration: int) -> list[float]:
        """The networks' and the critics'."""
        critics_rate = CRITICS_LEARNING_RATE * self.rate_share(iteration)
        return [self.learning_rate(iteration), critics_rate]

    def predict(self, images: Tensor) -> Tensor:
        """Foreground probability: the mean of both networks', or one's."""
        chosen = {"ensemble": (0, 1), "first": (0,), "second": (1,)}[self.settings.prediction]
        return torch.stack([foreground(self.networks[k], images) for k in chosen]).mean(dim=0)

    def candidates(self) -> Mapping[str, Candidate]:
        if self.settings.chosen == "together":
            return super().candidates()
        return {
            f"network {k + 1}": Candidate(
                partial(foreground, network), (f"networks.{k}.", f"critics.{k}.")
            )
            for k, network in enumerate(self.networks)
        }


def foreground(network: nn.Module, images: Tensor) -> Tensor:
    """sigmoid of a network's one channel: (B, 1, X, Y, Z) -> (B, X, Y, Z) float32 in [0, 1]."""
    return torch.sigmoid(network(images)[:, 0].float())


def critics_own_loss(view: View, label: Tensor) -> Tensor:
    """L_crit: the critic on labels and on the network's outputs, which get no gradient from it."""
    on_outputs = critic_probability(view.critic, view.everything.detach())
    return losses.critic_loss(critic_probability(view.critic, label.float()), on_outputs)
