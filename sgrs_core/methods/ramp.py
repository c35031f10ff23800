"""The warm-up of the pseudo-label weight."""

import math

from sgrs_core.settings import TrainingSettings


def ramp_up(iteration: int, run: TrainingSettings) -> float:
    """w(t) = exp(-5 (1 - min(t, T) / T)^2), eq. 20, in [exp(-5), 1].

    As the released code counts: t in whole blocks of `ramp_block` iterations, T = t_warm =
    `ramp_iterations` in the same blocks.
    """
    warm_blocks = run.ramp_iterations // run.ramp_block
    elapsed = min(iteration // run.ramp_block, warm_blocks) / warm_blocks
    return math.exp(-5 * (1 - elapsed) ** 2)
