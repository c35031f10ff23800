"""The 2018 Atrial Segmentation Challenge as its organisers distribute it.

One folder per scan: `lgemri.nrrd` (late gadolinium-enhanced MRI, uint8) and `laendo.nrrd` (the
left atrium's cavity: 255, the rest: 0), both on one grid.
"""

from pathlib import Path

from sgrs_core.data.formats.image_files import read_label, read_scan
from sgrs_core.data.formats.images import check_grids
from sgrs_core.data.preprocessing.common import la_margins, prepare_la
from sgrs_core.data.preprocessing.modality import check_modality
from sgrs_core.data.preprocessing.reading import foreground_of, provenance, to_volume, with_name
from sgrs_core.data.volumes import Volume
from sgrs_core.experiment.originals import la_files

FOREGROUND = 255


def prepare(root: Path, scan: str) -> Volume:
    """Crop and z-score one scan; the margins follow from its name; see `prepare_la`.

    root: the folder of the scans' folders. Raises FileNotFoundError and ValueError, naming the
    file or the scan, for a missing or damaged file, two grids, label values other than 0 and 255,
    an empty label, or a constant image.
    """
    files = la_files(root, scan)
    image, label = read_scan(files[0]), read_label(files[1])
    check_grids(image, label, str(root / scan), (files[0].name, files[1].name))
    mask = foreground_of(label.array, (FOREGROUND,), files[1], "the challenge's")
    margins = la_margins(scan)
    with with_name(root / scan):
        check_modality(image, "la")
        prepared = prepare_la(image.array, mask, margins)
    done = "LA: z-score of the whole scan, crop in x and y"
    source = provenance(files, done, margins=" ".join(map(str, margins)))
    return to_volume(prepared, image, source)
