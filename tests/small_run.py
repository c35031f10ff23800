"""A run trained for some seconds on phantoms, as the workflow trains it."""

from pathlib import Path

from sgrs_core.data.preprocessing.input_spec import input_spec_of
from sgrs_core.data.preprocessing.to_h5 import prepare_original
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation.model import save_model
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import InferenceSettings, TrainingSettings
from sgrs_core.phantoms.la import write_phantom_la
from sgrs_core.training.loop import train

SHAPE = (40, 36, 20)
LEARNT_FROM = ("one", "two", "three")
NEW = "new"


def train_on_phantoms(folder: Path) -> Path:
    """Write phantoms to folder/raw and a run to folder/run; returns the run's folder."""
    for scan in (*LEARNT_FROM, NEW):
        write_phantom_la(folder / "raw", scan, SHAPE, seed=3)
    files = {scan: folder / f"{scan}.h5" for scan in LEARNT_FROM}
    for scan, file in files.items():
        prepare_original("la", folder / "raw", scan, {}, 1, file)
    training = TrainingSettings(
        iterations=80,
        patch=(16, 16, 16),
        base_filters=2,
        dropout=0.0,
        learning_rate=0.01,
        ramp_iterations=80,
        ramp_block=1,
        augmentation="none",
        channels_last=False,
        device="cpu",
        checkpoint_every=80,
    )
    inference = InferenceSettings((16, 16, 16), (16, 16, 16), 8)
    run = Run("vnet", {}, training, inference, 0, LEARNT_FROM, (), {"last": ()})
    trained = train(run, lambda scan: read_volume(files[scan]), folder / "unfinished")
    how = {"format": "la", "geometry": True, "downsample": 1, "nifti": {}}
    preparation = input_spec_of(how, list(files.values()))
    save_model(folder / "run/model.pt", run, trained.weights, preparation)
    return folder / "run"
