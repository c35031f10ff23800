"""SGRS-Net: synergy-guided regional supervision of pseudo labels (MICCAI 2025).

A mean teacher labels the unlabelled patches; labelled patches are mixed into them; by how certain
and how consistent the student is before and after mixing, each voxel belongs to one of three
regions, and each region has its own loss.

Symbols: D_L, D_U labelled and unlabelled patches, GT the ground truth of D_L, D_M the mixed
patches, Y the pseudo labels of D_U, P_U and P_M the student's softmax outputs on D_U and D_M, tau
the entropy threshold, Delta the disregarded region, Omega the consistent one, Theta the
inconsistent one, w(t) the weight of the pseudo labels' losses.

Sources: the paper's method section (equation numbers below), and the authors' public code
(ortonwang/SGRS-Net), which differs from it in the points numbered in docs/methods/sgrs.md. Two
versions of that code matter: the first upload (2be1336, 2024), of the time of the printed numbers,
and the head (c99025f, 2025).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import PUBLISHED_TAU, Factor, Positive
from sgrs_core.losses import sgrs as losses
from sgrs_core.losses.common import most_probable
from sgrs_core.methods.base import Method, MethodSettings, StepOutput, sigmoid_rampup
from sgrs_core.networks.ema import average_into, shrink

Form = Literal["paper", "released"]
RegionLoss = Literal["con", "nr", "none"]

# The background probability above which a voxel is uncertain (below 1 minus it). Base-10 entropies:
# 0.29613, which the paper prints as 0.296, and 0.29396.
RELEASED_PROBABILITY = {"released": 0.425, "released_2024": 0.410}
FLIPPED_AXIS = {"flip_h": -3, "flip_v": -2}  # x is the image's horizontal axis, y its vertical


class SgrsSettings(MethodSettings):
    """Every choice of the method; the defaults are those of the released code of 2025.

    First the ablations of Tables 5-7 and Figure 4, then constants, then the numbered differences
    between paper and released code.
    """

    teacher: Literal["ema", "student"] = "ema"
    """where pseudo labels come from"""
    augmentation: Literal["mix", "flip_h", "flip_v", "none"] = "mix"
    """what makes D_M from D_U"""
    omega: RegionLoss = "con"
    """Omega's loss: regularised as consistent, as noise-robust, or not at all"""
    theta: RegionLoss = "nr"
    """Theta's loss: likewise"""
    delta: RegionLoss = "none"
    """Delta's loss: likewise"""
    tau: Annotated[float, Field(gt=0, lt=0.302)] = PUBLISHED_TAU
    """the threshold, a base-10 entropy"""

    noise_limit: Factor = 0.2
    """where the noise is cut"""
    beta: Positive = 0.75
    """of the mixing coefficient's Beta distribution"""
    epsilon: Annotated[float, Field(ge=0, le=1)] = 0.2
    """label smoothing"""
    eta: Positive = 20.0
    """of the noise-robust Dice loss"""
    teacher_mode: Literal["train", "eval"] = "train"
    """`train` (active dropout, batch statistics) or `eval` (running statistics, which follow the
    student's)"""

    labelled_dice: Form = "released"
    """1: the Dice loss of labelled patches, as printed or as released"""
    consistent_dice: Form = "released"
    """2: the Dice loss of what is consistent, as printed or as released"""
    noise_robust_dice: Form = "released"
    """3: the noise-robust Dice loss, as printed or as released"""
    consistent_cross_entropy: Form = "released"
    """4: the cross-entropy of what is consistent, as printed or as released"""
    noise_robust_cross_entropy: Form = "released"
    """5: the noise-robust cross-entropy, as printed or as released"""
    loss_weights: Form = "released"
    """6: the terms' weights in the sum, as printed or as released"""
    teacher_update: Form = "released"
    """7: the teacher's moving average, as printed or as released, twice"""
    student_decay: Form = "released"
    """8: as released, the student shrinks after each step"""
    shared_start: bool = True
    """9: the student's first weights are the teacher's"""
    disregarded: Literal["paper", "released", "released_2024"] = "released"
    """11: the threshold as printed (`tau`), or as a probability, 0.425 (`released`) or 0.410
    (`released_2024`)"""
    uncertain_views: Literal["both", "unmixed"] = "both"
    """12: a voxel is uncertain where either of P_U and P_M is (`both`), or where P_U is (`unmixed`,
    the code of 2024)"""
    cross_entropy: Form = "released"
    """13: as printed, a sum over voxels, or as released, their mean"""
    ramp: Form = "released"
    """14: w(t) as printed, moving with each iteration, or as released, in blocks"""
    noise: Factor = 0.1
    """15: deviation of the noise on the images that the teacher sees and that are mixed; 0: none,
    as in the text"""

    @model_validator(mode="after")
    def tau_is_free(self) -> Self:
        if self.disregarded != "paper" and self.tau != PUBLISHED_TAU:
            raise ValueError(
                f"tau = {self.tau}: allowed is {PUBLISHED_TAU} while disregarded = "
                f"{self.disregarded}, which fixes the probability "
                f"{RELEASED_PROBABILITY[self.disregarded]}; set disregarded: paper to move the "
                "threshold"
            )
        return self


