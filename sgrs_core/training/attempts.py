"""The starts of one run: how many it took, and the time they cost.

A file beside the checkpoints remembers them, so that a run which was killed and started again ends
with the whole bill. Time is never part of the training itself: it changes no weight.
"""

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from sgrs_core.files import write_text

logger = logging.getLogger(__name__)

FILE = "attempts.json"


@dataclass
class Attempt:
    """One start. started: when, in seconds since 1970. seconds: at work, until the last note."""

    started: float
    seconds: float
    cuda: bool


class Attempts:
    """All starts of a run so far, the last one being at work.

    whole: False where starts before this one are not known, nor then what they cost.
    """

    def __init__(
        self,
        path: Path,
        description: dict[str, Any],
        earlier: list[Attempt],
        whole: bool,
        cuda: bool,
    ) -> None:
        self.path = path
        self.description = description
        self.whole = whole
        self.all = [*earlier, Attempt(time.time(), 0.0, cuda)]
        self._begun = time.monotonic()

    @classmethod
    def begin(
        cls, folder: Path, description: dict[str, Any], device: torch.device, resumed: bool
    ) -> Self:
        """Note a start. resumed: whether it goes on from a checkpoint, so that there was another.

        Starts of another description, some setting was changed since, are not this run's.
        """
        path = folder / FILE
        noted = _read(path, description)
        earlier, whole = noted or ([], not resumed)
        if resumed and noted is None:
            logger.warning("%s: earlier starts are not known, nor what they cost", path)
        attempts = cls(path, description, earlier, whole, device.type == "cuda")
        attempts.note()
        return attempts

    def note(self) -> None:
        """Remember the time worked so far; a killed process loses what came after its last note."""
        self.all[-1].seconds = time.monotonic() - self._begun
        state = {
            "run": self.description,
            "whole": self.whole,
            "attempts": [asdict(attempt) for attempt in self.all],
        }
        write_text(self.path, json.dumps(state, indent=2) + "\n")

    def facts(self) -> dict[str, int | float | None]:
        """What the record says; None where starts are not known.

        starts: how many. wall_seconds: from the first one until now, waiting and lost work
        included. gpu_seconds: at work on a CUDA device, lost work included as far as it was noted.
        """
        if not self.whole:
            return {"starts": None, "wall_seconds": None, "gpu_seconds": None}
        worked = sum(attempt.seconds for attempt in self.all)
        wall = time.time() - self.all[0].started
        return {
            "starts": len(self.all),
            # A clock that was set back must not make the run shorter than its work.
            "wall_seconds": round(max(wall, worked), 1),
            "gpu_seconds": round(sum(one.seconds for one in self.all if one.cuda), 1),
        }


def _read(path: Path, description: dict[str, Any]) -> tuple[list[Attempt], bool] | None:
    """The starts noted for this description, and whether they are all; None without any."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["run"] != description:
            return None
        return [Attempt(**attempt) for attempt in state["attempts"]], state["whole"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("%s: not readable (%s)", path, error)
        return None
