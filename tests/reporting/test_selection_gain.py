import numpy as np
import pandas
import pytest
from pandas import DataFrame

from sgrs_core.reporting.selection_gain import build_selection_gain, to_markdown


@pytest.fixture
def line(tmp_path):
    """Two seeds whose chosen checkpoints are 2 and 4 points of Dice better; a scan is empty."""
    generator = np.random.default_rng(0)
    files: dict[str, list[str]] = {"last": [], "best_on_test": []}
    for seed, gain in enumerate((0.02, 0.04)):
        last = DataFrame({name: generator.uniform(0.3, 0.9, 10) for name in ("dice", "jaccard")})
        last = last.assign(hd95=5.0, asd=1.0, scan=[f"scan {i}" for i in range(10)], empty=False)
        last["diagonal"] = 50.0
        best = last.assign(dice=last["dice"] + gain, hd95=4.0).sample(frac=1, random_state=seed)
        for selection, scores in (("last", last), ("best_on_test", best)):
            path = tmp_path / f"{selection}-{seed}.csv"
            scores.to_csv(path, index=False)
            files[selection].append(str(path))
    return {"dataset": "la", "labelled": 4, "method": "vnet", **files}


def test_scans_that_were_not_scored_under_both_selections_are_an_error(line):
    file = line["best_on_test"][0]
    pandas.read_csv(file).iloc[1:].to_csv(file, index=False)
    with pytest.raises(ValueError, match="different scans, such as scan"):
        build_selection_gain([line])


def test_the_gain_is_the_mean_over_seeds_of_paired_differences(line):
    (row,) = build_selection_gain([line]).to_dict("records")
    assert row["seeds"] == 2
    assert row["dice_gain"] == pytest.approx(3)
    assert row["dice_best_on_test"] - row["dice_last"] == pytest.approx(3)
    assert (row["dice_low"], row["dice_high"]) == pytest.approx((3, 3))
    assert row["hd95_gain"] == pytest.approx(-1)
    assert row["asd_gain"] == 0


def test_markdown_shows_a_gains_sign(line):
    text = to_markdown(build_selection_gain([line]))
    assert "+3.00 [+3.00, +3.00]" in text
    assert "-1.00" in text