class Regions(NamedTuple):
    """The partition of D_U's voxels, each (B, X, Y, Z) bool."""

    omega: Tensor
    theta: Tensor
    delta: Tensor
    agree: Tensor  # same argmax, whatever the certainty: Omega and part of Delta


class Part(NamedTuple):
    """A regional loss in its two parts, scalars."""

    cross_entropy: Tensor  # L_pce
    dice: Tensor  # L_pdc


class SynergyGuidedRegionalSupervision(Method):
    """Student (`network`, which predicts) and its moving average, the teacher."""

    Settings = SgrsSettings
    settings: SgrsSettings

    def build(self) -> None:
        self.network = self.new_vnet()
        if self.settings.teacher == "ema":
            self.teacher = self.new_vnet().requires_grad_(False)
            if self.settings.shared_start:
                self.network.load_state_dict(self.teacher.state_dict())

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        noisy_l, noisy_u = self.add_noise(batch.images_l), self.add_noise(batch.images_u)
        pseudo_labels = self.pseudo_label(noisy_u)  # Y, eq. 1-2
        labelled, *views = self.student_outputs(batch, noisy_l, noisy_u)  # eq. 3-4
        regions = self.split([torch.softmax(logits, dim=1) for logits in views])  # eq. 5-9
        supervised, terms = self.labelled_loss(labelled, batch.labels_l)  # eq. 12
        unsupervised, more_terms = self.regional_loss(views, pseudo_labels, regions)  # eq. 13-18
        weight = self.weight(iteration)  # eq. 20
        loss = supervised + weight * unsupervised  # eq. 19

        observed = {
            "pseudo_labels": pseudo_labels,
            "region_omega": regions.omega,
            "region_theta": regions.theta,
            "region_delta": regions.delta,
        }
        return StepOutput.of(loss, observed, **terms, **more_terms, weight=weight)

    def compile_parts(self) -> None:
        """Besides the network, fuse the losses, which pass over the voxels many times."""
        super().compile_parts()
        compiled = partial(torch.compile, dynamic=False)
        self.split = compiled(self.split)  # type: ignore[method-assign]
        self.labelled_loss = compiled(self.labelled_loss)  # type: ignore[method-assign]
        self.regional_loss = compiled(self.regional_loss)  # type: ignore[method-assign]

    def add_noise(self, images: Tensor) -> Tensor:
        """D' = D + n, n ~ N(0, noise) cut at +-noise_limit."""
        limit = self.settings.noise_limit
        noise = torch.randn_like(images) * self.settings.noise
        return images + noise.clamp(-limit, limit)

    @torch.no_grad()
    def pseudo_label(self, images: Tensor) -> Tensor:
        """Y, eq. 1-2: the teacher's most probable class, (B, X, Y, Z) int64."""
        if self.settings.teacher == "student":
            return most_probable(self.network(images))
        self.teacher.train(self.training and self.settings.teacher_mode == "train")
        return most_probable(self.teacher(images))

    def student_outputs(self, batch: Batch, noisy_l: Tensor, noisy_u: Tensor) -> list[Tensor]:
        """The student's logits on D_L, D_U and D_M: one pass, so batch statistics are joint.

        D_M's logits come back in D_U's frame; without augmentation there is no D_M.
        """
        images = [batch.images_l, batch.images_u]
        kind = self.settings.augmentation
        if kind == "mix":
            lam, partner = self.draw_mixing(len(noisy_l), len(noisy_u))
            images.append(mix(noisy_l, noisy_u, lam, partner))
        elif kind in FLIPPED_AXIS:
            images.append(noisy_u.flip(FLIPPED_AXIS[kind]))
        outputs = list(self.network(torch.cat(images)).float().split([len(x) for x in images]))
        if kind in FLIPPED_AXIS:
            outputs[2] = outputs[2].flip(FLIPPED_AXIS[kind])
        return outputs

    def draw_mixing(self, labelled: int, unlabelled: int) -> tuple[Tensor, Tensor]:
        """lambda = max(b, 1 - b), b ~ Beta(beta, beta), and a random labelled partner, for each."""
        b = torch.distributions.Beta(self.settings.beta, self.settings.beta).sample((unlabelled,))
        partner = torch.randperm(labelled)[torch.arange(unlabelled) % labelled]
        return torch.maximum(b, 1 - b), partner

    def split(self, probabilities: Sequence[Tensor]) -> Regions:
        """Synergy evaluation, eq. 5-9, of P_U and P_M (of P_U alone where there is no D_M)."""
        p_u, p_m = probabilities[0], probabilities[-1]
        uncertain = self.is_uncertain(p_u)
        if self.settings.uncertain_views == "both":  # difference 12
            uncertain = uncertain | self.is_uncertain(p_m)
        return partition(p_u, p_m, uncertain)

    def is_uncertain(self, probability: Tensor) -> Tensor:
        """Ent(p) > tau, or difference 11, its released forms: (B, X, Y, Z) bool."""
        form = self.settings.disregarded
        if form == "paper":
            return entropy(probability) > self.settings.tau
        return is_uncertain_by_probability(probability, RELEASED_PROBABILITY[form])

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_sup, eq. 12: L_pce + L_pdc on all of D_L."""
        everywhere = torch.ones_like(label, dtype=torch.bool)
        probability = torch.softmax(logits, dim=1)
        cross_entropy = self.summed(losses.partial_cross_entropy(logits, label, everywhere), label)
        if self.settings.labelled_dice == "released":
            dice = losses.released_labelled_dice(probability, label)
        else:
            dice = losses.partial_dice(probability, label, everywhere)
        scale = 0.5 if self.settings.loss_weights == "released" else 1.0
        loss = scale * (cross_entropy + dice)
        return loss, {"labelled_cross_entropy": cross_entropy, "labelled_dice": dice}

    def regional_loss(
        self, views: Sequence[Tensor], label: Tensor, regions: Regions
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_con + L_NR, eq. 13-18; the terms are means over the views P_U and P_M.

        Regions that are given the same loss form one region of that loss.
        """
        mask = self.regions_by_loss(regions)
        parts: dict[str, Part] = {}
        if "con" in mask:
            part = [self.consistency(logits, label, mask["con"], regions) for logits in views]
            parts["consistent"] = mean_part(part)
        if "nr" in mask:
            part = [self.noise_robust(logits, label, mask["nr"]) for logits in views]
            parts["noise_robust"] = mean_part(part)
        if not parts:
            return torch.zeros((), device=label.device), {}
        cross_entropy = torch.stack([part.cross_entropy for part in parts.values()])
        dice = torch.stack([part.dice for part in parts.values()])
        if self.settings.loss_weights == "released":
            loss = 0.5 * (cross_entropy.sum() + dice.mean())
        else:
            loss = len(views) * (cross_entropy.sum() + dice.sum())
        terms = {f"{name}_cross_entropy": part.cross_entropy for name, part in parts.items()}
        return loss, terms | {f"{name}_dice": part.dice for name, part in parts.items()}

    def regions_by_loss(self, regions: Regions) -> dict[str, Tensor]:
        """The union of the regions that each loss in use supervises."""
        masks: dict[str, Tensor] = {}
        for name in ("omega", "theta", "delta"):
            loss, region = getattr(self.settings, name), getattr(regions, name)
            if loss != "none":
                masks[loss] = masks[loss] | region if loss in masks else region
        return masks

    def consistency(self, logits: Tensor, label: Tensor, mask: Tensor, regions: Regions) -> Part:
        """L_con of one view, eq. 13-14: L_pce and L_pdc."""
        probability = torch.softmax(logits, dim=1)
        if self.settings.consistent_dice == "released":
            dice = losses.released_partial_dice(probability, label, mask, smooth=1.0)
        else:
            dice = losses.partial_dice(probability, label, mask)
        if self.settings.consistent_cross_entropy == "released" and self.settings.omega == "con":
            mask = mask | regions.agree  # difference 4: Delta is not excluded
        cross_entropy = losses.partial_cross_entropy(logits, label, mask)
        return Part(self.summed(cross_entropy, label), dice)

    def noise_robust(self, logits: Tensor, label: Tensor, mask: Tensor) -> Part:
        """L_NR of one view, eq. 15-18: label-smoothed L_pce, and L_pdc damped by eta."""
        epsilon, eta = self.settings.epsilon, self.settings.eta
        probability = torch.softmax(logits, dim=1)
        if self.settings.noise_robust_dice == "released":
            dice = losses.released_partial_dice(probability, label, mask, smooth=eta)
        else:
            dice = losses.partial_dice(probability, label, mask, eta=eta)
        if self.settings.noise_robust_cross_entropy == "released":
            smoothed = losses.released_noise_robust_cross_entropy
        else:
            smoothed = losses.partial_cross_entropy
        return Part(self.summed(smoothed(logits, label, mask, epsilon), label), dice)

    def summed(self, mean: Tensor, label: Tensor) -> Tensor:
        """L_pce from its mean over all voxels: difference 13, eq. 10 prints the sum."""
        return mean if self.settings.cross_entropy == "released" else mean * label.numel()

    def weight(self, iteration: int) -> float:
        """w(t), eq. 20; difference 14: the released code moves it in blocks, counted from 0."""
        if self.settings.ramp == "paper":
            return sigmoid_rampup(iteration, self.training_settings.ramp_iterations)
        return self.rampup(iteration - 1)

    def after_step(self, iteration: int) -> None:
        """The teacher follows: theta_T = a theta_T + (1 - a) theta_S, a = min(1 - 1/(t+1), 0.99).

        Released, differences 7 and 8: first a whole update with a = 0.99, then the student shrinks.
        """
        has_teacher = self.settings.teacher == "ema"
        if has_teacher and self.settings.teacher_update == "released":
            average_into(self.teacher, self.network, decay=0.99, buffers=True)
        if self.settings.student_decay == "released":
            shrink(self.network, 1 - 2e-4)
        if has_teacher:
            decay = min(1 - 1 / (iteration + 1), 0.99)
            average_into(self.teacher, self.network, decay, self.follows_statistics)

    @property
    def follows_statistics(self) -> bool:
        """Whether the printed update moves batch statistics: in eval mode no pass does."""
        return self.settings.teacher_mode == "eval" and self.settings.teacher_update == "paper"


