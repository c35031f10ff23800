import platform
import subprocess
import sys

import pytest

COUNT_NEW_PAGES = """
import resource
import torch
from sgrs_core.methods.base import Method
from sgrs_core.methods.cpu_tuning import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(2**24)  # 64 MiB, forgotten at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = new_pages()
with keep_freed_memory():
    new_pages()
    print(usual, new_pages())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library's memory")
def test_memory_that_is_kept_is_filled_again_without_new_pages():
    # In a process of its own, whose memory no other test has shaped.
    run = subprocess.run(
        [sys.executable, "-c", COUNT_NEW_PAGES], capture_output=True, text=True, check=True
    )
    usual, kept = map(int, run.stdout.split())
    assert kept < usual / 3
