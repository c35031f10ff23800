"""Tables that people can print: what stands in them, and that LaTeX takes them."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas
import pytest
import yaml
from pylatexenc.latexwalker import LatexEnvironmentNode, LatexWalker

from sgrs_core.experiment.layout import Layout
from sgrs_core.experiment.planning import load_plan
from sgrs_core.reporting.tables import Rules, build_table
from sgrs_core.reporting.typeset import score_of, to_latex, to_markdown
from tests.places import CONFIG
from tests.synthetic_scores import scores, write

pytestmark = pytest.mark.slow

CHARACTERS = r"5% of a_b & #1 {x} ~ ^ \ $ < > | “é” Ω ± – ł 中 `c` *d* [e]"
PAGE = r"""\documentclass[%s]{article}
\usepackage[T1]{fontenc}
\usepackage[a4paper,%s]{geometry}
\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


def tables_of(folder: Path, experiment: str, changes: dict) -> dict[str, tuple[str, str]]:
    """Markdown and LaTeX of all tables of an experiment, from synthetic scores of each run."""
    file = CONFIG / f"{experiment}.yaml"
    values = {**yaml.safe_load(file.read_text()), **changes}
    plan = load_plan(values, [file], CONFIG)
    layout = Layout(plan)
    published = pandas.read_csv(CONFIG / "published.csv")
    made = {}
    for name, sheet in plan.tables.items():
        lines = layout.lines_of_table(name)
        for place, line in enumerate(lines):
            for selection, files in line["scores"].items():
                tables = [
                    scores(85, seed=31 * place + seed, empty=range(place % 3))
                    for seed in range(len(files))
                ]
                synthetic = write(folder, f"{name}-{place}-{selection}", tables)
                line["scores"][selection] = synthetic
        rules = Rules(vars(sheet.margin), sheet.confidence)
        rows = published[published["table"] == (sheet.published_table or 0)]
        table = build_table(sheet.dataset, lines, rows, rules)
        note = plan.note_of(name)
        made[name] = (
            to_markdown(table, sheet.title, note, rules),
            to_latex(table, f"{experiment}-{name}", sheet.title, note, rules),
        )
    return made


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> dict[str, tuple[str, str]]:
    """All tables: of the paper's experiment with several seeds, and of others with one."""
    folder = tmp_path_factory.mktemp("scores")
    source = {"folder": str(folder), "source": "local", "prepared_axes": "xyz"}
    paper = yaml.safe_load((CONFIG / "paper.yaml").read_text())
    datasets = {**paper["datasets"], "brats2019": {**paper["datasets"]["brats2019"], **source}}
    note = {"note": CHARACTERS}
    experiments = {
        "paper": {"datasets": datasets, **note},
        "config": {},
        "equations": {},
        "la_half": {},
    }
    return {
        f"{experiment} {name}": texts
        for experiment, changes in experiments.items()
        for name, texts in tables_of(folder, experiment, changes).items()
    }


def environments(latex: str) -> list[LatexEnvironmentNode]:
    """The tables in a text, as a strict parser sees them."""
    nodes, _, _ = LatexWalker(latex, tolerant_parsing=False).get_latex_nodes()
    return [node for node in nodes if node.isNodeType(LatexEnvironmentNode)]


def test_a_parser_finds_whole_tables_with_as_many_cells_in_each_row(printed):
    for name, (_, latex) in printed.items():
        tables = environments(latex)
        assert tables, name
        assert {node.environmentname for node in tables} == {"table"}
        for table in re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", latex, re.DOTALL):
            widths = {_width(row) for row in table.splitlines() if row.endswith("\\\\")}
            assert len(widths) == 1, (name, widths)


