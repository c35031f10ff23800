"""The sliding window gives the published scores and labels."""

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sgrs_core.inference import foreground_score, segment

PATCH, STRIDE = (12, 12, 8), (3, 3, 2)


@pytest.fixture
def predict(golden):
    arrays = golden("inference_metrics")
    hidden = arrays["p000"].shape[0]
    network = nn.Sequential(
        nn.Conv3d(1, hidden, 3, padding=1), nn.ReLU(), nn.Conv3d(hidden, 2, 3, padding=1)
    )
    for number, parameter in enumerate(network.parameters()):
        parameter.data.copy_(torch.from_numpy(arrays[f"p{number:03d}"]))
    return lambda images: torch.softmax(network(images), dim=1)[:, 1]


@pytest.mark.parametrize("scan", ["large", "padded"])
@pytest.mark.parametrize("batch", [1, 7])
def test_scores_and_labels_of_a_scan(scan, batch, predict, golden):
    arrays = golden("inference_metrics")
    score = foreground_score(predict, arrays[f"{scan}_image"], PATCH, STRIDE, batch)
    assert_allclose(score, arrays[f"{scan}_foreground_score"], rtol=1e-5, atol=1e-5)
    assert_array_equal(segment(score), arrays[f"{scan}_label"])
