"""Files that hold everything an interrupted run needs to go on as if nothing had happened.

Each is named by its iteration and by the digest of its bytes, `checkpoint-000150-1f3a….pt`, so that
a damaged one is known as such; the one before is kept for that case. Names alone decide which is
the newest: a clock that was set back changes nothing.
"""

import copy
import hashlib
import io
import logging
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from sgrs_core.files import write_bytes
from sgrs_core.methods.base import Method, not_finite

logger = logging.getLogger(__name__)


@dataclass
class Best:
    """The best checkpoint of one selection so far: mean Dice in [0, 1], iteration, weights."""

    dice: float
    iteration: int
    weights: dict[str, torch.Tensor]


@dataclass
class Costs:
    """What a run took, over all its starts; of a killed one, what its last checkpoint knew.

    starts: how many; one that was killed before its first checkpoint is not among them. machines:
    where, by what and with how many threads; a run that was moved has several. first_start: in
    seconds since 1970. work_seconds, gpu_seconds: at work, and that on a GPU. Time is never part of
    the training itself: it changes no weight.
    """

    starts: int = 0
    machines: list[str] = field(default_factory=list)
    first_start: float = 0.0
    work_seconds: float = 0.0
    gpu_seconds: float = 0.0

    def begin(self, machine: str) -> None:
        """Count a start, on this machine."""
        self.starts += 1
        if machine not in self.machines:
            self.machines.append(machine)
        self.first_start = self.first_start or time.time()
        self._noted = time.monotonic()

    def note_work(self, on_gpu: bool) -> None:
        """Add the time since the start or since this was called last."""
        before, self._noted = self._noted, time.monotonic()
        self.work_seconds += self._noted - before
        if on_gpu:
            self.gpu_seconds += self._noted - before

    def facts(self) -> dict[str, Any]:
        """What the record says. wall_seconds: from the first start until now, pauses included."""
        # A clock that was set back must not make the run shorter than its work.
        wall = max(time.time() - self.first_start, self.work_seconds)
        return {
            "starts": self.starts,
            "machines": self.machines,
            "wall_seconds": round(wall, 1),
            "gpu_seconds": round(self.gpu_seconds, 1),
        }


@dataclass
class Progress:
    """How far a run is. rows: the log's, one per logged iteration. seconds: spent training."""

    iteration: int = 0
    seconds: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Best] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)


FORMAT = 3  # of the files; one of another format is not gone on from
STAY = "good checkpoints of before, if there are any, stay"  # where values are not finite
NONE_YET = "there is none before it, the next start begins anew"
KEPT = 2  # the newest, and the one before
NAME = re.compile(r"checkpoint-(\d+)-([0-9a-f]+)\.pt")


def save(
    folder: Path,
    identity: dict[str, Any],
    method: Method,
    optimizers: list[Optimizer],
    progress: Progress,
) -> None:
    """Write a checkpoint whole or not at all, and keep the one before. identity: the run's.

    Raises FloatingPointError instead of saving weights that are not finite, and OSError, naming the
    file, where it cannot be written; in both cases the checkpoints that there were stay.
    """
    if name := not_finite(method.state_dict()):
        raise FloatingPointError(
            f"iteration {progress.iteration}: '{name}' is not finite after the update; "
            f"{STAY} in {folder}"
        )
    state = {
        "identity": {**identity, "checkpoint_format": FORMAT},
        "torch": str(torch.__version__),
        **_states(method, optimizers),
        **vars(progress),
        "best": {name: vars(best) for name, best in progress.best.items()},
        "costs": asdict(progress.costs),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    path = folder / f"checkpoint-{progress.iteration:06d}-{_digest(content)}.pt"
    try:
        write_bytes(path, content)
    except OSError as error:
        before = newest_first(folder)
        kept = f"{before[0].name} is kept, the next start goes on from it" if before else NONE_YET
        reason = f"{error.strerror}; {kept}"
        raise OSError(error.errno, reason, str(path)) from error
    for old in newest_first(folder)[KEPT:]:
        old.unlink()


def resume(
    folder: Path, identity: dict[str, Any], method: Method, optimizers: list[Optimizer]
) -> Progress:
    """Load the newest sound checkpoint, if there is one of this very run.

    A damaged one is removed, one that this version cannot read is set aside under another name;
    both with a warning in the log, and the one before is taken. Checkpoints of another identity
    (some setting was changed since) are removed too, and the run starts anew: its record could not
    describe a run of two settings.
    """
    wanted = {**identity, "checkpoint_format": FORMAT}
    first = copy.deepcopy(_states(method, optimizers))
    for path in newest_first(folder):
        content = path.read_bytes()
        if f"-{_digest(content)}." not in path.name:
            logger.warning("%s is damaged, its digest is not the one in its name: removed", path)
            path.unlink()
            continue
        try:
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            made_of = state["identity"] if "identity" in state else state["description"]
            if made_of != wanted:
                names = ", ".join(changed_keys(made_of, wanted))
                logger.warning("%s was made with another %s: starting anew", path, names)
                break
            _load_states(state, method, optimizers)
            best = {name: Best(**saved) for name, saved in state["best"].items()}
            costs = Costs(**state["costs"])
            progress = Progress(state["iteration"], state["seconds"], state["rows"], best, costs)
        except (MemoryError, torch.OutOfMemoryError):
            raise  # says nothing of the checkpoint
        except Exception as error:  # whatever other versions wrote
            aside = path.with_name(f"{path.name}.unreadable")
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            logger.warning("%s cannot be gone on from (%s): now %s", path, reason, aside.name)
            path.rename(aside)
            _load_states(first, method, optimizers)
            continue
        logger.info("going on after iteration %d of %s", progress.iteration, path)
        if state["torch"] != torch.__version__:
            logger.warning(
                "it was made by torch %s and is gone on from by torch %s: the run may differ in "
                "its last digits from one that was not interrupted",
                state["torch"], torch.__version__,
            )  # fmt: skip
        return progress
    for path in newest_first(folder):
        path.unlink()
    return Progress()


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """The keys whose values differ, those of groups as `training.patch_size`."""
    for key, value in now.items():
        if isinstance(value, Mapping) and isinstance(before.get(key), Mapping):
            yield from (f"{key}.{below}" for below in changed_keys(before[key], value))
        elif before.get(key) != value:
            yield key


def _states(method: Method, optimizers: list[Optimizer]) -> dict[str, Any]:
    """All that training changes."""
    return {
        "method": method.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }


def _load_states(state: dict[str, Any], method: Method, optimizers: list[Optimizer]) -> None:
    method.load_state_dict(state["method"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the one of the highest iteration first."""
    found = [(match, path) for path in folder.glob("*.pt") if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda one: int(one[0][1]), reverse=True)]


def _digest(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
