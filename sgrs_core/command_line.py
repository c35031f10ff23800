"""`sgrs predict` and `sgrs evaluate`: a trained model on scans of one's own.

`sgrs check` and `sgrs status`: an experiment before and while it runs. `sgrs compare`: two runs.

python -m sgrs_core.command_line does the same. Every failure is one line on standard error.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Never, get_args

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from sgrs_core import __version__
from sgrs_core.experiment.settings import Selection

logger = logging.getLogger(__name__)

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
Distances are in voxels, as published."""


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
    """Do what a command line says. Returns 0, 1 after a failure, 130 after Ctrl-C."""
    options = parser().parse_args(arguments)
    logging.basicConfig(format="sgrs: %(levelname)s: %(message)s", level=logging.WARNING)
    try:
        code: int = options.command(options)
    except ImportError as error:
        return fail(f"{error}; pip install 'sgrs-core[workflow]' brings it")
    except Exception as error:
        return fail(error)
    except KeyboardInterrupt:
        return 130
    return code


def parser() -> argparse.ArgumentParser:
    """All options of all commands."""
    layout = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="sgrs", description="Trained models on scans of one's own.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser(
        "predict", help="scans to masks", description=PREDICT, epilog=HOW, formatter_class=layout
    )
    one.set_defaults(command=predict)
    one.add_argument(
        "scans", nargs="+", type=Path, metavar="SCAN",
        help=".nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, or the folder of a DICOM series",
    )  # fmt: skip
    one.add_argument(
        "--model", required=True, type=Path, metavar="RUN",
        help="a run's folder (results/<experiment>/.../seed-<S>), or a model.pt",
    )  # fmt: skip
    one.add_argument(
        "-o", "--output", required=True, type=Path, metavar="MASK",
        help="a .nii, .nii.gz or .nrrd file; of several scans a folder: <scan's name>.nii.gz there",
    )  # fmt: skip
    one.add_argument(
        "--selection", choices=get_args(Selection), default="last",
        help="which checkpoint of a run's folder (default: last)",
    )  # fmt: skip
    one.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), help="default: the run's own setting"
    )
    one.add_argument(
        "--stride", nargs=3, type=int, metavar=("X", "Y", "Z"),
        help="voxels between windows (default: the run's own); wider is faster and rougher",
    )  # fmt: skip
    one.add_argument("--overwrite", action="store_true", help="replace masks that are there")

    two = commands.add_parser(
        "evaluate", help="a mask against a label", description=EVALUATE, formatter_class=layout
    )
    two.set_defaults(command=evaluate)
    two.add_argument("mask", type=Path, metavar="MASK", help="all but 0 is foreground")
    two.add_argument("label", type=Path, metavar="LABEL", help="the ground truth")
    two.add_argument(
        "--foreground", nargs="+", type=int, default=(), metavar="VALUE",
        help="the label's values that count (default: all but 0)",
    )  # fmt: skip

    four = commands.add_parser(
        "check", help="an experiment's files", description=CHECK, formatter_class=layout
    )
    four.set_defaults(command=check)
    four.add_argument("files", nargs="+", type=Path, metavar="FILE", help="config/paper.yaml, say")

    three = commands.add_parser(
        "status", help="how far an experiment is", description=STATUS, formatter_class=layout
    )
    three.set_defaults(command=status)
    three.add_argument("results", type=Path, metavar="RESULTS", help="results/<experiment>")
    three.add_argument(
        "--watch", nargs="?", type=float, const=5.0, metavar="SECONDS",
        help="show it again every so many seconds (5), until Ctrl-C",
    )  # fmt: skip

    five = commands.add_parser(
        "compare", help="two runs' scores", description=COMPARE, formatter_class=layout
    )
    five.set_defaults(command=compare)
    five.add_argument("runs", nargs=2, type=Path, metavar=("RUN_A", "RUN_B"))
    five.add_argument(
        "-o", "--output", type=Path, metavar="CSV",
        help="write means and every scan's differences there",
    )  # fmt: skip
    five.add_argument(
        "--selection", choices=get_args(Selection), default="last",
        help="which checkpoint's scores in a folder (default: last)",
    )  # fmt: skip
    five.add_argument(
        "--scoring", choices=("published", "strict"), default="strict",
        help="how an empty prediction's distances count (default: strict, the image's diagonal)",
    )  # fmt: skip
    return top


