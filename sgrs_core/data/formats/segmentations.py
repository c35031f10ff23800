"""DICOM segmentation objects: a mask in one file, placed on the voxels of the CT it belongs to."""

from pathlib import Path

import numpy as np

from sgrs_core.data.formats.dicom import dicom_files
from sgrs_core.data.formats.geometry import PlacedImage
from sgrs_core.data.formats.images import oriented_as

TOLERANCE = 0.05  # voxels, of the corners: positions are text in both files


def segmentation_file(folder: Path) -> Path:
    """The one DICOM file below a folder. Raises FileNotFoundError or ValueError, naming it."""
    files = dicom_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder}: no DICOM segmentation there or below")
    if len(files) > 1:
        raise ValueError(f"{folder}: expected one DICOM segmentation, found {len(files)} files")
    return files[0]


def read_segmentation(file: Path, like: PlacedImage) -> PlacedImage:
    """The number of the segment that each voxel of `like` belongs to, 0 for none, as uint8.

    Slices without a segment may be absent from the file. Raises ValueError, naming the file, for
    what is no segmentation, is damaged, overlaps itself or does not lie on the voxels of `like`.
    """
    # Not needed where only other formats are read, and not in every environment.
    from highdicom.seg import segread

    try:
        volume = segread(file).get_volume(combine_segments=True, dtype=np.uint8)
    except Exception as error:  # highdicom and pydicom have many for damaged files
        raise ValueError(f"{file}: no readable DICOM segmentation ({error})") from error
    # highdicom's axes are slices, rows, columns: ours are x, y, z.
    cosines = tuple(volume.direction[:, ::-1].ravel())
    array, spacing = volume.array.transpose(2, 1, 0), volume.spacing[::-1]
    part = oriented_as(PlacedImage(array, spacing, volume.position, cosines), like)
    ends = [[0, 0, 0, 1], [*np.subtract(part.array.shape, 1), 1]]
    corners = (ends @ (np.linalg.inv(like.affine()) @ part.affine()).T)[:, :3]
    first, last = np.rint(corners).astype(int)
    inside = (first >= 0).all() and (last < like.array.shape).all()
    as_long = (last - first + 1 == part.array.shape).all()
    if not (inside and as_long and np.allclose(corners, [first, last], rtol=0, atol=TOLERANCE)):
        raise ValueError(f"{file}: does not lie on the voxels of its CT; is it another scan's?")
    whole = np.zeros_like(like.array, np.uint8)
    x, y, z = map(slice, first, last + 1)
    whole[x, y, z] = part.array
    return like._replace(array=whole)
