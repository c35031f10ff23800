"""Masks of many scans, one after the other or side by side in processes of their own."""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import TypeVar

import torch
from tqdm import tqdm

from sgrs_core.evaluation.folders import is_prepared
from sgrs_core.evaluation.mask_maker import MaskMaker, Outcome
from sgrs_core.evaluation.prediction import ModelFile, Predictor

logger = logging.getLogger(__name__)
Step = TypeVar("Step")


def make_masks(
    model: ModelFile, pairs: Sequence[tuple[Path, Path]], overwrite: bool, jobs: int | None
) -> Iterator[Outcome]:
    """The outcome of each pair of a scan and its mask, as they come.

    jobs: processes; None is one for each GPU, and one without. A warning says what a user should
    know about the model. Raises OSError and ValueError as Predictor.from_file does.
    """
    predictor = Predictor.from_file(model)
    if (text := predictor.warning()) and not all(is_prepared(scan) for scan, _ in pairs):
        logger.warning("%s", text)
    devices = devices_for(predictor.device, jobs)[: len(pairs)]
    if len(devices) > 1:
        return _side_by_side(partial(_processes, model, overwrite), devices, pairs)
    return _one_by_one(MaskMaker(predictor, model.digest(), overwrite), pairs)


def devices_for(device: torch.device, jobs: int | None) -> list[str]:
    """A device for each process: of GPUs each one, for two on one would share its memory."""
    if device.type == "cpu":
        return ["cpu"] * (jobs or 1)
    gpus = torch.cuda.device_count()
    return [f"cuda:{gpu}" for gpu in range(min(jobs or gpus, gpus))]


def _one_by_one(maker: MaskMaker, pairs: Sequence[tuple[Path, Path]]) -> Iterator[Outcome]:
    """Outcomes from this process, with a bar for the batches of windows of each scan."""
    for number, (scan, mask) in enumerate(pairs, start=1):
        name = f"{number}/{len(pairs)} {scan.name}"
        yield maker.make(scan, mask, partial(progress_bar, name))


def _side_by_side(
    processes: Callable[[Sequence[str]], ProcessPoolExecutor],
    devices: Sequence[str],
    pairs: Sequence[tuple[Path, Path]],
) -> Iterator[Outcome]:
    """Outcomes from a pool of processes, one for each device, with a bar for the scans.

    Where a process is killed, as for want of memory, its pool ends. Then each scan that is left
    gets a process of its own, so that only the one that has it killed stays without a mask.
    """
    with progress_bar("scans", pairs) as bar:
        left = []
        with processes(devices) as executor:
            futures = {executor.submit(_make, *pair): pair for pair in pairs}
            try:
                for future in as_completed(futures):
                    if isinstance(future.exception(), BrokenProcessPool):
                        left.append(futures[future])
                    else:
                        bar.update()
                        yield future.result()
            finally:  # after Ctrl-C, nothing is begun anew
                executor.shutdown(wait=False, cancel_futures=True)
        for scan, mask in left:
            with processes(devices[:1]) as executor:
                try:
                    outcome = executor.submit(_make, scan, mask).result()
                except BrokenProcessPool:
                    text = f"{scan}: its process was killed; is there memory enough?"
                    outcome = Outcome(scan, mask, text, is_error=True)
            bar.update()
            yield outcome


def _processes(model: ModelFile, overwrite: bool, devices: Sequence[str]) -> ProcessPoolExecutor:
    """Processes that each load the model, onto a device that no other one has."""
    context = multiprocessing.get_context("spawn")  # CUDA does not outlive a fork
    free = context.SimpleQueue()
    for device in devices:
        free.put(device)
    threads = max(torch.get_num_threads() // len(devices), 1)
    return ProcessPoolExecutor(len(devices), context, _start, (model, free, overwrite, threads))


_maker: MaskMaker | None = None  # of a process of a pool


def _start(model: ModelFile, free: "SimpleQueue[str]", overwrite: bool, threads: int) -> None:
    """Make a process of a pool ready for `_make`."""
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends with the first process, without a word
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    predictor = Predictor.from_file(model._replace(device=free.get()))
    _maker = MaskMaker(predictor, model.digest(), overwrite)


def _end_with_parent() -> None:
    """A pool's process waits for work without end, even where nobody is left to give it any."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(scan: Path, mask: Path) -> Outcome:
    assert _maker is not None
    return _maker.make(scan, mask)


def progress_bar(name: str, steps: Iterable[Step]) -> "tqdm[Step]":
    """A bar for these steps on standard error, where that is a terminal."""
    return tqdm(steps, name, disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False)
