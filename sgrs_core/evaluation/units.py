"""What the metrics of a score file are called, and in which units tables show them.

No library here: jobs that write a table start in a second.
"""

NAMES = {"dice": "Dice", "jaccard": "Jaccard", "hd95": "95HD", "asd": "ASD"}  # as printed
METRICS = tuple(NAMES)
PERCENT = ("dice", "jaccard")  # fractions in the score files, per cent in the tables
FACTORS = {metric: 100 if metric in PERCENT else 1 for metric in METRICS}  # to a table's units
UNITS = {metric: "%" if metric in PERCENT else "voxels" for metric in METRICS}
HEADINGS = {metric: f"{NAMES[metric]} ({UNITS[metric]})" for metric in METRICS}
