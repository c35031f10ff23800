"""How long original files take to become prepared scans, through the workflow's own rules.

    python benchmarks/prepare.py la --mirror "/scans/2018LA_Seg_Training Set" [--cores 2]
    python benchmarks/prepare.py pancreas [--cores 1]

la: the mirror's 100 real scans, written back as the challenge's NRRD pairs of 576x576x88 voxels
(what the mirror's crop left out is filled by mirroring the crop), then prepared by Snakemake.
pancreas: one phantom of 512x512x240 voxels in TCIA's formats, prepared in this process, one thread.
Prints what was measured and adds a line to prepare.csv beside this file.
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import SimpleITK
import yaml

PROJECT = Path(__file__).parents[1]
COLUMNS = ("dataset", "scans", "cores", "seconds", "seconds_per_scan", "peak_gib")
LA_SIDE = 576  # voxels along x and y, as the challenge distributes most scans
PANCREAS = {"shape": (512, 512, 240), "spacing": (0.8, 0.8, 1.0), "seed": 0}


def write_back(source: Path, folder: Path) -> None:
    """A prepared scan as the challenge's two files."""
    with h5py.File(source, "r") as file:
        image, label = np.asarray(file["image"]), np.asarray(file["label"])
    codes = np.unique(image, return_inverse=True)[1].reshape(image.shape).astype(np.uint8)
    around = [((LA_SIDE - side) // 2, (LA_SIDE - side + 1) // 2) for side in image.shape[:2]]
    around.append((0, 0))
    pair = {
        "lgemri.nrrd": np.pad(codes, around, mode="symmetric"),
        "laendo.nrrd": np.pad(label * np.uint8(255), around),
    }
    folder.mkdir(parents=True)
    for name, array in pair.items():
        picture = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
        picture.SetSpacing((0.625, 0.625, 0.625))
        SimpleITK.WriteImage(picture, str(folder / name), useCompression=True)


def measure_la(mirror: Path, cores: int, work: Path) -> dict[str, object]:
    """Write the originals (not timed), then time one Snakemake call for all prepared scans."""
    files = sorted(mirror.glob("*/mri_norm2.h5"))
    for number, file in enumerate(files, start=1):
        print(f"\rwriting originals {number}/{len(files)}", end="", file=sys.stderr)
        write_back(file, work / "raw" / file.parent.name)
    print(file=sys.stderr)
    over = {
        "experiment": "benchmark",
        "seeds": [0],
        "selections": ["last"],
        "datasets": {"la": {"source": "raw", "folder": str(work / "raw")}},
    }
    (work / "benchmark.yaml").write_text(yaml.safe_dump(over))
    targets = [f"results/benchmark/volumes/la/{file.parent.name}.h5" for file in files]
    call = [
        *(sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet"),
        *("--snakefile", str(PROJECT / "Snakefile"), "--directory", str(work)),
        *("--configfile", str(work / "benchmark.yaml"), "--", *targets),
    ]
    started = time.perf_counter()
    subprocess.run(call, check=True)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return row("la", len(files), cores, seconds, peak)


def measure_pancreas(work: Path) -> dict[str, object]:
    """Write a phantom in a process of its own, so that only the preparation's memory counts."""
    write = (
        "from pathlib import Path; "
        "from sgrs_core.phantoms.pancreas import write_phantom_pancreas as write; "
        f"write(Path({str(work)!r}), 'image0001', **{PANCREAS!r})"
    )
    subprocess.run([sys.executable, "-c", write], check=True)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    from sgrs_core.data.preprocessing.to_h5 import prepare_original

    started = time.perf_counter()
    prepare_original("pancreas", work, "image0001", {}, 1, work / "image0001.h5")
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return row("pancreas", 1, 1, seconds, peak)


def row(dataset: str, scans: int, cores: int, seconds: float, peak: float) -> dict[str, object]:
    """One line of the table; peak: GiB of the largest process."""
    per_scan = round(seconds / scans, 2)
    values = (dataset, scans, cores, round(seconds, 1), per_scan, round(peak, 2))
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Measure one data set."""
    as_written = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("dataset", choices=["la", "pancreas"])
    parser.add_argument("--mirror", type=Path, help="the folder of the mirror's scans")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.dataset == "la" and arguments.mirror is None:
        parser.error("la needs --mirror, the folder with <scan>/mri_norm2.h5")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.dataset == "la":
            measured = measure_la(arguments.mirror, arguments.cores, Path(folder))
        else:
            measured = measure_pancreas(Path(folder))
    print("  ".join(f"{name} {value}" for name, value in measured.items()))
    table = Path(__file__).with_suffix(".csv")
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(measured)


if __name__ == "__main__":
    main()
