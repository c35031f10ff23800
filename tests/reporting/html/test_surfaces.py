"""The meshes that a reader turns are the masks' borders, in millimetres, and not too large."""

import base64
import gzip
import struct

import numpy as np
import pytest

from sgrs_core.reporting.html.case import MOST_TRIANGLES, mesh_of, report_case
from tests.synthetic_results import synthetic_case


def read(mesh: str) -> tuple[np.ndarray, np.ndarray]:
    """Faces (N, 3) and corners (M, 3) of an MZ3 file, by its description alone."""
    content = gzip.decompress(base64.b64decode(mesh))
    magic, parts, faces, corners, skipped = struct.unpack("<HHIII", content[:16])
    assert (magic, parts, skipped) == (0x5A4D, 3, 0)
    numbers = np.frombuffer(content[16:], dtype="<i4", count=3 * faces)
    places = np.frombuffer(content[16 + 12 * faces :], dtype="<f4")
    assert places.size == 3 * corners
    return numbers.reshape(-1, 3), places.reshape(-1, 3)


def ball(size: int, radius: float) -> np.ndarray:
    places = np.indices((size, size, size)) - size / 2
    return np.sqrt((places**2).sum(axis=0)) < radius


def volume(faces: np.ndarray, places: np.ndarray) -> float:
    """Positive where faces turn outwards, counter-clockwise to who looks from outside."""
    a, b, c = places[faces].transpose(1, 0, 2)
    return float((a * np.cross(b, c)).sum() / 6)


def test_a_box_is_where_it_was_in_millimetres():
    mask = np.zeros((10, 12, 8), dtype=bool)
    mask[2:6, 3:9, 0:4] = True
    _, places = read(mesh_of(mask, (1.0, 2.0, 3.0)))
    # To the right and front, where the scan's axes run to the left and back.
    np.testing.assert_allclose(places.min(axis=0), [-6, -18, 0])
    np.testing.assert_allclose(places.max(axis=0), [-2, -6, 12])


def test_a_ball_has_its_volume_and_faces_outwards():
    mask = ball(40, 15)
    found = volume(*read(mesh_of(mask, (1.0, 1.0, 1.0))))
    assert abs(found) == pytest.approx(mask.sum(), rel=0.02)
    assert found > 0


def test_a_surface_of_many_triangles_becomes_coarser_and_keeps_its_size():
    noise = np.random.default_rng(0).random((60, 60, 60)) > 0.5
    faces, _ = read(mesh_of(noise, (1.0, 1.0, 1.0)))
    assert 0 < len(faces) <= MOST_TRIANGLES
    large = ball(140, 60)
    faces, places = read(mesh_of(large, (1.0, 1.0, 1.0)))
    assert len(faces) <= MOST_TRIANGLES
    np.testing.assert_allclose(np.ptp(places, axis=0), 120, atol=4)


def test_an_empty_prediction_has_no_surface():
    truth, moved, nothing = report_case(synthetic_case(), with_surfaces=True)["surfaces"]
    assert truth
    assert moved
    assert nothing == ""
