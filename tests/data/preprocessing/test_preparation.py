"""What a model file says about how its scans were prepared."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sgrs_core.data.preprocessing.preparation import Preparation, orientation_of, preparation_of
from sgrs_core.data.volumes import IDENTITY_DIRECTION, Volume, write_volume
from sgrs_core.experiment.settings import NiftiSettings

HOW = {"format": "la", "geometry": True, "downsample": 1, "nifti": {}}
BACKWARDS = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def written(tmp_path):
    def write(*geometries):
        files = []
        for number, (spacing, direction) in enumerate(geometries):
            files.append(tmp_path / f"{number}.h5")
            image = np.zeros((2, 3, 4), np.float32)
            volume = Volume(image, image.astype(np.uint8), spacing, (5.0, 6.0, 7.0), direction)
            write_volume(files[-1], volume)
        return files

    return write


@settings(max_examples=200, deadline=None)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), mirrored=st.booleans())
def test_orientations_are_simpleitks(angles, mirrored):
    cosines = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    if mirrored:
        cosines[:, 0] *= -1
    sizes = np.sort(np.abs(cosines), axis=0)
    if (sizes[2] - sizes[1]).min() < 0.2:
        return  # between two of the patient's axes, either will do
    expected = SimpleITK.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(cosines.ravel())
    assert orientation_of(cosines.ravel()) == expected


def test_an_axis_between_two_of_the_patients_still_gives_an_orientation():
    cosines = Rotation.from_euler("xyz", (45, 35.264, 45), degrees=True).as_matrix()
    found = orientation_of(cosines.ravel())
    assert [sum(letter in pair for letter in found) for pair in ("LR", "PA", "SI")] == [1, 1, 1]


def test_most_scans_orientation_and_the_spacing_that_all_of_them_share_are_noted(written):
    files = written(
        ((0.625, 0.7, 1.0), BACKWARDS),
        ((0.625, 0.7, 1.0), IDENTITY_DIRECTION),
        ((0.626, 0.7, 1.0), BACKWARDS),
    )
    preparation = preparation_of(HOW, files)
    assert preparation.orientation == "LAI"
    assert preparation.orientation_known
    assert preparation.spacing == pytest.approx((0.6255, 0.7, 1.0))


def test_the_spacing_is_the_one_before_downsampling(written):
    files = written(((1.25, 1.25, 2.0), IDENTITY_DIRECTION))
    assert preparation_of({**HOW, "downsample": 2}, files).spacing == (0.625, 0.625, 1.0)


def test_scans_of_several_spacings_have_none_in_common(written):
    files = written(((1.0, 1.0, 1.0), IDENTITY_DIRECTION), ((1.0, 1.0, 1.2), IDENTITY_DIRECTION))
    assert preparation_of(HOW, files).spacing is None


def test_prepared_files_that_say_nothing_are_taken_to_lie_as_the_originals(written):
    files = written(((1.0, 1.0, 1.0), IDENTITY_DIRECTION))
    preparation = preparation_of({**HOW, "format": "pancreas", "geometry": False}, files)
    assert preparation.orientation == "LAI"
    assert not preparation.orientation_known


def test_a_description_can_be_turned_back_into_the_preparation():
    own = vars(NiftiSettings(window=(-125.0, 275.0)))
    for preparation in (
        Preparation("la", "LPS", True, None, 2),
        Preparation("nifti", "RAS", False, (1.0, 2.0, 3.0), nifti=own),
    ):
        assert Preparation.from_description(preparation.description()) == preparation


def test_a_description_with_settings_that_there_are_not_is_refused():
    values = Preparation("nifti", "RAS", True, None, nifti={"margins": 3}).description()
    with pytest.raises(TypeError, match="margins"):
        Preparation.from_description(values)
