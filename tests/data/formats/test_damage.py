"""Whatever is wrong with a header, a scan is read, or refused by its name in one line."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgrs_core.data.formats.image_files import read_scan
from tests.data.formats.writing import affine_of, write_dicom, write_itk, write_nifti

ARRAY = np.random.default_rng(0).integers(-900, 900, (10, 8, 3)).astype(np.int16)
AFFINE = affine_of((0.8, 0.7, 2.0), (1.0, 2.0, 3.0), np.eye(3))
WRITERS = {
    "scan.nii": write_nifti,
    "scan.nrrd": write_itk,
    "scan.mha": write_itk,
    "series": lambda path, *scan: write_dicom(path, *scan)[1],
}
HEADER = 900  # bytes; those of DICOM's slices are the longest


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4))
@example(changes=[(0.880859375, 0)])  # a kind of value that pydicom does not know
def test_a_scan_with_any_damage_to_its_header_is_read_or_refused_by_name(name, changes):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as printed:
        file = WRITERS[name](Path(folder) / name, ARRAY, AFFINE)
        content = bytearray(file.read_bytes())
        for place, byte in changes:
            content[int(place * (min(HEADER, len(content)) - 1))] = byte
        file.write_bytes(content)
        before, told = os.dup(2), name
        os.dup2(printed.fileno(), 2)
        try:
            read_scan(Path(folder) / name)
        except ValueError as error:
            told = str(error)
        finally:
            os.dup2(before, 2)
            os.close(before)
        assert name in told
        printed.seek(0)
        assert printed.read() == b""
