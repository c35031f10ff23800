"""Slices that cannot be are refused before anything is drawn."""

import pytest

from sgrs_core.experiment.slices import Slices


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"count": 0}, "count = 0: allowed are 1 to 6"),
        ({"count": 7}, "count = 7: allowed are 1 to 6"),
        ({"at": ()}, r"at = \[\]: allowed are 1 to 6 indices"),
        ({"at": (1, -1)}, r"at = \[1, -1\]: allowed are .* whole numbers from 0"),
        ({"at": (1,), "count": 2}, "count = 2: slices.at names the slices; leave count out"),
    ],
)
def test_slices_that_cannot_be_are_refused(keys: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Slices(**keys)
