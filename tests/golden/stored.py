"""What the golden files hold, and the stand-ins through which it reaches networks."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Arrays(Mapping[str, NDArray[Any]]):
    """A file's arrays by name; `unread`: those that no one has asked for by name.

    Going through names or items is not asking: a test that copies everything compares nothing.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            self._arrays = dict(stored)
        self.unread = set(self._arrays)

    def __getitem__(self, name: str) -> NDArray[Any]:
        array = self._arrays[name]
        self.unread.discard(name)
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays

    def items(self) -> Any:
        return self._arrays.items()

    def values(self) -> Any:
        return self._arrays.values()


class Tensors(Mapping[str, Tensor]):
    """The same as tensors, each made when it is asked for."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def __getitem__(self, name: str) -> Tensor:
        return torch.as_tensor(self._arrays[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, name: object) -> bool:
        return name in self._arrays


def numbered(tensors: Mapping[str, Tensor], prefix: str) -> list[Tensor]:
    """prefix000, prefix001, ..."""
    names = sorted(name for name in tensors if name.startswith(prefix))
    return [tensors[name] for name in names if name[len(prefix) :].isdigit()]


def copy_into(mine: Iterable[Tensor], stored: Iterable[Tensor]) -> None:
    """Give parameters or buffers the stored values, which must be as many, of the same shapes."""
    for tensor, value in zip(mine, stored, strict=True):
        assert tensor.shape == value.shape
        tensor.data.copy_(value)


def load_state(module: nn.Module, state: Tensor, sizes: Tensor) -> None:
    """Give a module its stored state: one vector of all entries in order, of these sizes."""
    entries = module.state_dict().values()
    assert [entry.numel() for entry in entries] == sizes.tolist()
    for entry, values in zip(entries, state.split(sizes.tolist()), strict=True):
        entry.copy_(values.view(entry.shape))


def fill(named: Iterable[tuple[str, nn.Parameter]]) -> None:
    """The full-size networks' parameters: element i of tensor k is made of cos(0.37 i + 0.91 k).

    Times sqrt(2 / fan_in) in weights; a tenth of it in biases, and 1 more in norms' weights.
    """
    for k, (name, parameter) in enumerate(named):
        c = np.cos(0.37 * np.arange(parameter.numel()) + 0.91 * k).reshape(parameter.shape)
        if parameter.ndim > 1:
            values = c * math.sqrt(2 / parameter[0].numel())
        else:
            values = 0.1 * c + name.endswith("weight")
        parameter.data.copy_(torch.from_numpy(values.astype(np.float32)))


def flattened(tensors: Iterable[Tensor]) -> Tensor:
    """All in one vector, but for whole numbers: the counts of batch norms."""
    return torch.cat([t.detach().flatten() for t in tensors if t.is_floating_point()])


class Factors(nn.Module):
    """Stands for a channel dropout: in training it multiplies channels by known factors (B, C)."""

    def __init__(self, factors: Tensor) -> None:
        super().__init__()
        self.factors = factors[:, :, None, None, None]

    def forward(self, features: Tensor) -> Tensor:
        return features * self.factors if self.training else features


class Recorded(nn.Module):
    """Stands for a network: whatever the images, the recorded logits."""

    def __init__(self, logits: Any) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Any:
        return self.logits
