"""`sgrs predict` and `sgrs evaluate`: a trained model on scans of one's own.

`sgrs check` and `sgrs status`: an experiment before and while it runs. `sgrs compare`: two runs.

python -m sgrs_core.command_line does the same. Every failure is one line on standard error.
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sgrs_core import __version__
from sgrs_core.evaluation.units import FACTORS, UNITS
from sgrs_core.experiment.settings import Selection
from sgrs_core.log import in_one_line

if TYPE_CHECKING:
    from sgrs_core.evaluation.mask_maker import Outcome

logger = logging.getLogger(__name__)
LONGEST_WAIT = 86_400.0  # seconds

PREDICT = """\
Segment scans with a trained model. Each mask (0 and 1) has its scan's own size, spacing, origin and
direction, whichever way the scan's axes are stored."""

HOW = """\
A scan is prepared as the model's training scans were, but for the crop around the label, which a
new scan does not have: it is predicted whole, and structures that no training crop showed may be
taken for the wanted one. Intensities: LA, z-score over the whole scan; BraTS2019, the brain's box,
clipped, z-score over what is above 0 (both as in training); Pancreas-CT and data sets of one's own
that are cropped, z-score over the voxels above the window's lower end (all, without a window), then
once more over the box around what was found, which is what training did with the label.
More: docs/predict.md"""

EVALUATE = """\
Dice, Jaccard, 95 % Hausdorff distance and average surface distance (mean from the mask's surface to
the label's) of a mask against a label on the same voxels; their axes may be stored differently.
Distances are in voxels, as published. Of two folders: of each mask against the label of its name (a
mask may have nnU-Net's _0000 after it), and the means."""


CHECK = """\
Read an experiment's files, of which later ones go over earlier ones, as Snakemake's --configfile
takes them, and say the first mistake or what is planned. Nothing is run and nothing written. Finds,
too, what Snakemake's own reader lets pass, stumbles over or is kept busy by without an end."""

STATUS = """\
Every run of an experiment: its state, how far it is, how long it still takes; what failed and which
log says why; how long all of it still takes. Files are only read: ask while Snakemake works, after
it was killed, or on another machine that sees the folder. More: docs/monitoring.md"""