def _width(row: str) -> int:
    """How many columns a row spans."""
    spans = [int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", row)]
    return 1 + len(re.findall(r"(?<!\\)&", row)) + sum(spans)


@pytest.mark.parametrize(
    ("size", "area"),
    [("11pt", "textwidth=160mm,textheight=240mm"), ("10pt", "textwidth=122mm,textheight=193mm")],
    ids=["A4", "LNCS"],
)
def test_every_table_compiles_and_fits_a_page(size, area, printed, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex (texlive-latex-base, texlive-latex-recommended)")
    body = "\n\\clearpage\n".join(latex for _, latex in printed.values())
    (tmp_path / "all.tex").write_text(PAGE % (size, area, body), encoding="utf-8")
    for _ in range(2):  # labels are known the second time
        run = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "all.tex"],
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
    log = (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    wrong = re.findall(r"^(?:!|Overfull|LaTeX Warning).*", log, re.MULTILINE)
    assert wrong == []
    assert run.returncode == 0
    pages = int(re.search(r"Output written on all.pdf \((\d+) pages", log)[1])
    assert pages >= len(printed)


def parts(text: str) -> dict[str, str]:
    """A Markdown table's parts by heading."""
    _, *found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def test_published_columns_stand_only_where_they_are_comparable(printed):
    for name, (markdown, _) in printed.items():
        for heading, part in parts(markdown).items():
            comparable = (
                name.startswith("paper")
                and "isolated" not in name
                and heading
                in (
                    "Selection best_on_test, scoring published",
                    "Selection best_on_validation, scoring published",
                )
            )
            of_last = name == "paper table2" and heading == (
                "Selection last, scoring published"
            )  # V-Net, DTC, CAML and MCF, by their official recipes on LA
            assert ("Dice (%), paper" in part) == (comparable or of_last), (name, heading)


def test_readers_see_titles_groups_means_and_deviations(printed):
    markdown, latex = printed["paper table2"]
    part = parts(markdown)["Selection best_on_test, scoring published"]
    assert "| *4 labelled scans* |" in part
    assert re.search(r"\| MC-Net\+ \| 82.07 \| \*?\*?\d\d\.\d\d\*?\*? ± \d\.\d\d [=≠?]", part)
    assert "SGRS-Net" in part
    assert "sgrs" not in part
    assert "Recipes: official, shared." in part
    assert r"\label{tab:paper-table2-last-strict}" in latex
    assert r"\textbf{" in latex
    assert "Ω con, Θ NR, Δ none" in printed["paper table6"][0]
    assert r"\ensuremath{\Omega} con" in printed["paper table6"][1]


def test_no_distance_is_best_where_an_empty_prediction_counts_as_0(tmp_path):
    lines = [
        {"variant": name, "labelled": 4,
         "scores": {"last": write(tmp_path, name, [scores(80, empty=empty)])}}
        for name, empty in (("empty", range(20)), ("full", []))
    ]  # fmt: skip
    table = build_table("la", lines, pandas.DataFrame({"variant": [], "labelled": []}))
    markdown = parts(to_markdown(table, "Title", "", Rules()))
    (row,) = re.findall(r"\| full .*", markdown["Selection last, scoring published"])
    assert row.count("**") == 4  # Dice and Jaccard
    (row,) = re.findall(r"\| full .*", markdown["Selection last, scoring strict"])
    assert row.count("**") == 8


@pytest.mark.parametrize(
    ("empty", "headings"),
    [
        ([], ["Selection last"]),
        ([0], ["Selection last, scoring strict", "Selection last, scoring published"]),
    ],
)
def test_scorings_that_agree_are_said_once(empty, headings, tmp_path):
    files = write(tmp_path, "one", [scores(80, empty=empty)])
    lines = [{"variant": "vnet", "labelled": 4, "scores": {"last": files}}]
    table = build_table("own", lines, pandas.DataFrame({"variant": [], "labelled": []}))
    assert list(parts(to_markdown(table, "Title", "", Rules()))) == headings
    latex = to_latex(table, "own", "Title", "", Rules())
    assert latex.count(r"\caption") == len(headings)
    assert rf"\caption{{Title. {headings[0]}. Recipe" in latex


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (1, "20 test scans in 2 folds, one seed ± deviation of folds."),
        (2, "20 test scans in 2 folds and 2 seeds ± deviation of folds and seeds."),
    ],
)
def test_the_caption_says_over_what_means_and_deviations_are(seeds, said, tmp_path):
    runs = [scores(80, seed=seed)[fold::2] for seed in range(seeds) for fold in range(2)]
    line = {"variant": "vnet", "labelled": 4, "scores": {"last": write(tmp_path, "one", runs)}}
    table = build_table(
        "own", [{**line, "folds": 2}], pandas.DataFrame({"variant": [], "labelled": []})
    )
    assert f"Means over {said}" in to_markdown(table, "Title", "", Rules())


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_the_caption_says_that_two_seeds_are_few(seeds, tmp_path):
    files = write(tmp_path, "one", [scores(80, seed=seed) for seed in range(seeds)])
    line = {"variant": "vnet", "labelled": 4, "scores": {"last": files}}
    table = build_table("own", [line], pandas.DataFrame({"variant": [], "labelled": []}))
    assert ("Two seeds hardly say" in to_markdown(table, "Title", "", Rules())) is (seeds == 2)


