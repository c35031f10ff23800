"""What a model file says about how its scans were prepared."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sgrs_core.data.formats.geometry import IDENTITY_DIRECTION
from sgrs_core.data.formats.images import orientation_of
from sgrs_core.data.preprocessing.input_spec import InputSpec, input_spec_of
from sgrs_core.data.preprocessing.to_h5 import copy_prepared
from sgrs_core.data.volumes import Volume, write_volume
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
    spec = input_spec_of(HOW, files)
    assert spec.orientation == "LAI"
    assert spec.orientation_known
    assert spec.spacing == pytest.approx((0.6255, 0.7, 1.0))


def test_what_training_scans_begin_at_is_noted_where_all_files_say_so(tmp_path):
    image, files = np.zeros((2, 3, 4), np.float32), []
    for least in ("-3024", "-1000", "-1024"):
        told = {"least_intensity": least}
        files.append(tmp_path / f"{least}.h5")
        write_volume(files[-1], Volume(image, image.astype(np.uint8), provenance=told))
    assert input_spec_of(HOW, files).least_intensity == -1024
    write_volume(tmp_path / "theirs.h5", Volume(image, image.astype(np.uint8)))
    assert input_spec_of(HOW, [*files, tmp_path / "theirs.h5"]).least_intensity is None


def test_what_was_done_to_all_scans_alike_is_noted(tmp_path):
    image, files = np.zeros((2, 3, 4), np.float32), []
    for done in ("z-score", "z-score", "none"):
        files.append(tmp_path / f"{len(files)}.h5")
        told = {"preprocessing": done}
        write_volume(files[-1], Volume(image, image.astype(np.uint8), provenance=told))
    assert input_spec_of(HOW, files[:2]).preprocessing == "z-score"
    assert input_spec_of(HOW, files).preprocessing is None
    assert input_spec_of({**HOW, "axes": "zyx"}, files).axes == "zyx"


@pytest.mark.parametrize("asked", [1, 2])
def test_scans_that_came_downsampled_are_known_by_their_files(asked, tmp_path):
    image = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    told, steps = {"downsample": "2"}, (1.25, 1.25, 2.0)
    volume = Volume(image, (image > 0).astype(np.uint8), steps, provenance=told)
    write_volume(tmp_path / "theirs.h5", volume)
    copy_prepared(tmp_path / "theirs.h5", (1.0,) * 3, "xyz", asked, tmp_path / "ours.h5")
    spec = input_spec_of({**HOW, "downsample": asked}, [tmp_path / "ours.h5"])
    assert spec.downsample == 2 * asked
    assert spec.spacing == (0.625, 0.625, 1.0)


def test_scans_of_several_spacings_have_none_in_common(written):
    files = written(((1.0, 1.0, 1.0), IDENTITY_DIRECTION), ((1.0, 1.0, 1.2), IDENTITY_DIRECTION))
    assert input_spec_of(HOW, files).spacing is None


def test_prepared_files_that_say_nothing_are_taken_to_lie_as_the_originals(written):
    files = written(((1.0, 1.0, 1.0), IDENTITY_DIRECTION))
    spec = input_spec_of({**HOW, "format": "pancreas", "geometry": False}, files)
    assert spec.orientation == "LAI"
    assert not spec.orientation_known


def test_a_description_can_be_turned_back_into_the_spec():
    own = vars(NiftiSettings(window=(-125.0, 275.0)))
    for spec in (
        InputSpec("la", "LPS", True, None, 2),
        InputSpec("nifti", "RAS", False, (1.0, 2.0, 3.0), nifti=own),
    ):
        assert InputSpec.from_description(spec.description()) == spec


def test_a_description_with_settings_that_there_are_not_is_refused():
    values = InputSpec("nifti", "RAS", True, None, nifti={"margins": 3}).description()
    with pytest.raises(ValueError, match="margins"):
        InputSpec.from_description(values)
