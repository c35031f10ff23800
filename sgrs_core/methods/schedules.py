"""The warm-up of the pseudo-label weight."""

import math

from sgrs_core.experiment.settings import TrainingSettings


def ramp_up(iteration: int, run: TrainingSettings) -> float:
    """w(t) = exp(-5 (1 - min(t, T) / T)^2), eq. 20, in [exp(-5), 1], as public codes count.

    iteration: the counter where the public code reads it, which is before or after the counter's
    increase. t in whole blocks of `ramp_block` iterations, T = t_warm = `ramp_iterations` in the
    same blocks.
    """
    return weight_at((iteration // run.ramp_block) / (run.ramp_iterations // run.ramp_block))


def smooth_ramp_up(iteration: int, run: TrainingSettings) -> float:
    """The same as printed: t moves with each iteration."""
    return weight_at(iteration / run.ramp_iterations)


def weight_at(elapsed: float) -> float:
    """exp(-5 (1 - elapsed)^2), elapsed the share of the warm-up that is over, at most 1."""
    return math.exp(-5 * (1 - min(elapsed, 1.0)) ** 2)