def test_a_mean_of_two_scans_has_an_interval_that_ends_at_what_is_possible(tmp_path):
    two = scores(45, scans=2).assign(dice=[0.2, 0.7], hd95=[1.0, 50.0])
    line = {"variant": "vnet", "labelled": 4, "scores": {"last": write(tmp_path, "one", [two])}}
    table = build_table("own", [line], pandas.DataFrame({"variant": [], "labelled": []}))
    row = table.iloc[0]
    assert row["dice_low"] < 0
    assert score_of(row, "dice", 0.95).interval == "[0.00, 100.00]"
    assert score_of(row, "hd95", 0.95).interval == f"[0.00, {row['hd95_high']:.2f}]"


def test_one_seed_has_no_deviation_and_no_mark(printed):
    markdown, _ = printed["la_half table2"]
    assert "one seed" in markdown
    assert not re.search("[±≠†]", markdown)


def test_the_sentence_about_the_upper_bound_stands_beneath(printed):
    markdown, _ = printed["paper table2"]
    found = re.findall(r"SGRS-Net with (\d) labelled scans against V-Net with 80", markdown)
    assert found == ["4", "8"] * 4  # of each selection and scoring
    assert "points of Dice (one-sided 95% bounds" in markdown


def shown(rows: list[tuple[str, int, float]], folder: Path, **more) -> str:
    """One part's Markdown, of lines with a title, a number of labelled scans and a mean Dice."""
    lines = [
        {"variant": f"v{place}", "title": title, "labelled": labelled,
         "scores": {"last": write(folder, str(place), [scores(dice, seed=place)])}, **more}
        for place, (title, labelled, dice) in enumerate(rows)
    ]  # fmt: skip
    table = build_table("la", lines, pandas.DataFrame({"variant": [], "labelled": []}))
    return to_markdown(table[table["scoring"] == "strict"], "Title", "", Rules())


def test_the_best_of_as_many_labelled_scans_is_bold_and_one_alone_is_not(tmp_path):
    text = shown([("low", 4, 60), ("high", 4, 80), ("alone", 8, 50)], tmp_path)
    bold = [line for line in text.splitlines() if "**" in line]
    assert len(bold) == 1
    assert bold[0].startswith("| high | **")
    assert bold[0].count("**") == 8


def test_words_are_words_in_both_outputs(tmp_path):
    text = shown([("a|b *c* <i>", 4, 60), ("d", 4, 50)], tmp_path)
    assert r"| a\|b \*c\* \<i\> |" in text


@pytest.mark.parametrize("title", ["[strange] title", "* starred", "-1 + 2", "# five"])
def test_a_title_that_begins_with_a_sign_is_a_title(title, tmp_path):
    files = write(tmp_path, "one", [scores()])
    rows = [{"variant": "v", "title": title, "labelled": 4, "scores": {"last": files}}]
    table = build_table("la", rows, pandas.DataFrame({"variant": [], "labelled": []}))
    markdown = to_markdown(table, title, "", Rules())
    assert re.search(r"^# \\\S", markdown)
    assert re.search(r"^\| \\\S", markdown, re.MULTILINE)
    escaped = title.replace("#", r"\#")
    assert f"\n{{{escaped}}} & " in to_latex(table, "name", title, "", Rules())
