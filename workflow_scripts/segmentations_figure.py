"""Draw predictions beside ground truth, for the median case of each number of labelled scans."""

from pathlib import Path

import pandas

from sgrs_core.data.images import in_patient_axes
from sgrs_core.data.nifti import read_nifti
from sgrs_core.data.volumes import read_volume
from sgrs_core.figures.segmentations import Case, Panel, draw_segmentations, median_case
from sgrs_core.figures.style import save
from sgrs_core.log import log_to


def case_of(labelled, lines, files):
    """The scan with the median Dice, averaged over the methods shown."""
    scores = [pandas.read_csv(line["scores"], index_col="scan")["dice"] for line in lines]
    scan = median_case(pandas.concat(scores, axis=1).mean(axis=1).to_dict())
    volume = read_volume(files[scan])
    arrays = [volume.image, volume.label == 1]
    arrays += [
        read_nifti(Path(line["predictions"]) / f"{scan}.nii.gz").array == 1 for line in lines
    ]
    upright = [in_patient_axes(array, volume.spacing, volume.direction) for array in arrays]
    (image, spacing), (label, _), *predictions = upright
    panels = [
        Panel(line["title"], prediction)
        for line, (prediction, _) in zip(lines, predictions, strict=True)
    ]
    return Case(f"{labelled} labelled\n{scan}", image, label, panels, spacing)


def main(snakemake):
    log_to(snakemake.log[0])
    files = {Path(file).stem: Path(file) for file in snakemake.input.volumes}
    lines = snakemake.params.lines
    cases = [
        case_of(labelled, [line for line in lines if line["labelled"] == labelled], files)
        for labelled in dict.fromkeys(line["labelled"] for line in lines)
    ]
    save(draw_segmentations(cases), [Path(path) for path in snakemake.output])


if "snakemake" in globals():
    main(globals()["snakemake"])
