"""A method in a file of one's own: named in YAML, checked before any job, known by its file."""

import os
import sys
from dataclasses import replace

import pytest
import torch
import yaml

from sgrs_core.command_line import main
from sgrs_core.data.batch import Batch
from sgrs_core.evaluation.model import load_model, save_model
from sgrs_core.experiment.configuration import ConfigError
from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.own_methods import name_of, title_of
from sgrs_core.experiment.plan import Point
from sgrs_core.experiment.planning import load_files
from sgrs_core.experiment.run import Run
from sgrs_core.methods import is_changed, method_class, new_method
from sgrs_core.methods.check import check_methods
from tests.docs.pages import blocks_of
from tests.places import CONFIG

SOURCE = """
from typing import Annotated
from pydantic import Field
from sgrs_core.methods.base import Method, MethodSettings, StepOutput

class SmoothSettings(MethodSettings):
    weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    kind: Annotated[str, Field(pattern="^(a|b)$")] = "a"

class MeanTeacher(Method):
    Settings = SmoothSettings
    def step(self, batch, iteration):
        return StepOutput.of(self.network(batch.images_l).square().mean())

class Motionless(Method):
    pass

class Loose(MeanTeacher):
    Settings = dict

class Unset(MeanTeacher):
    Settings = None

class NeedySettings(MethodSettings):
    weight: float

class Needy(MeanTeacher):
    Settings = NeedySettings

class WrongDefault(MeanTeacher):
    class Settings(MethodSettings):
        weight: Annotated[float, Field(ge=0)] = -1.0

class FreeSettings(MethodSettings):
    where: str | dict[str, int] = ""

class Free(MeanTeacher):
    Settings = FreeSettings

class Checked(MeanTeacher):
    def check(self):
        pass
"""
ROW = {"method": "smoothing.method:MeanTeacher"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a package of one's own; what it brings into Python is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.getenv("PYTHONPATH", ""))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/smoothing").mkdir(parents=True)
    (tmp_path / "mine/smoothing/method.py").write_text(SOURCE)
    yield tmp_path / "mine"
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("smoothing", "alone", "again")
    ]:
        del sys.modules[name]


@pytest.fixture
def run(tiny_training, tiny_inference) -> Run:
    return Run("vnet", {}, tiny_training, tiny_inference, 3, ("a",), (), {"last": ()})


def experiment(folder, *rows, **further):
    """The demo's data sets with one table of these rows."""
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    table = {"title": "Mine", "dataset": "la", "labelled": [4], "rows": [*rows]}
    values |= {"tables": {"mine": table}, "figures": {}, "headline": ["mine"], **further}
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def planned(*how, **further):
    plan = load_files([experiment(*how, **further)], CONFIG)
    check_methods(plan)
    return plan


def run_of(plan, variant):
    return plan.run(Point("la", 4, variant, 0))


def test_a_class_names_its_row_and_its_folder():
    assert name_of("my_package.smooth:MeanTeacher") == "mean_teacher"
    assert title_of("my_package.smooth:MeanTeacher") == "Mean Teacher"
    assert name_of("smooth:Smooth") == "smooth"


def test_its_row_stands_beside_the_others_under_the_classs_name(folder):
    plan = planned(
        folder, "vnet", ROW["method"], {**ROW, "variant": "heavy", "settings": {"weight": 0.5}}
    )
    layout = Layout(plan)
    lines = layout.lines_of_table("mine")
    assert layout.runs()[1]["label"] == "Mean Teacher, LA, 4 labelled, seed 0"
    assert [line["title"] for line in lines] == [
        "V-Net",
        "Mean Teacher (mean_teacher)",
        "Mean Teacher (heavy)",
    ]
    assert [entry.points[0].variant for entry in plan.entries("mine")] == [
        "vnet",
        "mean_teacher",
        "mean_teacher+weight=0.5",
    ]