def mix(labelled: Tensor, unlabelled: Tensor, lam: Tensor, partner: Tensor) -> Tensor:
    """D_M, eq. 3-4: lambda D_U + (1 - lambda) D_L[partner].

    labelled (L, 1, X, Y, Z), unlabelled (U, 1, X, Y, Z), lam (U,) in [0.5, 1], partner (U,) int64.
    """
    lam = lam.to(unlabelled).view(-1, 1, 1, 1, 1)
    return lam * unlabelled + (1 - lam) * labelled[partner.to(labelled.device)]


def entropy(probability: Tensor) -> Tensor:
    """Ent(p) = -sum_j p_j log10 p_j, eq. 5: (B, C, X, Y, Z) -> (B, X, Y, Z), at most log10 C.

    In base 10: only then is tau = 0.296 the threshold that the authors ran.
    """
    return torch.special.entr(probability).sum(dim=1) / math.log(10)


def is_uncertain_by_probability(probability: Tensor, limit: float) -> Tensor:
    """Difference 11: the background's probability lies strictly between limit and 1 - limit."""
    background = probability[:, 0]
    return (background > limit) & (background < 1 - limit)


def partition(p_u: Tensor, p_m: Tensor, uncertain: Tensor) -> Regions:
    """Omega, Theta and Delta, eq. 6-9; they carry no gradient."""
    agree = most_probable(p_u) == most_probable(p_m)
    return Regions(agree & ~uncertain, ~agree & ~uncertain, uncertain, agree)


def mean_part(parts: Sequence[Part]) -> Part:
    """The mean of a loss over the views P_U and P_M."""
    return Part(*(torch.stack(values).mean() for values in zip(*parts, strict=True)))
