"""Where the golden numbers lie: beside these tests, or in the folder named by SGRS_GOLDEN."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def golden() -> Callable[[str], dict[str, NDArray[Any]]]:
    """A function from a file's name without suffix to its arrays; each file is read once.

    Raises FileNotFoundError, naming the path, where the folder lacks the file.
    """
    folder = Path(os.environ.get("SGRS_GOLDEN") or Path(__file__).parent)

    @functools.cache
    def read(name: str) -> dict[str, NDArray[Any]]:
        with np.load(folder / f"{name}.npz") as arrays:
            return dict(arrays)

    return read
