"""The metrics against values computed by medpy on stored masks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgrs_core.metrics import score

TOLERANCE = 1e-9


def test_scores_equal_the_stored_values_of_medpy(
    golden: Callable[[str], Mapping[str, NDArray[Any]]],
) -> None:
    arrays = golden("inference_metrics")
    assert len(arrays["metric_values"]) > 0

    for case, expected in enumerate(arrays["metric_values"]):
        prediction = arrays[f"metric_prediction{case}"] != 0
        scores = score(prediction, arrays[f"metric_label{case}"] != 0)
        found = [scores[name] for name in ("dice", "jaccard", "hd95", "asd")]
        if not prediction.any():
            # The published convention, in which medpy is not asked: all four are 0.
            found = np.nan_to_num(found).tolist()
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE, err_msg=f"case {case}")
