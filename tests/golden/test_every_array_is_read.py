"""A golden number that nothing is compared with is noticed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.golden.stored import Arrays, Tensors

FOLDER = Path(__file__).parent


@pytest.fixture
def extended(tmp_path) -> Path:
    """A folder with the V-Net's numbers and one more that no test knows."""
    np.savez(tmp_path / "vnet.npz", forgotten=np.zeros(1), **np.load(FOLDER / "vnet.npz"))
    return tmp_path


def run_tests_of_the_vnet(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", FOLDER / "test_vnet_golden.py", *options],
        env={**os.environ, "SGRS_GOLDEN": str(folder)},
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
    )


def test_only_asking_by_name_is_reading(extended):
    arrays = Arrays(extended / "vnet.npz")
    tensors = Tensors(arrays)
    everything = set(arrays)
    assert "input" in tensors
    assert dict(arrays.items()).keys() == everything == set(tensors)
    assert arrays.unread == everything
    assert tensors["input"].shape == arrays["label"][:, None].shape
    assert arrays.unread == everything - {"input", "label"}


@pytest.mark.slow
def test_an_array_that_no_test_reads_fails_the_run(extended):
    result = run_tests_of_the_vnet(extended)
    assert result.returncode == 1
    assert "no test asks for vnet/forgotten\n" in result.stdout


@pytest.mark.slow
def test_a_selection_of_the_tests_need_not_read_everything(extended):
    assert run_tests_of_the_vnet(extended, "-k", "eval").returncode == 0


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.npz")))
def test_every_file_has_a_test(name):
    sources = [path.read_text() for path in FOLDER.glob("test_*_golden.py")]
    assert any(f'"{name}"' in source for source in sources)
