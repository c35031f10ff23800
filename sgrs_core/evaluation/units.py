"""What the metrics of a score file are called, and in which units tables show them.

No library here: jobs that write a table start in a second.
"""

from math import inf

NAMES = {"dice": "Dice", "jaccard": "Jaccard", "hd95": "95HD", "asd": "ASD"}  # as printed
METRICS = tuple(NAMES)
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
FACTORS = {metric: 100 if metric in PERCENT else 1 for metric in METRICS}  # to a table's units
UNITS = {metric: "%" if metric in PERCENT else "voxels" for metric in METRICS}
# Beyond which no mean lies, and no difference of two means, in a table's units.
MEANS_WITHIN = {metric: (0.0, 100.0 if metric in PERCENT else inf) for metric in METRICS}
DIFFERENCES_WITHIN = {metric: (-most, most) for metric, (_, most) in MEANS_WITHIN.items()}
HEADINGS = {metric: f"{NAMES[metric]} ({UNITS[metric]})" for metric in METRICS}
