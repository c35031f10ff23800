import csv
from collections.abc import Callable
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from sgrs_core.data.volumes import Volume
from sgrs_core.evaluation.metrics import score
from sgrs_core.evaluation.scoring import evaluate, read_ahead, write_scores
from sgrs_core.experiment.run import Run
from sgrs_core.methods import METHODS, new_method


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    return Run("vnet", {}, tiny_training, tiny_inference, 0, ("a",), (), {"last": ()})


def scan(name: str) -> Volume:
    generator = np.random.default_rng(len(name))
    image = generator.normal(size=(20, 18, 16)).astype(np.float32)
    return Volume(image, (image > 1.5).astype(np.uint8))


def test_each_scan_gets_the_scores_of_its_prediction(run):
    scored = list(evaluate(run, new_method(run).eval(), ["a", "bb"], scan))
    assert [one.name for one in scored] == ["a", "bb"]
    for one in scored:
        expected = score(one.prediction, scan(one.name).label == 1)
        assert one.scores["diagonal"] == pytest.approx((20**2 + 18**2 + 16**2) ** 0.5)
        assert {key: one.scores[key] for key in expected} == pytest.approx(expected, nan_ok=True)
        assert one.scores["empty"] == (not one.prediction.any())


def test_an_empty_prediction_is_marked_and_has_no_distances(run, tmp_path):
    method = new_method(run).eval()
    method.network.decoder.output.bias.data.copy_(
        method.network.decoder.output.bias.data.new_tensor([100.0, -100.0])
    )
    (one,) = evaluate(run, method, ["a"], scan)
    assert one.scores["empty"]
    assert one.scores["dice"] == 0
    write_scores(tmp_path / "scores.csv", {"a": one.scores})
    assert (tmp_path / "scores.csv").read_text().splitlines()[1].startswith("a,0.0,0.0,,,True,31.3")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("wanted", [False, True])
def test_the_largest_component_alone_is_scored_if_the_run_says_so(name, wanted, run):
    run = replace(run, method=name, inference=replace(run.inference, largest_component=wanted))
    method = new_method(run).eval()
    method.predict = lambda images: (images[:, 0] > 0).float()
    image = np.full((16, 16, 16), -1.0, np.float32)
    image[2:5, 2:5, 2:5] = image[10, 10, 10] = 1
    volume = Volume(image, (image > 0).astype(np.uint8))
    (one,) = evaluate(run, method, ["a"], lambda name: volume)
    assert one.prediction.sum() == (27 if wanted else 28)


def test_a_scan_without_a_reference_is_named(run):
    def unlabelled(name: str) -> Volume:
        return replace(scan(name), label=scan(name).label * 0)

    with pytest.raises(ValueError, match=r"scan bb: .*empty"):
        list(evaluate(run, new_method(run).eval(), ["bb"], unlabelled))


def noting(read_names: list[str], events: dict[str, Event]) -> Callable[[str], Volume]:
    """A reader that notes what it has read, and that there is no scan named `broken`."""

    def read(name: str) -> Volume:
        read_names.append(name)
        events[name].set()
        if name == "broken":
            raise FileNotFoundError(f"{name}.h5: scan not found")
        return scan(name)

    return read


def test_the_next_scan_is_read_while_one_is_worked_on_and_no_further_one():
    names, done = ["a", "bb", "ccc", "dddd"], []
    events = {name: Event() for name in names}
    scans = read_ahead(names, noting(done, events))
    name, volume = next(scans)
    assert name == "a"
    assert np.array_equal(volume.image, scan("a").image)
    assert events["bb"].wait(timeout=60)
    assert not events["ccc"].wait(timeout=0.2)
    assert [name for name, _ in scans] == names[1:]
    assert done == names


def test_what_reading_a_scan_raises_is_raised_at_its_turn(run):
    names = ["a", "broken", "bb"]
    read = noting([], {name: Event() for name in names})
    scored = evaluate(run, new_method(run).eval(), names, read)
    assert next(scored).name == "a"
    with pytest.raises(FileNotFoundError, match=r"broken\.h5"):
        next(scored)


def test_a_scan_alone_and_no_scan_are_read_too():
    assert [name for name, _ in read_ahead(["a"], scan)] == ["a"]
    assert list(read_ahead([], scan)) == []


def test_a_score_file_keeps_every_digit(tmp_path):
    scores = {
        "dice": 1 / 3,
        "jaccard": 0.2,
        "hd95": 2**0.5,
        "asd": 1e-9,
        "empty": False,
        "diagonal": 9.5,
    }
    write_scores(tmp_path / "scores.csv", {"ΑΒ scan": scores})
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        (line,) = csv.DictReader(file)
    assert line["scan"] == "ΑΒ scan"
    assert float(line["dice"]) == 1 / 3
    assert float(line["hd95"]) == 2**0.5
