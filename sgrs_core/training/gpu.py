"""GPUs: every job one of its own.

A GPU is held by a lock that the operating system releases when the process ends, however it ends.
GPUs are known by their UUIDs, because numbers depend on who counts.
"""

import logging
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

VISIBLE = "CUDA_VISIBLE_DEVICES"
SECONDS_BETWEEN_TRIES = 1.0


def gpu_for(device: str, runs_per_gpu: int) -> AbstractContextManager[str | None]:
    """`hold_gpu` for a run whose `device` setting is not `cpu`."""
    return nullcontext() if device == "cpu" else hold_gpu(runs_per_gpu)


@contextmanager
def hold_gpu(runs_per_gpu: int = 1) -> Iterator[str | None]:
    """Hold one of the GPUs this process may see, and let CUDA see that one alone.

    Waits, saying so in the log, while each GPU has `runs_per_gpu` holders; the GPU with the
    fewest is taken. Yields its UUID; None where there is no GPU, and then nothing is changed. To
    be entered before CUDA is first used. A restriction from outside (a scheduler's
    CUDA_VISIBLE_DEVICES) is kept to.
    """
    gpus = visible_gpus()
    if not gpus:
        yield None
        return
    lock, gpu = _wait_for_a_slot(gpus, runs_per_gpu)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = gpu
    logger.info("GPU %s", gpu)
    try:
        yield gpu
    finally:
        lock.release()
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before


def visible_gpus() -> list[str]:
    """UUIDs of the GPUs that this process may use, in their order; none without nvidia-smi."""
    installed = _installed_gpus()
    allowed = os.environ.get(VISIBLE)
    if allowed is None:
        return list(installed.values())
    # As CUDA reads the list: up to the first name that is no GPU's, such as -1.
    names = takewhile(
        lambda name: name in installed or name.startswith(("GPU-", "MIG-")),
        map(str.strip, allowed.split(",")),
    )
    return [installed.get(name, name) for name in names]


def _installed_gpus() -> dict[str, str]:
    """UUID by number, as the driver's tool lists them."""
    question = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(question, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    lines = [line.split(",") for line in answer.splitlines() if "," in line]
    return {index.strip(): uuid.strip() for index, uuid in lines}


def _wait_for_a_slot(gpus: list[str], runs_per_gpu: int) -> tuple[FileLock, str]:
    # First slots of all GPUs before second slots of any.
    places = [(slot, gpu) for slot in range(runs_per_gpu) for gpu in gpus]
    folder = Path(tempfile.gettempdir()) / f"sgrs-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    told = False
    while True:
        for slot, gpu in places:
            lock = FileLock(folder / f"{gpu.replace('/', '-')}.{slot}")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return lock, gpu
        if not told:
            logger.warning("all GPUs are taken (%s); waiting for one", ", ".join(gpus))
            told = True
        time.sleep(SECONDS_BETWEEN_TRIES)
