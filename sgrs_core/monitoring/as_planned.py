"""Whether a job is told what was planned: a cluster's jobs read the configuration when they start.

Apart from `planned`, because jobs' environments lack what plans are made with.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sgrs_core.experiment.run import Run
from sgrs_core.files import read_json

NAME = "runs.json"
DIGEST = "digest"  # beside a run's checkpoints: whose they are


def decisive(run: Run) -> dict[str, Any]:
    """What decides a run's weights, `digest`, and with them its masks, `predicting`."""
    return {"digest": run.digest, "predicting": run.predicting}


def check_planned(results: Path, folder: Path, run: Run, keys: Collection[str]) -> None:
    """Check that a job's run is the planned one. Raises ValueError where the files were changed.

    folder: the run's. keys: which of the `decisive` ones the job's result depends on.
    """
    planned = {results / one["folder"]: one for one in read_json(results / NAME, "runs")["runs"]}
    noted = planned.get(folder, dict.fromkeys(keys))  # notes of older versions lack `predicting`
    if any(noted.get(key, now) != now for key, now in decisive(run).items() if key in keys):
        raise changed_after(results, "run")


def check_planned_preparation(results: Path, dataset: str, how: Mapping[str, Any]) -> None:
    """Check that a data set's scans are prepared as planned. Raises ValueError as `check_planned`.

    how: or what a model is told of it, in one of the forms that `write_planned` notes.
    """
    now = json.loads(json.dumps(how))  # tuples as lists, as they were noted
    noted = read_json(results / NAME).get("preparations", {})  # of older versions: none
    if now not in noted.get(dataset, [now]):
        raise changed_after(results, f"preparation of {dataset}")


def changed_after(results: Path, planned: str) -> ValueError:
    return ValueError(
        f"{results / NAME}: the configuration was changed after this {planned} was planned: "
        "start again"
    )
