"""What the experimenter may know and the method may not: how good are the pseudo labels?

Computed outside the methods from what they show (`StepOutput.observed`) and from the labels of
unlabelled scans, which no method receives.
"""

from collections.abc import Mapping

from torch import Tensor


def diagnose(observed: Mapping[str, Tensor], labels_u: Tensor | None) -> dict[str, float]:
    """Named numbers in [0, 1] for the log.

    `<region>_fraction` for each observed `region_...`: its share of the unlabelled voxels.
    `pseudo_label_dice`: 2 |A and B| / (|A| + |B|) of the pseudo labels' foreground A and the hidden
    truth B over the batch's unlabelled patches; 1 where both are empty, not told where nobody
    labelled the scans (None).
    """
    result = {
        f"{name.removeprefix('region_')}_fraction": mask.float().mean().item()
        for name, mask in observed.items()
        if name.startswith("region_")
    }
    if "pseudo_labels" in observed and labels_u is not None:
        mine, truth = observed["pseudo_labels"] == 1, labels_u == 1
        size = (mine.sum() + truth.sum()).item()
        result["pseudo_label_dice"] = 2 * (mine & truth).sum().item() / size if size else 1.0
    return result
