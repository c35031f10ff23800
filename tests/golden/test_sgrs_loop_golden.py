"""Whole iterations of SGRS-Net's released training loop, of its versions of 2024 and 2025.

Everything random is given: noise, mixing, channel dropout. Each iteration starts from the public
loop's networks, where they are stored, and our own momentum: over several iterations rounding grows
until a ReLU tips. So the tolerances hold on other processors and still notice a step that does
something else; the loop itself ran on a CPU, one thread.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from numpy.testing import assert_allclose
from torch import nn

from sgrs_core.data.batch import Batch
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.sgrs import (
    RELEASED_PROBABILITY,
    SgrsSettings,
    SynergyGuidedRegionalSupervision,
)
from tests.golden.closeness import gradient_close, within
from tests.golden.stored import load_state

CONFIG = Path(__file__).parents[2] / "config"
FORM_OF = {"sgrs_loop_2024": "sgrs_released_2024", "sgrs_loop_2025": "sgrs"}
ITERATIONS = {"late": 3, "zero": 3, "block": 2, "dropout": 1}
REGIONS = {"omega": "consistent", "theta": "inconsistent", "delta": "ignored"}
ONE_VIEW = ("ce_u", "ce_m", "dice_con_u", "dice_con_m", "dice_nr_u", "dice_nr_m")
LOSSES = ("sup_ce", "sup_dice", "sup", *ONE_VIEW, "ce", "dice", "pseudo", "weight", "total")
STATES = [
    *(f"{series}{i}_{one}" for series in ("late", "zero") for i in range(3)
      for one in ("student", "teacher")),
    "block1_student",
]  # fmt: skip
OBSERVED = ["late0", "late1", "late2", "zero0", "dropout0"]
ALLOWED_VOXELS = 2  # that may fall on the other side of a threshold


@pytest.fixture(params=FORM_OF, scope="module")
def version(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def arrays(version, golden):
    return golden(version)


@pytest.fixture(scope="module")
def run_series(version, arrays):
    """A function from a series to what each of its iterations computed and left; run once each."""
    given = yaml.safe_load((CONFIG / f"methods/{FORM_OF[version]}.yaml").read_text())
    settings = SgrsSettings(**given.get("settings", {}))
    return functools.cache(lambda series: iterate(arrays, series, settings))


class Given(nn.Module):
    """Stands for a channel dropout whose draw is given: (N, C) factors."""

    def __init__(self, factors) -> None:
        super().__init__()
        self.factors = torch.as_tensor(factors)[:, :, None, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factors


class Watched(SynergyGuidedRegionalSupervision):
    """The method, which keeps what it computes on the way."""

    def pseudo_label(self, images):
        self.teacher_logits = []
        hook = self.teacher.register_forward_hook(lambda *call: self.teacher_logits.append(call[2]))
        label = super().pseudo_label(images)
        hook.remove()
        return label

    def student_outputs(self, batch, noisy_l, noisy_u):
        images = []
        hook = self.network.register_forward_pre_hook(lambda *call: images.append(call[1][0]))
        outputs = super().student_outputs(batch, noisy_l, noisy_u)
        hook.remove()
        self.mixed, self.student_logits = images[0][-len(noisy_u) :], torch.cat(outputs).detach()
        return outputs

    def regional_loss(self, views, label, regions):
        masks = self.regions_by_loss(regions)
        self.of_views = {}
        for letter, logits in zip("um", views, strict=True):
            con = self.consistency(logits, label, masks["con"], regions)
            nr = self.noise_robust(logits, label, masks["nr"])
            self.of_views |= {
                f"ce_{letter}": con.cross_entropy + nr.cross_entropy,
                f"dice_con_{letter}": con.dice,
                f"dice_nr_{letter}": nr.dice,
            }
        loss, terms = super().regional_loss(views, label, regions)
        self.unsupervised = loss.detach()
        return loss, terms


def iterate(arrays, series: str, settings: SgrsSettings) -> list[SimpleNamespace]:
    """Our steps on the stored batches, from the stored start."""
    _, _, *patch = arrays["images0"].shape
    run = TrainingSettings(patch=tuple(patch), base_filters=1, dropout=0, channels_last=False)
    method = Watched(run, settings)
    start(method, arrays, "teacher_start", "teacher_start" if series == "zero" else "student_start")
    if series == "dropout":
        for name, network in (("student", method.network), ("teacher", method.teacher)):
            network.encoder.dropout = Given(arrays[f"dropout_{name}_bottleneck"])
            network.decoder.dropout = Given(arrays[f"dropout_{name}_output"])
    (optimizer,) = method.optimizers()
    iterations = []
    for i, counter in enumerate(arrays[f"{series}_iter_num"]):
        iterations.append(one_iteration(method.train(), optimizer, arrays, i, int(counter) + 1))
        if series in ("late", "zero"):
            start(method, arrays, f"{series}{i}_teacher", f"{series}{i}_student")
    return iterations


def start(method, arrays, teacher: str, student: str) -> None:
    """From these stored networks."""
    sizes = torch.from_numpy(arrays["state_numel"])
    for network, name in ((method.teacher, teacher), (method.network, student)):
        load_state(network, torch.from_numpy(arrays[name]), sizes)


def one_iteration(method, optimizer, arrays, i: int, iteration: int) -> SimpleNamespace:
    images, labels = (torch.from_numpy(arrays[f"{name}{i}"]) for name in ("images", "labels"))
    batch = Batch(images[: len(labels)], labels, images[len(labels) :])
    with given_draws(arrays, i):
        output = method.step(batch, iteration)
    optimizer.zero_grad()
    output.loss.backward()
    gradient = torch.cat([p.grad.flatten() for p in method.network.parameters()])
    optimizer.step()
    method.after_step(iteration)
    terms = output.terms
    dices = [value for name, value in method.of_views.items() if name.startswith("dice")]
    losses = {
        "sup_ce": terms["labelled_cross_entropy"],
        "sup_dice": terms["labelled_dice"],
        "sup": output.loss - terms["weight"] * method.unsupervised,
        **method.of_views,
        "ce": terms["consistent_cross_entropy"] + terms["noise_robust_cross_entropy"],
        "dice": torch.stack(dices).mean(),
        "pseudo": method.unsupervised,
        "weight": torch.tensor(method.weight(iteration), dtype=torch.float64),
        "total": output.loss,
    }
    return SimpleNamespace(
        losses={name: value.item() for name, value in losses.items()},
        gradient=gradient.numpy(),
        observed={name: value.numpy() for name, value in output.observed.items()},
        student=state(method.network),
        teacher=state(method.teacher),
        student_logits=method.student_logits.numpy(),
        teacher_logits=method.teacher_logits[0].numpy(),
        mixed=method.mixed.numpy(),
    )


@contextmanager
def given_draws(arrays, i: int) -> Iterator[None]:
    """Inside, torch draws what the public loop drew, in its order."""
    noise = iter([arrays[f"noise_l{i}"], arrays[f"noise_u{i}"]])
    beta, partner = (torch.from_numpy(arrays[f"{name}{i}"]) for name in ("beta", "partner"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn_like", lambda images: torch.from_numpy(next(noise)))
        patch.setattr(torch.distributions.Beta, "sample", lambda self, shape: beta)
        patch.setattr(torch, "randperm", lambda labelled: partner)
        yield


def state(network: nn.Module) -> np.ndarray:
    return torch.cat([v.flatten().float() for v in network.state_dict().values()]).numpy()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("series", ITERATIONS)
def test_every_loss_of_every_iteration(series, name, arrays, run_series):
    ours = [one.losses[name] for one in run_series(series)]
    assert len(ours) == ITERATIONS[series]
    stored = arrays[f"{series}_{name}"]
    assert_allclose(ours, stored, rtol=1e-6 if name == "weight" else 1e-4, atol=1e-7)


@pytest.mark.parametrize("series", ITERATIONS)
def test_the_ramp_counts_the_iterations_that_are_done(series, arrays):
    done = arrays[f"{series}_iter_num"]
    np.testing.assert_array_equal(done // 150, arrays[f"{series}_ramp_argument"])


@pytest.mark.parametrize("step", OBSERVED)
def test_regions_and_pseudo_labels(step, arrays, run_series):
    observed = run_series(step[:-1])[int(step[-1])].observed
    for ours, stored in REGIONS.items():
        expected = arrays[f"{step}_region_{stored}"]
        assert (observed[f"region_{ours}"] != expected).sum() <= ALLOWED_VOXELS
    assert (observed["pseudo_labels"] != arrays[f"{step}_pseudo_label"]).sum() <= ALLOWED_VOXELS


@pytest.mark.parametrize("step", ["late0", "dropout0"])
def test_the_gradient_of_the_total_loss(step, arrays, run_series):
    # Biases before a batch norm have no gradient but rounding, and a ReLU may tip.
    gradient_close(run_series(step[:-1])[0].gradient, arrays[f"{step}_grad"])


@pytest.mark.parametrize("name", STATES)
def test_the_networks_after_each_iteration(name, arrays, run_series):
    step, network = name.split("_")
    series, i = step[:-1], step[-1]
    ours, stored = getattr(run_series(series)[int(i)], network), arrays[name]
    counts = np.repeat(arrays["state_is_count"], arrays["state_numel"])
    np.testing.assert_array_equal(ours[counts], stored[counts])
    ours, stored = ours[~counts], stored[~counts]
    # A ReLU that tips moves a twelfth of the entries. The first is narrow enough to see the student
    # shrink, which moves all.
    first = name.startswith(("late0", "zero0"))
    relative, floor, share = (2e-5, 1e-6, 0.9) if first else (1e-3, 2e-6, 0.99)
    within(ours, stored, relative, floor * np.abs(stored).max(), share)


def test_outputs_and_mixed_patches_of_the_first_iteration(arrays, run_series):
    first, every2 = run_series("late")[0], (..., *[slice(None, None, 2)] * 3)
    for name in ("student", "teacher"):
        stored, ours = arrays[f"late0_{name}_output_every2"], getattr(first, f"{name}_logits")
        assert_allclose(ours[every2], stored, rtol=1e-4, atol=1e-4 * np.abs(stored).max())
    every4 = (..., *[slice(None, None, 4)] * 3)
    assert_allclose(first.mixed[every4], arrays["late0_mixed_every4"], rtol=1e-5, atol=1e-6)


def test_the_stored_mixing_coefficients_are_at_least_a_half(arrays):
    for i in range(3):
        beta = arrays[f"beta{i}"]
        assert_allclose(np.maximum(beta, 1 - beta), arrays[f"lambda{i}"], rtol=1e-6)


def test_the_threshold_is_the_versions(version, arrays):
    form = {"sgrs_loop_2024": "released_2024", "sgrs_loop_2025": "released"}[version]
    assert float(arrays["tau"]) == RELEASED_PROBABILITY[form]


def test_no_probability_lies_so_near_to_a_threshold_that_rounding_decides(arrays):
    assert float(arrays["smallest_margin"]) > 1e-7
