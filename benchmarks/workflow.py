"""What the workflow itself costs: planning the paper's whole experiment, starting a job.

    python benchmarks/workflow.py [--repeats 3]

dry run: `snakemake --dry-run` (with `--quiet rules`: all but the printing of each job) of
config/paper.yaml, all methods, all three data sets, three seeds; of BraTS2019, which no one may
pass on, a folder that has every file's name and nothing in any.
start of ...: a new Python, Snakemake's own import before a script, and what the job's script
imports, which must not be torch. The dry run is done in a temporary folder and makes nothing.

Prints a table and writes it to workflow.csv beside this file. Columns: best_s, the shortest of the
repeats; all_s, each of them; jobs, of the dry run; torch, whether it was imported.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from measuring import Table

from sgrs_core.training.record import processor

PROJECT = Path(__file__).parents[1]
COLUMNS = ("best_s", "target_s", "jobs", "torch", "all_s", "what", "hardware")
JOBS = 300  # the paper's experiment has more
DRY_RUN_TARGET, START_TARGET = 10.0, 2.0  # seconds
SCRIPTS = ("table", "selection_gain", "cost", "threshold_figure", "report")


def name_brats2019(folder: Path) -> None:
    """The organisers' layout, every file empty."""
    for file in (PROJECT / "config/splits/brats2019").glob("*.txt"):
        for scan in file.read_text().split():
            for part in ("flair", "seg"):
                path = folder / "LGG" / scan / f"{scan}_{part}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


def timed(call: Sequence[str], repeats: int) -> tuple[list[float], str]:
    """Seconds of each of several runs of a command, and what the last one printed."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        run = subprocess.run(call, capture_output=True, encoding="utf-8", env=environment())
        times.append(time.perf_counter() - started)
        if run.returncode:
            raise SystemExit(f"{' '.join(call)}:\n{run.stderr[-3000:]}")
    return times, run.stdout


def environment() -> dict[str, str]:
    """This process's, with the project to be found first."""
    searched = filter(None, [str(PROJECT), os.getenv("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(searched)}


def measure_dry_run(repeats: int, *options: str) -> dict[str, object]:
    """The line of a dry run."""
    with tempfile.TemporaryDirectory() as folder:
        name_brats2019(Path(folder, "brats2019"))
        mine = Path(folder, "mine.yaml")
        datasets = {"brats2019": {"folder": str(Path(folder, "brats2019"))}}
        mine.write_text(yaml.safe_dump({"datasets": datasets}), encoding="utf-8")
        call = [
            *(sys.executable, "-m", "snakemake", "--dry-run", *options),
            *("--directory", folder),
            *("--snakefile", str(PROJECT / "Snakefile")),
            *("--configfile", str(PROJECT / "config/paper.yaml"), str(mine)),
        ]
        times, printed = timed(call, repeats)
    jobs = int(re.findall(r"^total +(\d+)$", printed, re.MULTILINE)[-1])
    if jobs <= JOBS:
        raise SystemExit(f"the dry run plans {jobs} jobs; the paper's experiment has over {JOBS}")
    return line(" ".join(["dry run", *options]), times, DRY_RUN_TARGET, jobs=jobs)


def measure_start(script: str, repeats: int) -> dict[str, object]:
    """The line of one job's start, as Snakemake starts a script."""
    program = (
        "from snakemake import script; import sys; "
        f"import workflow_scripts.{script}; print('torch' in sys.modules)"
    )
    times, printed = timed([sys.executable, "-c", program], repeats)
    return line(f"start of {script}", times, START_TARGET, torch=printed.strip() == "True")


def line(what: str, times: Sequence[float], target: float, **more: object) -> dict[str, object]:
    """One line of the table."""
    hardware = f"{processor()}, {os.cpu_count()} of them; load {os.getloadavg()[0]:.1f}"
    return {
        "what": what,
        "best_s": round(min(times), 2),
        "target_s": target,
        "all_s": " ".join(f"{seconds:.2f}" for seconds in times),
        **more,
        "hardware": hardware,
    }


def main() -> None:
    as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    table = Table(arguments.output, COLUMNS, unprinted=["hardware"])
    table.add(**measure_dry_run(arguments.repeats))
    table.add(**measure_dry_run(arguments.repeats, "--quiet", "rules"))
    for script in SCRIPTS:
        table.add(**measure_start(script, arguments.repeats))


if __name__ == "__main__":
    main()
