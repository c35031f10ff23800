"""What the metrics of a score file are called, and how tables count and show them.

No library here: jobs that write a table start in a second.
"""

from collections.abc import Mapping
from math import inf, nan
from typing import Any

NAMES = {"dice": "Dice", "jaccard": "Jaccard", "hd95": "95HD", "asd": "ASD"}  # as printed
METRICS = tuple(NAMES)
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
FACTORS = {metric: 100 if metric in PERCENT else 1 for metric in METRICS}  # to a table's units
UNITS = {metric: "%" if metric in PERCENT else "voxels" for metric in METRICS}
# Beyond which no mean lies, and no difference of two means, in a table's units.
MEANS_WITHIN = {metric: (0.0, 100.0 if metric in PERCENT else inf) for metric in METRICS}
DIFFERENCES_WITHIN = {metric: (-most, most) for metric, (_, most) in MEANS_WITHIN.items()}
HEADINGS = {metric: f"{NAMES[metric]} ({UNITS[metric]})" for metric in METRICS}


def counted(line: Mapping[Any, Any], scoring: str) -> list[float]:
    """The METRICS of a line of a score file as a scoring counts them, in a table's units.

    An empty prediction is 0 in Dice and Jaccard. Its distances are 0, the best there is, under
    `published`; the image's diagonal under `strict`, and NaN in files that do not name it.
    """
    if not line["empty"]:
        return [FACTORS[metric] * float(line[metric]) for metric in METRICS]
    distance = 0.0 if scoring == "published" else line.get("diagonal", nan)
    return [0.0 if metric in PERCENT else distance for metric in METRICS]
