"""`runs.json`: which runs an experiment is made of, for those who see only its results folder."""

import json
import os
import platform
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from sgrs_core.experiment.plan import Plan, Point
from sgrs_core.files import write_text
from sgrs_core.monitoring.as_planned import NAME, decisive

NOTED = (*Point._fields, "title", "label", "iterations", "folder")  # of each run
Asked = Mapping[Point, Collection[str | None]]


def write_planned(
    results: Path, runs: Iterable[Mapping[str, Any]], plan: Plan, asked: Asked, at_once: int
) -> None:
    """Write the runs of `Layout.runs` to the results folder, whole or not at all.

    plan: which `runs` are of. asked: the runs and their selections that this start of the workflow
    was asked for; of a run that it was not, all selections are noted as such. at_once: how many
    trainings it may run together. The process that calls this is noted as the workflow's.
    """
    noted = []
    for run in runs:
        point = Point(*(run[key] for key in Point._fields))
        wanted = [name for name in run["selections"] if name in asked.get(point, ())]
        of_run = {**{key: run[key] for key in NOTED}, **decisive(plan.run(point))}
        noted.append(
            {
                **of_run,
                "asked": point in asked,
                "selections": wanted or run["selections"],
                "planned_selections": run["selections"],
            }
        )
    preparations = {  # of folds, too: trainings are theirs
        name: [plan.preparation(name), plan.preparation_of_new(name)] for name in plan.splits
    }
    at_work = {"process": os.getpid(), "host": platform.node(), "at_once": at_once}
    described = {"experiment": results.name, **at_work, "preparations": preparations, "runs": noted}
    write_text(results / NAME, json.dumps(described, indent=1) + "\n")


def write_folds(results: Path, plan: Plan) -> None:
    """Write which fold each scan is tested in, for each data set that has folds.

    results/<data set>/folds.csv; a scan that nobody labelled is tested in none.
    """
    for name, dataset in plan.experiment.datasets.items():
        if dataset.folds:
            folds = enumerate(plan.folds(name))
            tested = {scan: number for number, fold in folds for scan in plan.splits[fold].test}
            lines = [f"{scan},{tested.get(scan, '')}\n" for scan in plan.splits[name].scans()]
            write_text(results / name / "folds.csv", "".join(["scan,fold\n", *lines]))