COMPARE = """\
The paired differences, A minus B, of two runs' scores on the same test scans, with intervals and p
of no difference. A and B: a method's folder with its seeds' folders, a seed's folder, or a
scores.csv. Where both have several seeds, methods are compared, by the tables' bootstrap over seeds
and scans; else two networks, by a paired t test over scans. More: docs/tables.md"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says. Returns 0, 1 after a failure, as a shell does after a signal."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="sgrs: %(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except BrokenPipeError:  # nobody reads on, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest may go
        return 128 + signal.SIGPIPE
    except ImportError as error:
        return fail(f"{error}; pip install 'sgrs-core[workflow]' brings it")
    except Exception as error:
        return fail(error)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def parser() -> argparse.ArgumentParser:
    """All options of all commands."""
    top = argparse.ArgumentParser(prog="sgrs", description="Trained models on scans of one's own.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def options_of(
        command: Callable[[argparse.Namespace], int], summary: str, text: str, epilog: str = ""
    ) -> Callable[..., argparse.Action]:
        """A new command; what adds an option to it."""
        layout = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(
            command.__name__, help=summary, description=text, epilog=epilog, formatter_class=layout
        )
        one.set_defaults(command=command)
        return one.add_argument

    add = options_of(predict, "scans to masks", PREDICT, HOW)
    add(
        "scans", nargs="+", type=Path, metavar="SCAN",
        help=".nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, a prepared .h5, the folder of a DICOM "
        "series, or a folder of such files and folders",
    )  # fmt: skip
    add(
        "--model", required=True, type=Path, metavar="RUN",
        help="a run's folder (results/<experiment>/.../seed-<S>), or a model.pt",
    )  # fmt: skip
    add(
        "-o", "--output", required=True, type=Path, metavar="MASK",
        help="a .nii, .nii.gz or .nrrd file; of several scans a folder: <scan's name>.nii.gz there",
    )  # fmt: skip
    add(
        "--selection", choices=get_args(Selection), default="last",
        help="which checkpoint of a run's folder (default: last)",
    )  # fmt: skip
    add("--device", choices=("auto", "cpu", "cuda"), help="default: the run's own setting")
    add(
        "--stride", nargs=3, type=int, metavar=("X", "Y", "Z"),
        help="voxels between windows (default: the run's own); wider is faster and rougher",
    )  # fmt: skip
    add("--overwrite", action="store_true", help="replace masks that are there")
    add(
        "--jobs", type=positive, metavar="N",
        help="scans at a time, at most one on each GPU (default: one on each GPU, or one)",
    )  # fmt: skip

    add = options_of(evaluate, "masks against labels", EVALUATE)
    add("mask", type=Path, metavar="MASK", help="all but 0 is foreground")
    add("label", type=Path, metavar="LABEL", help="the ground truth, or a prepared .h5")
    add(
        "--foreground", nargs="+", type=int, default=(), metavar="VALUE",
        help="the label's values that count (default: all but 0)",
    )  # fmt: skip
    add(
        "--prepared-axes", choices=("xyz", "zyx"), default="xyz",
        help="how an .h5 that others prepared stores them (default: xyz; BraTS2019's: zyx)",
    )  # fmt: skip
    add("-o", "--output", type=Path, metavar="CSV", help="write the scores, as the workflow does")

    add = options_of(check, "an experiment's files", CHECK)
    add("files", nargs="+", type=Path, metavar="FILE", help="config/paper.yaml, say")

    add = options_of(status, "how far an experiment is", STATUS)
    add("results", type=Path, metavar="RESULTS", help="results/<experiment>")
    add(
        "--watch", nargs="?", type=seconds, const=5.0, metavar="SECONDS",
        help="show it again every so many seconds (5), until Ctrl-C",
    )  # fmt: skip

    add = options_of(compare, "two runs' scores", COMPARE)
    add("one", type=Path, metavar="RUN_A")
    add("other", type=Path, metavar="RUN_B")
    add(
        "-o", "--output", type=Path, metavar="CSV",
        help="write means and every scan's differences there",
    )  # fmt: skip
    add(
        "--selection", choices=get_args(Selection), default="last",
        help="which checkpoint's scores in a folder (default: last)",
    )  # fmt: skip
    add(
        "--scoring", choices=("published", "strict"), default="strict",
        help="how an empty prediction's distances count (default: strict, the image's diagonal)",
    )  # fmt: skip
    return top


def positive(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def seconds(text: str) -> float:
    """A number of seconds between two looks. Raises ArgumentTypeError for any other text."""
    with suppress(ValueError):
        if 0 < (number := float(text)) <= LONGEST_WAIT:
            return number
    raise argparse.ArgumentTypeError(f"{text!r}: allowed are seconds above 0, up to a day")


def predict(options: argparse.Namespace) -> int:
    """Predict scans; one that fails does not keep the others from it."""
    # Here, so that --help need not wait for torch and SimpleITK.
    from sgrs_core.evaluation.folders import scans_of
    from sgrs_core.evaluation.many_scans import make_masks
    from sgrs_core.evaluation.prediction import ModelFile, mask_files, model_file, shared_names

    found = (scan for path in options.scans for scan in scans_of(path))
    scans = list({scan.absolute(): scan for scan in found}.values())  # once each
    masks = mask_files(scans, options.output)
    shared = shared_names(scans, masks)
    pairs = [pair for pair in zip(scans, masks, strict=True) if pair[1] not in shared]
    stride = tuple(options.stride) if options.stride else None
    file = model_file(options.model, options.selection)
    model = ModelFile(file, options.device, stride, options.selection)
    outcomes: list[Outcome] = []
    sharing = [scan for several in shared.values() for scan in several]
    for several in shared.values():
        names = " and ".join(map(str, several))
        fail(f"{names} have one name, so one mask; predict each on its own")
    with logging_redirect_tqdm():
        for outcome in make_masks(model, pairs, options.overwrite, options.jobs):
            outcomes.append(outcome)
            if outcome.is_error:
                fail(outcome.text)
                continue
            count = f" [{len(sharing) + len(outcomes)}/{len(scans)}]" if len(scans) > 1 else ""
            tqdm.write(f"{outcome.mask}: {outcome.text}{count}")
            sys.stdout.flush()
    if len(scans) > 1:
        print(*counts(outcomes, sharing), sep="\n", file=sys.stderr)
    return 1 if sharing or any(outcome.is_error for outcome in outcomes) else 0


def counts(outcomes: Sequence["Outcome"], sharing: Sequence[Path]) -> Iterator[str]:
    """How many masks there are, and of which scans not; sharing: those that want one mask."""
    new = sum(one.is_new for one in outcomes)
    there = sum(not one.is_new and not one.is_error for one in outcomes)
    yield f"sgrs: {new} masks written, {there} there before"
    labels = [one.scan for one in outcomes if one.is_like_label]
    kept = [one.scan for one in outcomes if one.is_in_the_way]
    failed = [one.scan for one in outcomes if one.is_error and not one.is_in_the_way]
    for scans, what, way_out in (
        (labels, "look like labels", ""),
        (
            kept,
            "have another file, of another model, scan or stride or of unknown origin, where their "
            "mask belongs",
            "; --overwrite replaces them, another folder after -o keeps both",
        ),
        ([*sharing, *failed], "have no mask", ""),
    ):
        if scans:
            names = ", ".join(map(str, scans))
            total = len(sharing) + len(outcomes)
            yield f"sgrs: {len(scans)} of {total} scans {what}: {names}{way_out}"


def evaluate(options: argparse.Namespace) -> int:
    """Print the four metrics of one mask, or the table of a folder of masks."""
    from sgrs_core.evaluation.comparison import check_foreground, score_files, table
    from sgrs_core.evaluation.folders import check_table, pairs_of
    from sgrs_core.evaluation.scoring import write_scores

    check_foreground(options.foreground)
    check_table(options.output, options.mask, options.label)
    pairs, faults = pairs_of(options.mask, options.label)
    lines: dict[str, dict[str, float | bool]] = {}
    spacing: tuple[float, ...] = ()
    for name, pair in tqdm(pairs.items(), disable=not sys.stderr.isatty(), leave=False):
        try:
            lines[name], spacing = score_files(*pair, options.foreground, options.prepared_axes)
        except Exception as error:  # whatever one pair raises, the others are scored
            faults.append(in_one_line(error, *pair))
    if lines and options.output:
        write_scores(options.output, lines)
    if lines and options.mask.is_dir():
        print(*table(lines), sep="\n")
    elif lines:
        (line,) = lines.values()
        print_metrics(options.mask, line, spacing)
    for fault in faults:
        fail(fault)
    return 1 if faults else 0


def print_metrics(mask: Path, scores: Mapping[str, float], spacing: Sequence[float]) -> None:
    """One mask's scores; distances in voxels, whose sides are given in mm."""
    if scores["empty"]:
        logger.warning("%s: empty, so distances are not defined", mask)
    voxel = " x ".join(f"{side:.4g}" for side in spacing)
    for metric, unit in UNITS.items():
        of = f" of {voxel} mm" if unit == "voxels" else ""
        print(f"{metric:8}{FACTORS[metric] * scores[metric]:8.2f} {unit}{of}")


