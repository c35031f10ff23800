"""The training loop, and what it needs to go on after every interruption."""

from sgrs_core.training.loop import Trained, take_step, train

__all__ = ["Trained", "take_step", "train"]
