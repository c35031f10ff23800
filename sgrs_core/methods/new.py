"""What follows from a run alone: its first weights and its random numbers."""

import numpy as np
import torch

from sgrs_core.experiment.run import Run
from sgrs_core.methods import METHODS
from sgrs_core.methods.base import Method


def new_method(run: Run) -> Method:
    """The run's method at its first weights, which depend on the seed alone."""
    seed_everything(run.seed, 0)
    kind = METHODS[run.method]
    return kind(run.training, kind.Settings(**run.settings), len(run.labelled))


def seed_everything(seed: int, iteration: int) -> None:
    """Make all of torch's random numbers from here on a function of seed and iteration."""
    state = np.random.SeedSequence([seed, iteration]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state >> np.uint64(1)))  # manual_seed takes 63 bits everywhere
