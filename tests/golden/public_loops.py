"""What the tests of SS-Net and MC-Net+ against whole iterations of their public loops share.

How far a training strays (`Detour`) is asked of Co-BioNet's, too.

Tolerances hold on any CPU, whose kernels round differently, and notice a change of 1%. Rounding
tips a ReLU here and there, and batch norms over the few voxels of deep layers amplify it: in
made-up states like the stored ones, other kernels moved a loss by 0.003% in the first step and by
0.2% in the third, and the length of a part's way in three steps by 0.2% (last layers) and 7% (deep
ones). Networks are contiguous, as they are built: on a CPU, batch norm sums volumes whose channels
lie last in float32.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from sgrs_core.data.batch import Batch
from sgrs_core.data.sampling import Sample
from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.base import Method, StepOutput
from sgrs_core.training.loop import is_competing, set_learning_rates, take_step
from tests.golden.closeness import FLOOR, OUTPUT, scan_close
from tests.golden.stored import Tensors, copy_into, numbered

LATER = 5e-3  # relative, of what follows from a step already taken
FEW = 3  # voxels that rounding may call otherwise, rows of a memory that it may rank otherwise


def count(arrays: Tensors, prefix: str, suffix: str) -> int:
    """How many numbers lie between prefix and suffix: the steps, the updates of a memory."""
    return sum(name.startswith(prefix) and name.endswith(suffix) for name in arrays)


# Comparing


def rows_close(actual: Tensor, expected: Tensor, floor: float = FLOOR) -> None:
    """The same rows in any order, but for a few; `floor` is part of the largest value."""
    if len(expected) == 0:
        assert len(actual) == 0
        return
    allowed = OUTPUT * expected.abs() + floor * float(expected.abs().max())
    same = ((actual[:, None] - expected).abs() <= allowed).all(dim=2)
    assert (~same.any(dim=0)).sum() <= FEW
    assert (~same.any(dim=1)).sum() <= FEW


class Detour(NamedTuple):
    """How far the end lies from where it should, in lengths of the way from the start.

    along: too far or too near. aside: in all directions together.
    """

    along: float
    aside: float


LAST_LAYERS, DEEP_LAYERS = Detour(5e-3, 5e-2), Detour(0.2, 0.7)


def detour(start: Tensor, mine: Tensor, theirs: Tensor) -> Detour:
    way, error = (theirs - start).double(), (mine - theirs).double()
    return Detour(abs(float(error @ way / (way @ way))), float(error.norm() / way.norm()))


def went_the_same_way(start: Tensor, mine: Tensor, theirs: Tensor, allowed: Detour) -> None:
    """Values of a part of a network lie, after training, where they should."""
    found = detour(start, mine, theirs)
    assert found.along <= allowed.along
    assert found.aside <= allowed.aside


# Networks


def load(network: nn.Module, arrays: Tensors) -> None:
    """The small network's stored parameters p000, ... and buffers b000, ..."""
    copy_into(network.parameters(), numbered(arrays, "p"))
    copy_into(network.buffers(), numbered(arrays, "b"))


def size(network: nn.Module) -> tuple[int, int]:
    """How many parameters, in how many tensors."""
    counts = [parameter.numel() for parameter in network.parameters()]
    return sum(counts), len(counts)


# The loop


def published_run(arrays: Tensors) -> TrainingSettings:
    """The public loop's, with the small network that was put in it, without dropout."""
    return TrainingSettings(base_filters=len(arrays["p000"]), dropout=0)


def stored_sample(arrays: Tensors, step: int) -> Sample:
    """The four patches of a step, the first two labelled."""
    images, labels = arrays[f"step{step}_images"], arrays[f"step{step}_labels"]
    return Sample(Batch(images[:2], labels[:2], images[2:]), labels[2:])


def public_steps(
    method: Method, arrays: Tensors, before: Callable[[int], None] = lambda step: None
) -> Iterator[tuple[int, float, StepOutput]]:
    """Each stored step taken by the method: its number, its tolerance, what it gave.

    before: called with a step's number before it is taken.
    """
    optimizers = method.optimizers()
    for step in range(count(arrays, "step", "_images")):
        before(step)
        output = take_step(
            method, optimizers, stored_sample(arrays, step), step + 1, method.training_settings
        )
        yield step, OUTPUT if step == 0 else LATER, output


def recorded(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    """The function, each of whose results is also put into `calls`."""

    def call(*arguments: Any, **named: Any) -> Any:
        calls.append(function(*arguments, **named))
        return calls[-1]

    return call


def states_after_the_steps(arrays: Tensors) -> tuple[Tensor, Tensor]:
    """All parameters, and all floating-point buffers, in order of definition."""
    last = count(arrays, "step", "_images") - 1
    return arrays[f"step{last}_params"], arrays[f"step{last}_buffers"]


def with_values(network: nn.Module, parameters: Tensor, buffers: Tensor) -> nn.Module:
    """The network, its floating-point values taken from two long vectors."""
    for tensors, values in ((network.parameters(), parameters), (network.buffers(), buffers)):
        mine = [tensor for tensor in tensors if tensor.is_floating_point()]
        parts = values.split([tensor.numel() for tensor in mine])
        for tensor, part in zip(mine, parts, strict=True):
            tensor.data.copy_(part.view(tensor.shape))
    return network


# Schedules and scans


def rates_used(method: Method, iterations: int) -> dict[int, float]:
    """The learning rate with which each iteration's step is taken."""
    optimizers: list[Optimizer] = method.optimizers()
    rates = {}
    for iteration in range(1, iterations + 1):
        set_learning_rates(method, optimizers, iteration)
        (rates[iteration],) = {g["lr"] for o in optimizers for g in o.param_groups}
    return rates


def competing(run: TrainingSettings, iterations: int) -> list[int]:
    """The iterations after which checkpoints compete."""
    return [t for t in range(1, iterations + 1) if is_competing(t, run)]


def scan_is_segmented_as_stored(method: Method, arrays: Tensors) -> None:
    """Score and label of the stored scan; a label may differ where the score is in doubt."""
    x, y, z = arrays["infer_patch"].tolist()
    in_plane, along_z = arrays["infer_strides"].tolist()
    image, stride = arrays["infer_image"].numpy(), (in_plane, in_plane, along_z)
    score = foreground_score(method.eval().predict, image, (x, y, z), stride)
    scan_close(score, arrays["infer_score"], arrays["infer_label"])
