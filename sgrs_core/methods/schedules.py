"""How weights rise and learning rates fall over a run."""

import math
from collections.abc import Iterable


def sigmoid_rampup(current: float, length: float) -> float:
    """w = exp(-5 (1 - min(current / length, 1))^2): from exp(-5) to 1, and 1 from `length` on."""
    return math.exp(-5 * (1 - min(current / length, 1.0)) ** 2)


def step_decay(iteration: int, falls: Iterable[int], factor: float) -> float:
    """factor^(number of falls that lie before the iteration): 1 up to the first of them."""
    return float(factor ** sum(iteration > fall for fall in falls))
