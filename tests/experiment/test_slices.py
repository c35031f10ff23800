"""Slices that cannot be are refused before anything is drawn."""

import pytest

from sgrs_core.experiment.settings import Slices


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"count": 0}, "count\n.*greater than or equal to 1"),
        ({"count": 7}, "count\n.*less than or equal to 6"),
        ({"at": ()}, "at\n.*at least 1 item"),
        ({"at": (1, -1)}, r"at\.1\n.*greater than or equal to 0"),
        ({"at": (1,), "count": 2}, "count = 2: slices.at names the slices; leave count out"),
    ],
)
def test_slices_that_cannot_be_are_refused(keys: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Slices(**keys)
