"""SGRS-Net: synergy-guided regional supervision of pseudo labels (MICCAI 2025).

A mean teacher labels the unlabelled patches; labelled patches are mixed into them; by how certain
and how consistent the student is before and after mixing, each voxel belongs to one of three
regions, and each region has its own loss.

Symbols: D_L, D_U labelled and unlabelled patches, GT the ground truth of D_L, D_M the mixed patches,
Y the pseudo labels of D_U, P_U and P_M the student's softmax outputs on D_U and D_M, tau the entropy
threshold, Delta the disregarded region, Omega the consistent one, Theta the inconsistent one.

Sources: the paper's section 2 (equation numbers below), and the authors' public code
(ortonwang/SGRS-Net), from which it differs in the points numbered in docs/methods/sgrs.md.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sgrs_core.losses import regional
from sgrs_core.methods.method import Batch, Method, StepOutput
from sgrs_core.methods.ramp import ramp_up
from sgrs_core.networks.ema import average_into, shrink
from sgrs_core.settings import TrainingSettings

Form = Literal["paper", "released"]
RegionLoss = Literal["con", "nr", "none"]


@dataclass(frozen=True)
class SgrsSettings:
    """Every choice of the method; the defaults are the released code's.

    The first group are the ablations of Tables 5-7 and Figure 4: where pseudo labels come from,
    what makes D_M from D_U, the loss of each region, the threshold (base-10 entropy).
    The second are constants: noise on the images the teacher sees (0: none, as in the paper's text),
    the Beta distribution of the mixing coefficient, label smoothing, the Dice loss's eta, whether
    the teacher runs in train mode (active dropout, batch statistics) or eval mode.
    The third are the numbered differences between paper and released code.
    """

    teacher: Literal["ema", "student"] = "ema"
    augmentation: Literal["mix", "flip_h", "flip_v", "none"] = "mix"
    omega: RegionLoss = "con"
    theta: RegionLoss = "nr"
    delta: RegionLoss = "none"
    tau: float = 0.296

    noise: float = 0.1
    noise_limit: float = 0.2
    beta: float = 0.75
    epsilon: float = 0.2
    eta: float = 20.0
    teacher_mode: Literal["train", "eval"] = "train"

    labelled_dice: Form = "released"  # 1
    consistent_dice: Form = "released"  # 2
    noise_robust_dice: Form = "released"  # 3
    consistent_cross_entropy: Form = "released"  # 4
    noise_robust_cross_entropy: Form = "released"  # 5
    loss_weights: Form = "released"  # 6
    teacher_update: Form = "released"  # 7
    student_decay: Form = "released"  # 8
    shared_start: Form = "released"  # 9
    disregarded: Form = "released"  # 11

    def __post_init__(self) -> None:
        if not 0 < self.tau < 0.302:
            raise ValueError(
                f"tau = {self.tau}: allowed are base-10 entropies above 0, below 0.302"
            )
        if self.disregarded == "released" and self.tau != PUBLISHED_TAU:
            raise ValueError(
                f"tau = {self.tau}: allowed is {PUBLISHED_TAU} while disregarded = released, which "
                "fixes the probability 0.425; set disregarded: paper to move the threshold"
            )


PUBLISHED_TAU = 0.296
RELEASED_PROBABILITY = 0.425  # its base-10 entropy is 0.29613; the paper prints 0.296


class Regions(NamedTuple):
    """The partition of D_U's voxels, each (B, X, Y, Z) bool."""

    omega: Tensor
    theta: Tensor
    delta: Tensor
    agree: Tensor  # same argmax, whatever the certainty: Omega and part of Delta


class SynergyGuidedRegionalSupervision(Method):
    """Student and EMA teacher; the student is what predicts."""

    Settings = SgrsSettings
    settings: SgrsSettings

    def __init__(self, run: TrainingSettings, settings: SgrsSettings | None = None) -> None:
        super().__init__(run, settings)
        self.network = self.new_vnet()
        if self.settings.teacher == "ema":
            self.teacher = self.new_vnet().requires_grad_(False)
            if self.settings.shared_start == "released":
                self.network.load_state_dict(self.teacher.state_dict())

    def step(self, batch: Batch, iteration: int) -> StepOutput:
        noisy_l, noisy_u = self.add_noise(batch.images_l), self.add_noise(batch.images_u)
        pseudo_labels = self.pseudo_label(noisy_u)  # Y, eq. 1-2
        views = self.student_outputs(batch, noisy_l, noisy_u)
        probabilities = [torch.softmax(logits, dim=1) for logits in views[1:]]  # P_U, P_M
        regions = self.split(probabilities)

        supervised, terms = self.labelled_loss(views[0], batch.labels_l)
        unsupervised, regional_terms = self.regional_loss(views[1:], pseudo_labels, regions)
        weight = ramp_up(iteration, self.run)
        loss = supervised + weight * unsupervised  # eq. 19

        terms = terms | regional_terms | {"weight": loss.new_tensor(weight)}
        return StepOutput(
            loss,
            {name: term.detach() for name, term in terms.items()},
            {
                "pseudo_labels": pseudo_labels,
                "region_omega": regions.omega,
                "region_theta": regions.theta,
                "region_delta": regions.delta,
            },
        )

    def add_noise(self, images: Tensor) -> Tensor:
        """D' = D + n, n ~ N(0, noise) cut at +-noise_limit."""
        limit = self.settings.noise_limit
        noise = torch.randn_like(images) * self.settings.noise
        return images + noise.clamp(-limit, limit)

    @torch.no_grad()
    def pseudo_label(self, images: Tensor) -> Tensor:
        """Y, eq. 1-2: the teacher's most probable class, (B, X, Y, Z) int64."""
        if self.settings.teacher == "student":
            return self.network(images).argmax(dim=1)
        self.teacher.train(self.settings.teacher_mode == "train" and self.training)
        return self.teacher(images).argmax(dim=1)

    def student_outputs(self, batch: Batch, noisy_l: Tensor, noisy_u: Tensor) -> list[Tensor]:
        """The student's logits on D_L, D_U and D_M: one pass, so batch statistics are joint.

        D_M's logits come back in D_U's frame; without augmentation there is no D_M.
        """
        images = [batch.images_l, batch.images_u]
        kind = self.settings.augmentation
        if kind == "mix":
            images.append(mix(noisy_l, noisy_u, *self.draw_mixing(len(noisy_l), len(noisy_u))))
        elif kind != "none":
            images.append(noisy_u.flip(FLIPPED_AXIS[kind]))
        sizes = [len(part) for part in images]
        outputs = list(self.network(torch.cat(images)).float().split(sizes))
        if kind in FLIPPED_AXIS:
            outputs[2] = outputs[2].flip(FLIPPED_AXIS[kind])
        return outputs

    def draw_mixing(self, labelled: int, unlabelled: int) -> tuple[Tensor, Tensor]:
        """lambda = max(b, 1 - b), b ~ Beta(beta, beta), and a random labelled partner per sample."""
        b = torch.distributions.Beta(self.settings.beta, self.settings.beta).sample((unlabelled,))
        partner = torch.randperm(labelled)[torch.arange(unlabelled) % labelled]
        return torch.maximum(b, 1 - b), partner

    def split(self, probabilities: list[Tensor]) -> Regions:
        """Synergy evaluation, eq. 5-9, of P_U and P_M (of P_U alone where there is no D_M)."""
        if self.settings.disregarded == "released":
            uncertain = [is_uncertain_by_probability(p) for p in probabilities]
        else:
            uncertain = [entropy(p) > self.settings.tau for p in probabilities]
        return partition(probabilities[0], probabilities[-1], uncertain[0] | uncertain[-1])

    def labelled_loss(self, logits: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """L_sup, eq. 12: cross-entropy and Dice on D_L."""
        everywhere = torch.ones_like(label, dtype=torch.bool)
        probability = torch.softmax(logits, dim=1)
        cross_entropy = regional.partial_cross_entropy(logits, label, everywhere)
        if self.settings.labelled_dice == "released":
            dice = regional.released_labelled_dice(probability, label)
        else:
            dice = regional.partial_dice(probability, label, everywhere)
        scale = 0.5 if self.settings.loss_weights == "released" else 1.0
        loss = scale * (cross_entropy + dice)
        return loss, {"labelled_cross_entropy": cross_entropy, "labelled_dice": dice}

    def regional_loss(
        self, views: list[Tensor], label: Tensor, regions: Regions
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """L_con + L_NR, eq. 13-18, over P_U and P_M.

        Regions with the same loss form one region of that loss.
        """
        chosen = self.regions_by_loss(regions)
        terms: dict[str, Tensor] = {}
        if "con" in chosen:
            terms |= self.consistency_terms(views, label, chosen["con"], regions)
        if "nr" in chosen:
            terms |= self.noise_robust_terms(views, label, chosen["nr"])
        cross_entropies = [term for name, term in terms.items() if "cross_entropy" in name]
        dices = [term for name, term in terms.items() if "dice" in name]
        if not terms:
            return label.new_zeros((), dtype=torch.float32), terms
        # Terms are means over the views already: adding the views is multiplying by their number.
        if self.settings.loss_weights == "paper":
            return len(views) * torch.stack(cross_entropies + dices).sum(), terms
        return 0.5 * (torch.stack(cross_entropies).sum() + torch.stack(dices).mean()), terms

    def regions_by_loss(self, regions: Regions) -> dict[str, Tensor]:
        """The union of the regions that each loss in use supervises."""
        chosen: dict[str, Tensor] = {}
        for name in ("omega", "theta", "delta"):
            loss = getattr(self.settings, name)
            if loss != "none":
                mask = getattr(regions, name)
                chosen[loss] = chosen[loss] | mask if loss in chosen else mask
        return chosen

    def consistency_terms(
        self, views: list[Tensor], label: Tensor, mask: Tensor, regions: Regions
    ) -> dict[str, Tensor]:
        """L_con, eq. 13-14: plain cross-entropy and Dice, means over the views."""
        certain_or_not = mask
        if self.settings.consistent_cross_entropy == "released" and self.settings.omega == "con":
            certain_or_not = mask | regions.agree  # difference 4: Delta is not excluded
        cross_entropies, dices = [], []
        for logits in views:
            probability = torch.softmax(logits, dim=1)
            cross_entropies.append(regional.partial_cross_entropy(logits, label, certain_or_not))
            if self.settings.consistent_dice == "released":
                dices.append(regional.released_partial_dice(probability, label, mask, smooth=1.0))
            else:
                dices.append(regional.partial_dice(probability, label, mask))
        return {
            "consistent_cross_entropy": torch.stack(cross_entropies).mean(),
            "consistent_dice": torch.stack(dices).mean(),
        }

    def noise_robust_terms(
        self, views: list[Tensor], label: Tensor, mask: Tensor
    ) -> dict[str, Tensor]:
        """L_NR, eq. 15-18: label smoothing and a damped Dice, means over the views."""
        epsilon, eta = self.settings.epsilon, self.settings.eta
        cross_entropies, dices = [], []
        for logits in views:
            probability = torch.softmax(logits, dim=1)
            if self.settings.noise_robust_cross_entropy == "released":
                cross_entropy = regional.released_noise_robust_cross_entropy
            else:
                cross_entropy = regional.noise_robust_cross_entropy
            cross_entropies.append(cross_entropy(logits, label, mask, epsilon))
            if self.settings.noise_robust_dice == "released":
                dices.append(regional.released_partial_dice(probability, label, mask, smooth=eta))
            else:
                dices.append(regional.partial_dice(probability, label, mask, eta=eta))
        return {
            "noise_robust_cross_entropy": torch.stack(cross_entropies).mean(),
            "noise_robust_dice": torch.stack(dices).mean(),
        }

    def after_step(self, iteration: int) -> None:
        """The teacher follows: theta_T = a theta_T + (1 - a) theta_S, a = min(1 - 1/(t+1), 0.99).

        Released, differences 7 and 8: first a whole update with a = 0.99, then the student shrinks.
        """
        if self.settings.teacher == "ema" and self.settings.teacher_update == "released":
            average_into(self.teacher, self.network, decay=0.99, buffers=True)
        if self.settings.student_decay == "released":
            shrink(self.network, 1 - 2e-4)
        if self.settings.teacher == "ema":
            decay = min(1 - 1 / (iteration + 1), 0.99)
            average_into(self.teacher, self.network, decay, buffers=False)


FLIPPED_AXIS = {"flip_h": -3, "flip_v": -2}  # x is the image's horizontal axis, y its vertical


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


def is_uncertain_by_probability(probability: Tensor) -> Tensor:
    """Difference 11: the background's probability lies strictly between 0.425 and 0.575."""
    background = probability[:, 0]
    return (background > RELEASED_PROBABILITY) & (background < 1 - RELEASED_PROBABILITY)


def partition(p_u: Tensor, p_m: Tensor, uncertain: Tensor) -> Regions:
    """Omega, Theta and Delta, eq. 6-9; they carry no gradient."""
    agree = p_u.argmax(dim=1) == p_m.argmax(dim=1)
    return Regions(
        omega=agree & ~uncertain, theta=~agree & ~uncertain, delta=uncertain, agree=agree
    )