def test_an_experiment_names_it_titles_it_and_sets_it(folder):
    methods = {"mine": {**ROW, "title": "My teacher", "settings": {"weight": 0.25}}}
    plan = planned(folder, "mine", methods=methods)
    (line,) = Layout(plan).lines_of_table("mine")
    assert line["title"] == "My teacher"
    assert run_of(plan, "mine").settings == {"weight": 0.25}


@pytest.mark.parametrize("place", ["beside the file", "working folder", "PYTHONPATH"])
def test_its_module_is_looked_for_in_three_places(place, folder, monkeypatch):
    where = {"beside the file": folder, "working folder": folder.parent}.get(place, folder / "far")
    where.mkdir(exist_ok=True)
    (where / "alone.py").write_text(SOURCE)
    if place == "PYTHONPATH":
        monkeypatch.syspath_prepend(where)
    plan = planned(folder, "alone:MeanTeacher")
    assert run_of(plan, "mean_teacher").source_sha256
    if place != "PYTHONPATH":
        assert str(where) in os.environ["PYTHONPATH"].split(os.pathsep)  # for the jobs


def test_another_content_of_its_file_is_another_run(folder):
    layout = Layout(planned(folder, ROW["method"]))
    before = layout.plan.run(Point("la", 4, "mean_teacher", 0))
    (folder / "smoothing/method.py").write_text(SOURCE + "# changed\n")
    after = run_of(planned(folder, ROW["method"]), "mean_teacher")
    assert before.source_sha256 != after.source_sha256
    assert replace(before, source_sha256="") == replace(after, source_sha256="")


def test_runs_of_the_methods_here_are_known_as_ever(run):
    assert "source_sha256" not in run.description()
    assert "source_sha256" not in run.identity()
    assert replace(run, source_sha256="f00").identity()["source_sha256"] == "f00"


