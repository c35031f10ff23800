"""What all tests share."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side

import subprocess

import pytest
from hypothesis import settings

from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings

settings.register_profile("untimed", deadline=None)  # how fast is for benchmarks to say
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that at the end no worker is left alone with one.

    Of those that read the experiment `small`, one is the very first and makes it; the others are
    the last, so that nobody waits for it.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    readers = {item.path for item in items if "small" in getattr(item, "fixturenames", ())}
    maker = min(readers, default=None)

    def turn(item: pytest.Item) -> int:
        if item.path == maker:
            return 0
        return 2 if item.path in readers else 1 if item.path in slow else 3

    items.sort(key=turn)


@pytest.fixture
def tiny_training() -> TrainingSettings:
    """The smallest network and patch, for steps that take milliseconds."""
    return TrainingSettings(
        iterations=8,
        patch=(16, 16, 16),
        base_filters=2,
        ramp_iterations=4,
        ramp_block=1,
        checkpoint_every=3,
        log_every=2,
        selection_from=2,
        selection_every=2,
    )


@pytest.fixture
def tiny_inference() -> InferenceSettings:
    """Few windows."""
    return InferenceSettings((8, 8, 8), (16, 16, 16), 4)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
