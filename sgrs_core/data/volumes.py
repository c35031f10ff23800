"""Prepared scans, one h5 file each: what training reads. Images of other formats: `formats`.

The community's exchange format: datasets `image` (float32, z-scored) and `label` (uint8, 0 or 1),
both (X, Y, Z) and compressed by gzip, as the public mirrors hold them. A scan that nobody labelled
has no `label`; where one is needed, it is missed by name. Files written here also carry their
geometry and their provenance as attributes; files without them (a mirror's) are read with the
geometry given.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from sgrs_core.data.formats.geometry import IDENTITY_DIRECTION, PlacedImage, on_grid
from sgrs_core.data.formats.values import check_image, check_shapes
from sgrs_core.files import write_bytes
from sgrs_core.log import prefix_errors

Axes = Literal["xyz", "zyx"]

SAME_SPACING = 0.01  # a share: voxels' sides that differ by less are of one length


@dataclass(frozen=True)
class Volume:
    """A scan and its mask on one grid.

    image: (X, Y, Z) float32. label: (X, Y, Z) uint8, 0 or 1; None where there is none. spacing: mm
    per voxel along x, y, z. origin: mm, position of voxel (0, 0, 0). direction: 3x3 cosines,
    row-major, as in SimpleITK.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY_DIRECTION
    provenance: Mapping[str, str] = field(default_factory=dict)

    def placed(self, array: NDArray[Any]) -> PlacedImage:
        """An array of the scan's shape at the scan's place."""
        return PlacedImage(array, self.spacing, self.origin, self.direction)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the label is foreground, (X, Y, Z). Raises ValueError where there is no label."""
        if self.label is None:
            raise ValueError("it has no label, and one is needed")
        return self.label == 1


def read_volume(
    path: Path, spacing: tuple[float, ...] = (1.0, 1.0, 1.0), axes: Axes = "xyz"
) -> Volume:
    """Read and check one prepared scan; `spacing` (mm along x, y, z) where the file carries none.

    axes: the order in which a file that others prepared stores them; ours say nothing but xyz.
    Raises FileNotFoundError for a missing file and ValueError, naming the file and what to do,
    for one that is not h5, is cut off, lacks an image, or holds values no training should see.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: scan not found; is its name in the split list right?")
    try:
        with h5py.File(path, "r") as file, np.errstate(over="ignore"):  # infinite then, and refused
            check_own(file)
            if file["image"].dtype.kind == "c":
                raise TypeError("its values are complex")
            image = np.asarray(file["image"], dtype=np.float32)
            label = np.asarray(file["label"]) if "label" in file else None
            described = _described(file.attrs, spacing)
            has_place = "spacing" in file.attrs
    except (OSError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: not a readable h5 file with a dataset 'image', and 'label' where it is "
            f"labelled ({error}); "
            "it may be cut off: delete it and prepare or download it again"
        ) from error
    check_arrays(image, label, str(path))
    if axes == "zyx" and not has_place:
        image, label = np.ascontiguousarray(image.T), None if label is None else label.T
    label = None if label is None else label.astype(np.uint8, order="C")
    return Volume(image, label, **described)


def check_own(file: h5py.File) -> None:
    """Raise TypeError where a dataset's values lie elsewhere than in the file itself."""
    for name in ("image", "label"):
        link = file.get(name, getlink=True)
        if link is None:
            continue
        if not isinstance(link, h5py.HardLink):
            raise TypeError(f"{name!r} is a link, which may lead to another file")
        if file[name].external or file[name].is_virtual:
            raise TypeError(f"the values of {name!r} lie in another file")


def read_description(path: Path) -> dict[str, Any]:
    """The fields of a prepared scan but image and label, which are not read."""
    with h5py.File(path, "r") as file:
        return _described(file.attrs)


def _described(
    attributes: Mapping[str, Any], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
) -> dict[str, Any]:
    """What a file says beside image and label. Raises TypeError for what it cannot say."""
    place = {"spacing": spacing, "origin": (0.0, 0.0, 0.0), "direction": IDENTITY_DIRECTION}
    described: dict[str, Any] = {}
    for name, default in place.items():
        try:
            described[name] = tuple(map(float, attributes.get(name, default)))
        except (TypeError, ValueError) as error:
            raise TypeError(f"its attribute {name!r} is no list of numbers: {error}") from error
    try:
        described["provenance"] = dict(json.loads(attributes.get("provenance", "{}")))
    except (TypeError, ValueError) as error:
        raise TypeError(f"its attribute 'provenance' is no JSON: {error}") from error
    return described


def write_volume(path: Path, volume: Volume) -> None:
    """Check and write one prepared scan; the file appears whole or not at all."""
    check_arrays(volume.image, volume.label, str(path))
    check_place(path, volume)
    # In memory first: HDF5 tells a full disk in many lines that name no file.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        for name, array in (("image", volume.image), ("label", volume.label)):
            if array is not None:
                file.create_dataset(name, data=array, compression="gzip", compression_opts=1)
        file.attrs["spacing"] = volume.spacing
        file.attrs["origin"] = volume.origin
        file.attrs["direction"] = volume.direction
        file.attrs["provenance"] = json.dumps(dict(volume.provenance), sort_keys=True)
        file.flush()
        content = file.id.get_file_image()
    write_bytes(path, content)


def check_place(path: Path, volume: Volume) -> None:
    """Raise ValueError, naming the file, where a volume's numbers place it on no grid."""
    on_grid(volume.placed(volume.image), path, "the prepared scan")


def check_arrays(image: NDArray[np.floating], label: NDArray[np.generic] | None, name: str) -> None:
    """Raise ValueError, naming the scan, unless image and label can be trained on."""
    with prefix_errors(f"{name}: "):
        check_shapes(image, label)
    if 0 in image.shape:
        raise ValueError(f"{name}: it has no voxels, its shape is {image.shape}")
    check_image(image, name)
    if label is None:
        return
    values = np.unique(label)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"{name}: label values {values[:6].tolist()}, allowed are 0 and 1; "
            "map the classes to foreground before preparing the scan"
        )
