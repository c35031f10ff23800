import h5py
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.yardstick import load_patch, one_by_one
from sgrs_core.methods import METHODS
from sgrs_core.networks.vnet import VNet
from tests.benchmarks.conftest import TINY

COLUMNS = {
    "method", "precision", "flop", "ours_ms", "patches_per_s", "tflop_per_s", "ceiling_tflop_per_s",
    "share_of_ceiling", "peak_gib", "yardstick_ms", "yardstick_loading_ms", "ratio",
    "ratio_without_loading", "patch", "filters", "settings", "hardware",
}  # fmt: skip


@pytest.mark.slow
def test_every_method_gets_a_line_beside_the_yardstick(benchmark_rows):
    """Whether both ways are measured in turn or, as of MCF here, one after the other."""
    more = ("--set", "dropout=0.1", "--apart", "mcf")
    batch, *rows = benchmark_rows("training_step.py", *TINY, *more)
    assert set(batch) == COLUMNS
    assert batch["method"] == "(batch)"
    assert [row["method"] for row in rows] == list(METHODS)
    for row in (batch, *rows):
        ratio = float(row["yardstick_ms"]) / float(row["ours_ms"])
        assert float(row["ratio"]) == pytest.approx(ratio, rel=0.01, abs=0.01)
        assert (row["patch"], row["filters"]) == ("16x16x16", "2")
        assert row["settings"] == "dropout=0.1"
    for row in rows:
        assert float(row["yardstick_loading_ms"]) < float(row["yardstick_ms"])
        assert float(row["peak_gib"]) > 0.05  # torch alone takes more


@pytest.mark.slow
def test_operations_are_those_that_torch_counts(benchmark_rows):
    _, row = benchmark_rows("training_step.py", *TINY, "--methods", "vnet")
    network = VNet(base_filters=2)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(2, 1, 16, 16, 16)).sum().backward()
    assert int(row["flop"]) == counter.get_total_flops()


def test_a_published_patch_is_a_turned_part_of_its_scan_and_label_goes_with_image(tmp_path):
    voxels = np.arange(20 * 18 * 12, dtype=np.float32).reshape(20, 18, 12)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("image", data=voxels, compression="gzip")
        file.create_dataset("label", data=(voxels % 7 == 0).astype(np.uint8), compression="gzip")
    generator = np.random.default_rng(0)
    drawn = [load_patch(tmp_path / "scan.h5", (16, 14, 8), generator) for _ in range(50)]
    for image, label in drawn:
        assert (image.shape, image.dtype) == ((16, 14, 8), np.float32)
        assert np.array_equal(label == 1, image % 7 == 0)
        steps = {abs(float(step)) for axis in (0, 1, 2) for step in np.diff(image, axis=axis).flat}
        assert steps == {1, 12, 12 * 18}  # neighbours have stayed neighbours
    assert len({image.tobytes() for image, _ in drawn}) > 40


def test_optimisers_of_the_yardstick_go_from_parameter_to_parameter(tiny_training):
    optimizers = METHODS["vnet"](tiny_training).optimizers()
    one_by_one(optimizers)
    assert optimizers
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            assert (group["foreach"], group["fused"]) == (False, False)
