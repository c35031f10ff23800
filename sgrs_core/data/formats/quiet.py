"""C++ libraries that write on standard error themselves."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK

SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what C and C++ print from standard error: what matters is raised, and said in one line.

    Of the whole process, so for as short as a file's reading.
    """
    sys.stderr.flush()
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
