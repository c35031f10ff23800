"""BraTS2019 as its organisers distribute it: NIfTI files, FLAIR and tumour classes 1, 2 and 4.

One folder per patient in HGG or LGG. Only the FLAIR image is used; every class is foreground.
"""

from pathlib import Path

from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.images import check_grids
from sgrs_core.data.preprocessing.common import prepare_brats
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.reading import foreground_of, provenance, to_volume, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.originals import brats2019_files

CLASSES = (1, 2, 4)


def prepare(root: Path, scan: str) -> Volume:
    """Crop to the brain, clip the brightest voxels and z-score one scan; see `prepare_brats`.

    root: the folder with HGG and LGG. Raises FileNotFoundError and ValueError, naming the file or
    the scan, for a missing or damaged file, two grids, other classes, no brain, or a constant
    image.
    """
    files = brats2019_files(root, scan)
    flair, segmentation = read_scan(files[0]), read_label(files[1])
    check_grids(flair, segmentation, scan, (files[0].name, files[1].name))
    tumour = foreground_of(segmentation.array, CLASSES, files[1], "the organisers'")
    # The image keeps its file's number type: the histogram that clips it depends on it.
    with with_name(scan):
        prepared = prepare_brats(flair.array, tumour)
        check_modality(flair, "brats2019")
    done = "BraTS2019: crop to the brain, clip at the 0.999 quantile, z-score of voxels > 0"
    return to_volume(prepared, flair, provenance(files, done))
