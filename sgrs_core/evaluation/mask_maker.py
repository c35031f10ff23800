"""One scan's mask, made once: its header says which model and scan it was made from.

So a second start leaves what is there alone, and never takes another model's mask for this one's.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sgrs_core.data.formats.dicom import dicom_files
from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.image_files import note_of, read_label, read_scan, write_image
from sgrs_core.data.formats.quiet import check_name
from sgrs_core.data.formats.values import looks_like_label
from sgrs_core.data.volumes import read_volume
from sgrs_core.evaluation.folders import NAMES, is_prepared
from sgrs_core.evaluation.inference import Watch
from sgrs_core.evaluation.prediction import LENGTH, Predictor, describe
from sgrs_core.log import in_one_line

OURS = "sgrs "  # how the notes of our masks begin


class Outcome(NamedTuple):
    """What became of a scan: its mask in words, and whether it was made now; or an error.

    is_like_label: whether the scan has a label's values. is_in_the_way: whether the error is a file
    at the mask's place that is another's.
    """

    scan: Path
    mask: Path
    text: str
    is_new: bool = False
    is_error: bool = False
    is_like_label: bool = False
    is_in_the_way: bool = False


class OtherFileError(FileExistsError):
    """A mask's place holds a file that is not this mask."""


@dataclass
class MaskMaker:
    """Makes masks of scans. model: its digest, for masks to bear."""

    predictor: Predictor
    model: str
    overwrite: bool = False

    def make(self, scan: Path, mask: Path, watch: Watch = iter) -> Outcome:
        """Write a scan's mask unless it is there; raises nothing, whatever the scan is."""
        try:
            check_name(mask)
            image, predict = self._read(scan)
            note, is_label = f"{OURS}{self.model} {digest_of(image)}", looks_like_label(image.array)
            if mask.exists() and not self.overwrite and is_made(mask, note):
                text = "skipped, this model's mask of this scan is there"
                return Outcome(scan, mask, text, is_like_label=is_label)
            found = predict(watch)
            write_image(mask, found, note)
        except Exception as error:  # whatever one scan raises, the others are predicted
            text, is_other = in_one_line(error, scan, mask), isinstance(error, OtherFileError)
            return Outcome(scan, mask, text, is_error=True, is_in_the_way=is_other)
        return Outcome(scan, mask, describe(found), is_new=True, is_like_label=is_label)

    def _read(self, scan: Path) -> tuple[PlacedImage, Callable[[Watch], PlacedImage]]:
        """A scan, and what predicts it."""
        if scan.is_dir() and not dicom_files(scan):
            raise FileNotFoundError(
                f"{scan}: no scan in this folder; allowed are files {', '.join(NAMES)}, and "
                "folders of DICOM series"
            )
        if not is_prepared(scan):
            image = read_scan(scan)
            if not scan.is_dir() and note_of(scan).startswith(OURS):
                raise ValueError(f"{scan}: a mask that was predicted here, not a scan")
            return image, partial(self.predictor.predict, image)
        # A file that others prepared does not say how large its voxels are, nor which way round.
        axes = self.predictor.input_spec.axes
        volume = read_volume(scan, self.predictor.prepared_spacing, axes)
        return volume.placed(volume.image), partial(self.predictor.predict_prepared, volume)


def digest_of(image: PlacedImage) -> str:
    """Of voxels and their place, whatever the file they are stored in."""
    array, *place, _ = image
    digest = hashlib.sha256(repr((array.shape, array.dtype.str, place)).encode())
    digest.update(np.ascontiguousarray(array.T).data)
    return digest.hexdigest()[:LENGTH]


def is_made(mask: Path, note: str) -> bool:
    """Whether a file is the whole mask that its note says; False where such a mask is damaged.

    Raises OtherFileError for any other file: it is not ours to replace.
    """
    found = note_of(mask)
    if found != note and mask.stat().st_size:
        what = "of another model, scan or stride" if found.startswith(OURS) else "of unknown origin"
        raise OtherFileError(f"{mask}: there already, and {what}; --overwrite replaces it")
    try:
        read_label(mask)
    except ValueError:
        return False
    return True