def predict(options: argparse.Namespace) -> int:
    """Predict scans one after the other; one that fails does not keep the others from it."""
    # Here, so that --help need not wait for torch and SimpleITK.
    from sgrs_core.data.formats.image_files import read_scan, write_image
    from sgrs_core.evaluation.prediction import (
        Predictor,
        check_alone,
        describe,
        mask_files,
        model_file,
    )

    masks = mask_files(options.scans, options.output, options.overwrite)
    stride = tuple(options.stride) if options.stride else None
    file = model_file(options.model, options.selection)
    predictor = Predictor.from_file(file, options.device, stride, options.selection)
    for text in predictor.warnings():
        logger.warning("%s", text)
    failed: list[Path] = []
    for number, (scan, path) in enumerate(zip(options.scans, masks, strict=True), start=1):
        name = f"{number}/{len(masks)} {scan.name}"
        try:
            check_alone(path, options.scans, masks)
            image = read_scan(scan)
            with progress_bar(name) as bar, logging_redirect_tqdm():
                mask = predictor.predict(image, lambda more: grow(bar, more), bar.update)
            write_image(path, mask)
        except Exception as error:  # whatever one scan raises, the others are predicted
            fail(error, scan, path)
            failed.append(scan)
            continue
        print(f"{path}: {describe(mask)}")
    if failed and len(masks) > 1:
        names = ", ".join(map(str, failed))
        print(f"sgrs: {len(failed)} of {len(masks)} scans have no mask: {names}", file=sys.stderr)
    return 1 if failed else 0


def evaluate(options: argparse.Namespace) -> int:
    """Print the four metrics."""
    from sgrs_core.evaluation.prediction import score_files

    scores, spacing = score_files(options.mask, options.label, options.foreground)
    if not scores["dice"] and scores["hd95"] != scores["hd95"]:
        logger.warning("%s: empty, so distances are not defined", options.mask)
    voxel = " x ".join(f"{side:.4g}" for side in spacing)
    for name in ("dice", "jaccard"):
        print(f"{name:8}{100 * scores[name]:8.2f} %")
    for name in ("hd95", "asd"):
        print(f"{name:8}{scores[name]:8.2f} voxels of {voxel} mm")
    return 0


def check(options: argparse.Namespace) -> int:
    """Check an experiment's files, and say what is planned."""
    from sgrs_core.experiment.planning import check_scans, load_files
    from sgrs_core.methods.check import check_methods

    plan = load_files(options.files, Path(__file__).parents[1] / "config")
    check_methods(plan)
    check_scans(plan, options.files)
    for line in plan.warnings():
        logger.warning("%s", line)
    sheets = ", ".join(plan.sheets) or "no table or figure"
    print(f"{plan.experiment.experiment}: {len(plan.rows)} runs for {sheets}")
    return 0


def status(options: argparse.Namespace) -> int:
    """Print an experiment's status, once or again and again."""
    from sgrs_core.monitoring.status import watch

    watch(options.results, options.watch)
    return 0


def compare(options: argparse.Namespace) -> int:
    """Print the means of two runs and their differences."""
    from sgrs_core.reporting.comparison import compare_runs, in_words, write_comparison

    one, other = options.runs
    comparison = compare_runs(one, other, options.selection, options.scoring)
    if options.output:
        write_comparison(options.output, comparison)
    print(in_words(comparison))
    return 0


def progress_bar(name: str) -> "tqdm[Never]":
    """Windows done of one scan, where standard error is a terminal."""
    hidden = not sys.stderr.isatty()
    return tqdm(total=0, desc=name, unit="window", disable=hidden, dynamic_ncols=True)


def grow(bar: "tqdm[Never]", more: int) -> None:
    """There are more windows to do."""
    bar.total = (bar.total or 0) + more
    bar.refresh()


def fail(error: Exception | str, *named: Path) -> int:
    """Say in one line what is wrong, and with the first file unless one is named; the exit code.

    An error that is not raised on purpose is told with its kind, because its text may be empty.
    """
    text = str(error)
    if not isinstance(error, str | OSError | ValueError | RuntimeError):
        text = f"{type(error).__name__}: {text}"
    if named and not any(str(path) in text for path in named):
        text = f"{named[0]}: {text}"
    print("sgrs: error:", " ".join(text.split()), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
