"""Cut the figure's first case into slices, for the report, and make meshes of its surfaces."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sgrs_core.files import write_text
from sgrs_core.log import log_to
from sgrs_core.reporting.figures.cases import read_cases
from sgrs_core.reporting.html.case import report_case

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def main(snakemake: "Snakemake") -> None:
    log_to(snakemake.log[0])
    labelled = snakemake.params.lines[0]["labelled"]
    lines = [line for line in snakemake.params.lines if line["labelled"] == labelled]
    volumes = [Path(file) for file in snakemake.input.volumes]
    (case,) = read_cases(lines, volumes, **snakemake.params.case)
    shown = report_case(case, with_surfaces=snakemake.params.surfaces)
    write_text(Path(snakemake.output.json), json.dumps(shown))


if "snakemake" in globals():
    main(globals()["snakemake"])
