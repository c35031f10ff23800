"""What all tests share."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: tests run side by side

import pytest
from hypothesis import settings

from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings

settings.register_profile("untimed", deadline=None)  # how fast is for benchmarks to say
settings.load_profile("untimed")


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
