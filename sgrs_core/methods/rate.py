"""Learning rates that change during a run."""

from collections.abc import Iterable

from torch.optim import Optimizer


def set_learning_rate(optimizers: Iterable[Optimizer], rate: float) -> None:
    """Let the next steps use this rate; checkpoints keep it with the optimisers' state."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
