"""Predicting scans of no data set: from a model file and a scan to a mask in its geometry."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import SimpleITK
import torch
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import READERS, WRITERS, suffix_of
from sgrs_core.data.formats.images import from_itk, oriented_as, to_itk
from sgrs_core.data.preprocessing.input_spec import InputSpec
from sgrs_core.data.preprocessing.new_scan import NewScan, rounded
from sgrs_core.data.volumes import SAME_SPACING, Volume
from sgrs_core.evaluation.folders import name_of
from sgrs_core.evaluation.inference import Watch, segment
from sgrs_core.evaluation.model import load_model
from sgrs_core.evaluation.scoring import mask_of, predict_score
from sgrs_core.experiment.run import Run
from sgrs_core.experiment.settings import Triple, check_stride
from sgrs_core.files import sha256_of
from sgrs_core.methods import is_changed
from sgrs_core.methods.base import Method
from sgrs_core.methods.precision import choose_device, place

OTHERS = (*READERS, ".gz", ".img", ".hdr", ".dcm")  # names of files, not of folders

LENGTH = 32  # characters of a digest

CENTRED = "trained on crops around the label, predicts whole scans: look at the masks"
UNKNOWN_ORIENTATION = "the axes of its training's scans are not known, %s is assumed"
CHANGED = "the file of %s has changed since the training"


def model_file(path: Path, selection: str) -> Path:
    """The model that a path means: itself, or the one in a run's folder.

    Older runs have one for each selection. Raises FileNotFoundError, saying what to give.
    """
    if path.is_dir():
        for candidate in (path / "model.pt", path / selection / "model.pt"):
            if candidate.is_file():
                return candidate
        raise FileNotFoundError(
            f"{path}: no model.pt in this folder; give a run's folder, "
            "results/<experiment>/<data set>/labelled-<N>/<variant>/seed-<S>, or a model.pt"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file or folder; has the run finished?")
    return path


def mask_files(scans: Sequence[Path], output: Path) -> list[Path]:
    """Where each scan's mask goes: `output` for one scan, or files in it named as the scans are.

    Raises ValueError where a mask would replace a scan, or the file's suffix is none that is
    written. Two scans may share one: see `shared_names`.
    """
    named = suffix_of(output, OTHERS) or (len(scans) == 1 and output.suffix)
    is_file = not output.is_dir() and bool(output.is_file() or named)
    if is_file and len(scans) > 1:
        raise ValueError(f"{output}: a file, but {len(scans)} scans need a folder for their masks")
    if is_file and not suffix_of(output):
        raise ValueError(f"{output}: allowed are a folder, and files {', '.join(WRITERS)}")
    masks = [output if is_file else output / f"{name_of(scan)}.nii.gz" for scan in scans]
    inputs = {scan.resolve() for scan in scans}
    for mask in masks:
        if mask.resolve() in inputs:
            raise ValueError(f"{mask}: the mask would replace a scan; choose another place")
    return masks


def shared_names(scans: Sequence[Path], masks: Sequence[Path]) -> dict[Path, list[Path]]:
    """The scans of each mask that several would have to share."""
    sharing: dict[Path, list[Path]] = {}
    for scan, mask in zip(scans, masks, strict=True):
        sharing.setdefault(mask, []).append(scan)
    return {mask: several for mask, several in sharing.items() if len(several) > 1}


class ModelFile(NamedTuple):
    """A model.pt, and how it is to predict.

    device, stride (in voxels): None is the run's own. selection: of those that the run has weights
    of.
    """

    file: Path
    device: str | None = None
    stride: Triple | None = None
    selection: str = "last"

    def digest(self) -> str:
        """The same for models that give the same masks."""
        what = f"{sha256_of(self.file)} {self.selection} {self.stride}"
        return hashlib.sha256(what.encode()).hexdigest()[:LENGTH]


@dataclass
class Predictor:
    """A model on its device, ready for scans. stride: voxels; None is the run's own.

    notes: what a user should know of the device.
    """

    run: Run
    method: Method
    input_spec: InputSpec
    device: torch.device
    stride: Triple | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        place(self.method, self.device, self.run.training)

    @classmethod
    def from_file(cls, model: ModelFile) -> Self:
        """Load a model.pt.

        Raises ValueError, naming the file, where it does not hold all that is needed, and naming
        the stride, where it is none.
        """
        file, device, stride, selection = model
        run, method, input_spec = load_model(file, selection)
        check_stride("stride", stride or run.inference.stride, run.training.patch)
        if input_spec is None:
            raise ValueError(
                f"{file}: lacks how its training scans were prepared, as older models do, so a new "
                "scan cannot be prepared alike; train the run again"
            )
        notes: list[str] = []
        chosen = choose_device(device or run.training.device, notes.append)
        return cls(run, method, input_spec, chosen, stride, notes)

    def warning(self) -> str:
        """What a user should know about its masks of new scans, if anything, in one line."""
        texts = list(self.notes)
        if self.input_spec.is_around_the_label:
            texts.append(CENTRED)
        if not self.input_spec.orientation_known:
            texts.append(UNKNOWN_ORIENTATION % self.input_spec.orientation)
        if is_changed(self.run):
            texts.append(CHANGED % self.run.method)
        return "; ".join(texts)

    def predict(self, image: PlacedImage, watch: Watch = iter) -> PlacedImage:
        """A scan's mask, uint8 0 or 1, on the scan's own grid.

        watch: see `foreground_score`; asked twice where a scan is looked at twice.
        Raises ValueError where the scan cannot be prepared as the training's scans were.
        """
        scan = NewScan(image, self.input_spec)
        seen = scan.first_input()
        answer = seen._replace(array=self._look(seen.array, watch))
        if scan.spec.is_scored_around_the_label and segment(answer.array).any():
            seen = scan.second_input(segment(answer.array))
            answer = seen._replace(array=self._look(seen.array, watch))
        mask = mask_of(self.run, on_grid_of(scan, answer)).astype(np.uint8)
        stored = oriented_as(scan.oriented._replace(array=mask), image)
        return image._replace(array=stored.array)  # at its place to the last bit

    def predict_prepared(self, volume: Volume, watch: Watch = iter) -> PlacedImage:
        """The mask that the workflow gives a prepared scan; arguments as in `predict`.

        Raises ValueError where the scan was not prepared on the grid of the training's, or in
        another way.
        """
        spec = self.input_spec
        done = volume.provenance.get("preprocessing")
        if done and spec.preprocessing and done != spec.preprocessing:
            raise ValueError(
                f"prepared in another way ({done}) than the training's scans ({spec.preprocessing})"
            )
        if volume.provenance.get("downsample", "1") != str(spec.downsample) or (
            spec.spacing
            and not np.allclose(volume.spacing, self.prepared_spacing, rtol=SAME_SPACING, atol=0)
        ):
            raise ValueError(
                f"prepared with {rounded(volume.spacing)} mm, downsampled by "
                f"{volume.provenance.get('downsample', 1)}; the training's scans have "
                f"{rounded(self.prepared_spacing)} mm, downsampled by {spec.downsample}"
            )
        mask = mask_of(self.run, self._look(volume.image, watch)).astype(np.uint8)
        return volume.placed(mask)

    @property
    def prepared_spacing(self) -> tuple[float, ...]:
        """mm between the voxels of the training's prepared scans; 1 where they differ."""
        spec = self.input_spec
        return tuple(step * spec.downsample for step in spec.spacing or (1.0, 1.0, 1.0))

    def _look(self, image: NDArray[np.float32], watch: Watch) -> NDArray[np.float32]:
        stride = self.stride or self.run.inference.stride
        return predict_score(self.run, self.method.predict, image, stride, self.device, watch)


def on_grid_of(scan: NewScan, answer: PlacedImage) -> NDArray[np.float32]:
    """A network's answer on a scan's voxels, (X, Y, Z): linear between those the network saw.

    Beyond them, the nearest one's; where the network did not look, 0.
    """
    grid, everywhere = scan.oriented, scan.is_seen_whole
    if grid.array.shape == answer.array.shape and answer.spacing == grid.spacing and everywhere:
        return answer.array
    resampled = SimpleITK.Resample(
        to_itk(answer), to_itk(grid), useNearestNeighborExtrapolator=everywhere
    )
    return from_itk(resampled).array


def describe(mask: PlacedImage) -> str:
    """A mask in a few words: how many voxels, how many millilitres."""
    voxels = int(np.count_nonzero(mask.array))
    millilitres = voxels * float(np.prod(mask.spacing)) / 1000
    return f"{voxels} voxels, {millilitres:.1f} ml" if voxels else "nothing found"
