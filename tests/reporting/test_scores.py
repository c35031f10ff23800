"""Score files: what is read from them, and what is refused."""

import pytest

from sgrs_core.evaluation.scoring import write_scores
from sgrs_core.reporting.scores import read_scores

LINES = {
    "007": {
        "dice": 0.5, "jaccard": 1 / 3, "hd95": 2.0, "asd": 0.1, "empty": False, "diagonal": 9.5
    },
    "NA, ä": {
        "dice": 0.0, "jaccard": 0.0, "hd95": float("nan"), "asd": float("nan"), "empty": True,
        "diagonal": 9.25,
    },
}  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "scores.csv"
    write_scores(path, LINES)
    return path


def test_what_was_written_is_read(file):
    scores = read_scores(file)
    assert list(scores["scan"]) == ["007", "NA, ä"]
    assert list(scores["empty"]) == [False, True]
    assert scores["jaccard"][0] == 1 / 3
    assert scores["hd95"].isna().tolist() == [False, True]


def test_a_file_of_once_without_diagonals_is_read(file):
    lines = file.read_text().splitlines()
    file.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in lines))
    assert list(read_scores(file)["scan"]) == ["007", "NA, ä"]


def test_a_file_that_is_cut_off_within_a_line_is_refused_wherever_it_is_cut(file):
    whole = file.read_bytes()
    lines = {len(b"".join(whole.splitlines(keepends=True)[:count])) for count in range(2, 4)}
    for length in set(range(len(whole))) - lines:
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"scores\.csv: "):
            read_scores(file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"scan;dice\na;1\n", "it has no column scan"),
        ("scan,dice\n\xe9,1\n".encode("latin-1"), "'utf-8' codec can't decode"),
        (b"scan,dice,jaccard,hd95,asd,empty\na,1,1,0,0,Fals\n", "scan a: empty is neither True"),
        (b"scan,dice,jaccard,hd95,asd,empty\na,1,1,0,0\n", "scan a: empty is neither True"),
        (b"scan,dice,jaccard,hd95,asd,empty\na,1,one,0,0,False\n", "could not convert string"),
        (b"scan,dice,jaccard,hd95,asd,empty\na,1,1,0,0,False,0,0\n", "could not convert"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_reason(content, reason, file):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=rf"scores\.csv: damaged, or no score file \(.*({reason})"):
        read_scores(file)
