"""What the scripts of all figures that show scans do."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from sgrs_core.experiment.settings import Slices
from sgrs_core.log import log_to
from sgrs_core.reporting.figures.cases import Case, read_cases
from sgrs_core.reporting.figures.style import save

if TYPE_CHECKING:
    from snakemake.script import Snakemake


def draw_scans(snakemake: "Snakemake", draw: Callable[[list[Case], Slices | None], Figure]) -> None:
    """Read the cases, have them drawn with the slices wanted, and save the figure."""
    log_to(snakemake.log[0])
    volumes = [Path(file) for file in snakemake.input.volumes]
    cases = read_cases(snakemake.params.lines, volumes, **snakemake.params.case)
    slices = snakemake.params.slices
    figure = draw(cases, Slices(**slices) if slices else None)
    save(figure, [Path(path) for path in snakemake.output])
