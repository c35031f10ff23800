import pytest

from tests.benchmarks.conftest import TINY

pytestmark = pytest.mark.slow

STRIDE = ("--stride", "8", "8", "4")
COLUMNS = {
    "method", "precision", "batch", "windows", "measured_windows", "ours_s", "tflop_per_s",
    "share_of_ceiling", "peak_gib", "yardstick_s", "ratio", "max_difference", "scans", "scans_s",
    "flop", "ceiling_tflop_per_s", "patch", "filters", "settings", "hardware",
}  # fmt: skip


def test_both_ways_give_one_scan_the_same_probabilities(benchmark_rows):
    (row,) = benchmark_rows("inference.py", *TINY, *STRIDE, "--scans", "2")
    assert set(row) == COLUMNS
    assert row["windows"] == row["measured_windows"] == str(4 * 4 * 3)
    assert 0 < float(row["max_difference"]) < 1e-4  # 0 would mean that one way was taken twice
    assert float(row["scans_s"]) > 0


def test_a_corner_stands_for_the_whole_scan(benchmark_rows):
    (row,) = benchmark_rows("inference.py", *TINY, *STRIDE, "--windows", "7")
    assert (row["windows"], row["measured_windows"]) == ("48", "9")
    (whole,) = benchmark_rows("inference.py", *TINY, *STRIDE)
    assert row["flop"] == whole["flop"]
