"""The sliding window gives the published scores and labels, and the metrics are medpy's."""

import numpy as np
import pytest
import torch
from torch import nn

from sgrs_core.evaluation.inference import foreground_score
from sgrs_core.evaluation.metrics import score
from tests.golden.closeness import scan_close, within
from tests.golden.stored import copy_into, numbered

PATCH, STRIDE = (12, 12, 8), (3, 3, 2)


@pytest.fixture(scope="module")
def arrays(golden):
    return golden("inference_metrics")


@pytest.fixture
def predict(tensors):
    parameters = numbered(tensors("inference_metrics"), "p")
    hidden, channels = parameters[0].shape[:2]
    network = nn.Sequential(
        nn.Conv3d(channels, hidden, 3, padding=1),
        nn.ReLU(),
        nn.Conv3d(hidden, len(parameters[-1]), 3, padding=1),
    )
    copy_into(network.parameters(), parameters)
    return lambda images: torch.softmax(network(images), dim=1)[:, 1]


@pytest.mark.parametrize("scan", ["large", "padded"])
@pytest.mark.parametrize("batch", [1, 7])
def test_scores_and_labels_of_a_scan(scan, batch, predict, arrays):
    found = foreground_score(predict, arrays[f"{scan}_image"], PATCH, STRIDE, batch)
    scan_close(found, arrays[f"{scan}_foreground_score"], arrays[f"{scan}_label"])


def test_scores_equal_the_stored_values_of_medpy(arrays):
    assert len(arrays["metric_values"]) > 0
    for case, expected in enumerate(arrays["metric_values"]):
        prediction = arrays[f"metric_prediction{case}"] != 0
        scores = score(prediction, arrays[f"metric_label{case}"] != 0)
        found = [scores[name] for name in ("dice", "jaccard", "hd95", "asd")]
        if not prediction.any():
            # The published convention, in which medpy is not asked: all four are 0.
            found = np.nan_to_num(found).tolist()
        within(found, expected, absolute=1e-9)
