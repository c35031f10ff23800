"""What the camera sees of a mask."""

import numpy as np
import pytest

from sgrs_core.reporting.figures import surfaces
from sgrs_core.reporting.figures.surfaces import CAMERA, surface_of, view_of, window_of
from tests.reporting.figures.synthetic_cases import ball, box


@pytest.fixture(autouse=True)
def few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coarse images, which are fast to make."""
    monkeypatch.setattr(surfaces, "PIXELS", 150)


def test_the_camera_keeps_lengths_and_does_not_mirror() -> None:
    np.testing.assert_allclose(CAMERA @ CAMERA.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(CAMERA[0], CAMERA[1]), CAMERA[2], atol=1e-12)


def test_a_ball_looks_like_a_disc_without_holes_and_bulges_towards_the_viewer() -> None:
    surface = surface_of(ball(9, (24, 24, 24)), (1.0, 1.0, 1.0))
    depth, brightness = view_of(surface, window_of([surface]))

    rows, columns = np.indices(depth.shape)
    middle = (np.array(depth.shape) - 1) / 2
    distance = np.hypot(rows - middle[0], columns - middle[1]) / middle.min()
    assert np.isfinite(depth[distance < 0.9]).all()
    assert np.isinf(depth[distance > 1.1]).all()
    assert depth[distance < 0.1].min() > depth[np.isfinite(depth) & (distance > 0.8)].max()
    assert brightness[distance < 0.9].min() > 0


def test_the_nearer_of_two_boxes_hides_the_other() -> None:
    near = box(slice(8, 12), slice(2, 4), slice(6, 10))
    far = box(slice(0, 20), slice(18, 20), slice(0, 16))
    both_surfaces = [surface_of(mask, (1.0, 1.0, 1.0)) for mask in (near | far, near)]
    window = window_of(both_surfaces)
    both, alone = (view_of(surface, window)[0] for surface in both_surfaces)

    shown = np.isfinite(alone)
    np.testing.assert_allclose(both[shown], alone[shown])
