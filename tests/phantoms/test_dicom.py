import locale

import numpy as np

from sgrs_core.phantoms.dicom import Series, write_series


def test_writing_a_series_leaves_the_process_s_locale_as_it_was(tmp_path):
    """GDCM sets it to C, and Python reads text as ASCII there if no encoding is named."""
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    try:
        series = Series("A", "a", (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), 1, 0, against=False)
        write_series(tmp_path / "series", np.zeros((4, 4, 2), np.int16), series)
        assert locale.getencoding() == "UTF-8"
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert len(list((tmp_path / "series").glob("*.dcm"))) == 2