@pytest.mark.parametrize("value", ["a/b", "it's", "a b,c", {"a": 1}])
def test_what_cannot_be_in_a_folders_name_is_no_value_in_a_row(value, folder):
    row = {"method": "smoothing.method:Free", "settings": {"where": value}}
    with pytest.raises(ConfigError, match=r"rows\.free: what it changes makes its folder's name"):
        planned(folder, row)
    methods = {"mine": {**row, "title": "Mine"}}
    assert run_of(planned(folder, "mine", methods=methods), "mine").settings == {"where": value}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("nowhere:Smooth", "rows.method = 'nowhere:Smooth': there is no module nowhere; looked fo"),
        ("smoothing.no:Smooth", "there is no module smoothing.no; looked for smoothing/no.py in"),
        ("smoothing.method:Sharp", "method.py has no class Sharp made from sgrs_core's Method"),
        ("smoothing.method:Field", "method.py has no class Field made from sgrs_core's Method"),
        ("smoothing.method:Method", "write sgrs_core.methods.base:Method"),
        ("smoothing.method:Motionless", "the class Motionless has no function step"),
        (
            "smoothing.method:Loose",
            "Loose.Settings is no class made from sgrs_core's MethodSettings",
        ),
        ("smoothing.method:Unset", "Unset.Settings is no class made from sgrs_core's MethodSettin"),
        ("smoothing.method:Needy", "Needy.Settings.weight has no default; give it one"),
        ("smoothing.method:WrongDefault", "settings.weight = -1.0: allowed are numbers from 0"),
        ("again:Renamed", "the class stands elsewhere: write sgrs_core.methods.vnet:SupervisedVNe"),
        ("needing:Smooth", "cannot be imported (ModuleNotFoundError: No module named 'nopack')\n"),
        ("smoothing/method.py:Sharp", "allowed are names, and <package>.<module>:<Class>"),
        ("alone:Smooth", r"alone:Smooth': cannot be imported (RuntimeError: not today, not here)"),
        ({**ROW, "settings": {"weight": 2}}, "settings.weight = 2: allowed are numbers from 0 to"),
        ({**ROW, "settings": {"wait": 2}}, "settings.wait = 2: unknown key; allowed are kind, w"),
        ({**ROW, "settings": {"kind": "c"}}, "settings.kind = 'c': allowed are texts like ^(a|b)"),
    ],
)
def test_every_mistake_is_said_in_one_line_at_planning(row, message, folder, capsys):
    (folder / "alone.py").write_text("raise RuntimeError('not today,\\nnot here')")
    (folder / "again.py").write_text("from sgrs_core.methods.vnet import SupervisedVNet as Renamed")
    (folder / "needing.py").write_text("import nopack")
    file = experiment(folder, "vnet", row)
    assert main(["check", str(file)]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith(f"sgrs: error: {file}: ")
    assert said.count("\n") == 1


def test_a_check_that_cannot_be_asked_is_told_with_its_file_and_class(folder, capsys):
    file = experiment(folder, "vnet", "smoothing.method:Checked")
    assert main(["check", str(file)]) == 1
    said = capsys.readouterr().err
    assert "smoothing/method.py: check of Checked raised (TypeError: " in said
    assert said.count("\n") == 1


def test_two_methods_of_one_name_are_refused(folder, capsys):
    (folder / "alone.py").write_text(SOURCE)
    assert main(["check", str(experiment(folder, ROW["method"], "alone:MeanTeacher"))]) == 1
    assert "another method is called 'mean_teacher'" in capsys.readouterr().err
    file = experiment(folder, "vnet", methods={"vnet": ROW})
    assert main(["check", str(file)]) == 1
    assert (
        "methods.vnet.method = 'smoothing.method:MeanTeacher': another" in capsys.readouterr().err
    )


def test_its_model_loads_where_the_module_is_and_says_what_is_missing_elsewhere(
    folder, run, monkeypatch
):
    monkeypatch.syspath_prepend(folder)
    mine = replace(run, method=ROW["method"], settings={"weight": 0.5}, source_sha256="f00")
    weights = new_method(mine).state_dict()
    save_model(folder / "model.pt", mine, {"last": weights})
    loaded = load_model(folder / "model.pt")
    assert isinstance(loaded.method, method_class(ROW["method"]))
    assert torch.equal(loaded.method.state_dict()[first := next(iter(weights))], weights[first])
    assert is_changed(loaded.run)
    sys.path.remove(str(folder))
    for name in ("smoothing.method", "smoothing"):
        del sys.modules[name]
    with pytest.raises(ValueError, match=r"model.pt: its method .* smoothing/method.py must be in"):
        load_model(folder / "model.pt")


@pytest.mark.parametrize(
    ("page", "file", "name"),
    [
        ("adding-a-method", "my_network.py", "SmallSupervised"),
        ("adding-a-method", "my_network.py", "SmallSgrs"),
        ("adding-a-method", "agree.py", "Agree"),
        ("tutorial", "mirror.py", "Mirror"),
    ],
)
def test_the_pages_methods_and_networks_train_and_predict(
    page, file, name, folder, run, monkeypatch
):
    monkeypatch.syspath_prepend(folder)
    (block,) = [block for block in blocks_of(f"docs/{page}.md") if block.file == file]
    (folder / "alone.py").write_text(block.text)
    method = new_method(replace(run, method=f"alone:{name}"))
    images = torch.randn(2, 1, 16, 16, 16)
    labels = (images[:, 0] > 0).long()
    loss = method.step(Batch(images, labels, images, [0, 0]), 1).loss
    loss.backward()
    assert loss.isfinite()
    assert method.predict(images).shape == labels.shape
    assert (type(method.network).__name__ == "Small") is name.startswith("Small")


def test_the_tutorials_method_says_the_mirror_image_of_a_mirror_image(folder, run, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (block,) = [block for block in blocks_of("docs/tutorial.md") if block.file == "mirror.py"]
    (folder / "alone.py").write_text(block.text)
    method = new_method(replace(run, method="alone:Mirror")).eval()
    images = torch.randn(2, 1, 16, 16, 16)
    mirrored = method.predict(images.flip(3)).flip(2)
    torch.testing.assert_close(mirrored, method.predict(images))