def check(options: argparse.Namespace) -> int:
    """Check an experiment's files, and say what is planned."""
    from sgrs_core.experiment.planning import check_scans, load_files
    from sgrs_core.methods.check import check_methods

    plan = load_files(options.files, Path(__file__).parents[1] / "config")
    check_methods(plan)
    check_scans(plan)
    for line in plan.warnings():
        logger.warning("%s", line)
    sheets = ", ".join(plan.sheets) or "no table or figure"
    runs = f"{len(plan.rows)} run{'s' * (len(plan.rows) != 1)}"
    print(f"{plan.experiment.experiment}: {runs} for {sheets}")
    return 0


def status(options: argparse.Namespace) -> int:
    """Print an experiment's status, once or again and again."""
    from sgrs_core.monitoring.status import watch

    watch(options.results, options.watch)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print the means of two runs and their differences."""
    from sgrs_core.evaluation.folders import check_table
    from sgrs_core.files import write_text
    from sgrs_core.reporting.comparison import compare_runs, in_words

    check_table(options.output, options.one, options.other)
    comparison = compare_runs(options.one, options.other, options.selection, options.scoring)
    if options.output:
        write_text(options.output, comparison.table.to_csv(index=False))
    print(in_words(comparison))
    return 0


def fail(error: Exception | str) -> int:
    """Say in one line what is wrong; the exit code."""
    tqdm.write(f"sgrs: error: {in_one_line(error)}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
