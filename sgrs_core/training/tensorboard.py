"""TensorBoard's event files: a run's log while it is being written, for those who watch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Told of each row of the log; after a resume, first of those that the checkpoint holds.
OnRow = Callable[[Mapping[str, float]], object]


@contextmanager
def tensorboard_for(is_wanted: bool, folder: Path) -> Iterator[OnRow]:
    """What to tell of each row of the log, for an experiment with `tensorboard: true`.

    The new event file in `folder` has a curve for each of the log's columns, on disk row by row.
    Those of earlier starts are deleted first: what is left of them stands in the checkpoint's rows
    and is written again, so that no row is there twice. Raises RuntimeError where TensorBoard is
    not installed.
    """
    if not is_wanted:
        yield lambda row: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise RuntimeError(
            "tensorboard: true, but the package tensorboard cannot be imported "
            f"({error}); install it with: .venv/bin/pip install '.[tensorboard]', or set "
            "tensorboard: false"
        ) from None
    for earlier in folder.glob("events.out.tfevents.*"):
        earlier.unlink()
    writer = SummaryWriter(str(folder))

    def on_row(row: Mapping[str, float]) -> None:
        for name, value in row.items():
            if name != "iteration":
                writer.add_scalar(name, value, int(row["iteration"]))
        writer.flush()

    try:
        yield on_row
    finally:
        writer.close()
