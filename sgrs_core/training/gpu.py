"""Graphics cards: every job a card of its own.

A card is held by a lock that the operating system releases when the process ends, however it ends.
Cards are known by their UUIDs, because numbers depend on who counts.
"""

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0


def card_for(device: str, config: Mapping[str, Any]) -> AbstractContextManager[str | None]:
    """`held_card` for a run whose `device` setting is not `cpu`, in an experiment's `config`.

    `runs_per_card` is read from there rather than handed on as a rule's parameter, because another
    value must not train everything anew.
    """
    return nullcontext() if device == "cpu" else held_card(config.get("runs_per_card", 1))


@contextmanager
def held_card(runs_per_card: int = 1) -> Iterator[str | None]:
    """Hold one of the cards this process may see, and let CUDA see that one alone.

    Waits, saying so in the log, while each card has `runs_per_card` holders; the card with the
    fewest is taken. Yields its UUID; None where there is no card, and then nothing is changed. To
    be entered before CUDA is first used. A restriction from outside (a scheduler's
    CUDA_VISIBLE_DEVICES) is kept to.
    """
    cards = visible_cards()
    if not cards:
        yield None
        return
    lock, card = _wait_for_a_slot(cards, runs_per_card)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = card
    logger.info("card %s", card)
    try:
        yield card
    finally:
        lock.release()
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def visible_cards() -> list[str]:
    """UUIDs of the cards that this process may use, in their order; none without nvidia-smi."""
    installed = _installed_cards()
    allowed = os.environ.get(VISIBLE)
    if allowed is None:
        return list(installed.values())
    names = [name.strip() for name in allowed.split(",") if name.strip()]
    return [installed.get(name, name) for name in names]


def _installed_cards() -> dict[str, str]:
    """UUID by number, as the driver's tool lists them."""
    question = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    lines = [line.split(",") for line in answer.splitlines() if "," in line]
    return {index.strip(): uuid.strip() for index, uuid in lines}


def _wait_for_a_slot(cards: list[str], runs_per_card: int) -> tuple[FileLock, str]:
    # First slots of all cards before second slots of any.
    places = [(slot, card) for slot in range(runs_per_card) for card in cards]
    folder = Path(tempfile.gettempdir()) / f"sgrs-cards-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    told = False
    while True:
        for slot, card in places:
            lock = FileLock(folder / f"{card.replace('/', '-')}.{slot}")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return lock, card
        if not told:
            logger.warning("all cards are taken (%s); waiting for one", ", ".join(cards))
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)
