import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from sgrs_core.experiment.settings import TrainingSettings
from sgrs_core.methods.base import Method
from sgrs_core.methods.precision import autocast, place, precision_context

CPU = torch.device("cpu")
PRECISIONS = ["strict", "float32", "tensorfloat32", "bfloat16"]


def global_state() -> tuple[bool, ...]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_ends_with_its_block_even_when_the_block_fails(precision):
    before = global_state()
    with pytest.raises(ZeroDivisionError), precision_context(precision):
        raise ZeroDivisionError
    assert global_state() == before


@pytest.mark.parametrize(
    ("precision", "tf32"),
    [("strict", False), ("float32", False), ("tensorfloat32", True), ("bfloat16", False)],
)
def test_short_mantissas_are_for_convolutions_alone_and_on_request(precision, tf32):
    with precision_context(precision):
        assert torch.backends.cuda.matmul.allow_tf32 is False
        assert torch.backends.cudnn.allow_tf32 is tf32


def test_strict_refuses_what_torch_cannot_repeat():
    def put():
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))

    with precision_context("float32"):
        put()
    with precision_context("strict"), pytest.raises(RuntimeError, match="put_"):
        put()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_networks_compute_in_bfloat16_only_where_that_is_the_precision(precision):
    with autocast(CPU, precision):
        dtype = nn.Linear(4, 4)(torch.zeros(1, 4)).dtype
    assert dtype is (torch.bfloat16 if precision == "bfloat16" else torch.float32)


class TwoLayers(nn.Module):
    """A network. Torch does not compile its own modules by themselves, such as nn.Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.BatchNorm3d(2), nn.ReLU())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


class OfTwoLayers(Method):
    """A method of one small network."""

    def build(self) -> None:
        torch.manual_seed(0)
        self.network = TwoLayers()


@pytest.mark.slow
def test_what_is_compiled_computes_the_same_under_the_same_names(tmp_path, monkeypatch):
    # Not what another start compiled, for another processor perhaps, or is compiling now.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    # In double precision, where rounding cannot hide a difference, nor be taken for one.
    plain, compiled = (OfTwoLayers(TrainingSettings()).double() for _ in range(2))
    compiled.compile_parts()
    assert list(compiled.state_dict()) == list(plain.state_dict())
    images = torch.rand(2, 1, 8, 8, 8, dtype=torch.float64)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    results = []
    for method in (plain, compiled):
        output = method.network(images)
        output.square().sum().backward()
        results.append([output, *(p.grad for p in method.parameters())])
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # the network, indeed
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(*[st.integers(1, 6)] * 3),
    channels=st.sampled_from([(1, 1), (1, 16), (4, 4), (16, 32)]),
    kernel=st.sampled_from([(1, 1, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1), (4, 2, 1)]),
    channels_last=st.booleans(),
)
def test_convolutions_in_bfloat16_are_those_in_float32_but_for_rounding(
    sides, channels, kernel, channels_last
):
    length, stride, padding = kernel
    assume(all(side + 2 * padding >= length for side in sides))
    torch.manual_seed(0)
    layer = nn.Conv3d(*channels, length, stride, padding)
    method = nn.ModuleDict({"network": layer})
    run = TrainingSettings(precision="bfloat16", channels_last=channels_last)
    images = torch.randn(4, channels[0], *sides)
    plain = parts_of(layer, images, "float32")
    place(method, CPU, run)
    torch.full((200_000,), torch.nan)  # what a wrong gradient would find in its memory
    for one, other in zip(parts_of(layer, images, "bfloat16"), plain, strict=True):
        error = (one - other).norm() / other.norm().clamp_min(1e-3)
        assert error < 0.05  # 8 bits of mantissa: 0.004 in each product


def parts_of(layer: nn.Conv3d, images: torch.Tensor, precision: str) -> list[torch.Tensor]:
    """A convolution's output, and the gradients of its sum of squares."""
    layer.zero_grad()
    images = images.clone().requires_grad_()
    with autocast(CPU, precision):
        output = layer(images).float()
    output.square().sum().backward()
    return [output.detach(), images.grad, layer.weight.grad.clone()]


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_memory_layout_is_the_one_that_was_asked_for(channels_last):
    method = nn.ModuleDict({"network": nn.Conv3d(4, 4, 3)})
    place(method, CPU, TrainingSettings(channels_last=channels_last))
    weight = method["network"].weight
    assert weight.is_contiguous(memory_format=torch.channels_last_3d) is channels_last


def test_values_of_other_dimensions_than_a_3d_convolutions_keep_their_layout():
    network = nn.ModuleDict({"slices": nn.Conv2d(1, 4, 3), "volume": nn.Conv3d(4, 4, 3)})
    method = nn.ModuleDict({"network": network})
    place(method, CPU, TrainingSettings(channels_last=True))
    weights = [layer.weight for layer in network.values()]
    layouts = [weight.is_contiguous() for weight in weights]
    assert layouts == [True, False]


def test_a_network_with_instance_norms_stays_contiguous_as_they_make_it():
    convolution, norm = nn.Conv3d(4, 4, 3), nn.InstanceNorm3d(4)
    method = nn.ModuleDict(
        {"network": nn.Sequential(convolution, norm), "other": nn.Conv3d(4, 4, 3)}
    )
    place(method, CPU, TrainingSettings(channels_last=True))
    images = torch.zeros(1, 4, 8, 8, 8).to(memory_format=torch.channels_last_3d)
    assert norm(images).is_contiguous()  # the reason; when PyTorch changes this, so may we
    assert convolution.weight.is_contiguous()
    assert not method["other"].weight.is_contiguous()
