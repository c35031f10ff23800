import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, strategies

from sgrs_core.clock import bring_back, in_words

HOURS = strategies.floats(-100, 100)


@given(hours=strategies.lists(HOURS, min_size=1, max_size=20))
def test_no_file_is_from_the_future_and_the_order_of_times_is_kept(hours, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    now = time.time()
    files = [folder / str(number) for number in range(len(hours))]
    for file, hour in zip(files, hours, strict=True):
        file.touch()
        os.utime(file, (now, now + 3600 * hour))
    before = [file.stat().st_mtime for file in files]
    bring_back([folder])
    after = [file.stat().st_mtime for file in files]
    assert max(after) <= time.time()
    for i in range(len(files)):
        for j in range(len(files)):
            if before[i] <= before[j]:
                assert after[i] <= after[j]


def test_times_that_have_passed_stay_as_they_are(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for file, seconds in ((old, -5000), (new, 5000)):
        file.touch()
        os.utime(file, (0, time.time() + seconds))
    before = old.stat().st_mtime
    assert bring_back([tmp_path]) == 1
    assert old.stat().st_mtime == before
    assert before < new.stat().st_mtime <= time.time()


def test_files_of_others_whose_times_may_not_be_changed_are_left(tmp_path, monkeypatch):
    theirs = tmp_path / "theirs"
    theirs.touch()
    os.utime(theirs, (time.time() + 3600,) * 2)
    before = theirs.stat().st_mtime

    def forbidden(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", forbidden)
    bring_back([tmp_path])
    assert theirs.stat().st_mtime == before


@pytest.mark.parametrize("folder", ["missing", "."])
def test_without_files_from_the_future_nothing_happens(folder, tmp_path):
    assert bring_back([tmp_path / folder]) == 0


def test_files_that_other_jobs_write_and_remove_meanwhile_do_no_harm(tmp_path):
    busy = (
        "import itertools, pathlib, shutil, sys\n"
        "for number in itertools.count():\n"
        "    folder = pathlib.Path(sys.argv[1]) / str(number % 7)\n"
        "    folder.mkdir(exist_ok=True)\n"
        "    for name in range(20):\n"
        "        (folder / str(name)).touch()\n"
        "    shutil.rmtree(folder)\n"
    )
    with subprocess.Popen([sys.executable, "-c", busy, str(tmp_path)]) as other:
        try:
            while not any(tmp_path.iterdir()):
                time.sleep(0.01)
            changed = [bring_back([tmp_path]) for _ in range(500)]
        finally:
            other.kill()
    assert set(changed) == {0}


def test_durations_are_said_as_people_say_them():
    spoken = {42: "42 s", 393: "7 min", 5400: "90 min", 19_800: "5 h 30 min", 183_600: "2 d 3 h"}
    assert {seconds: in_words(seconds) for seconds in spoken} == spoken
