"""The report: one file, complete, that fetches nothing."""

import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas
import pytest
from markupsafe import escape

from sgrs_core.evaluation.units import METRICS
from sgrs_core.experiment.layout import Layout
from sgrs_core.reporting.figures.cases import Case
from sgrs_core.reporting.figures.training_curves import REPORT_POINTS, thinned
from sgrs_core.reporting.html import sortable
from sgrs_core.reporting.html.case import path_of, report_case
from sgrs_core.reporting.html.contents import pages_of
from sgrs_core.reporting.html.documents import (
    ON_PUBLISHED,
    ON_UPPER_BOUND,
    glossary_of,
    read_page,
)
from sgrs_core.reporting.html.page import build_report
from sgrs_core.reporting.tables import read_table
from sgrs_core.reporting.templating import TEMPLATES
from tests.synthetic_results import (
    LONG_NAME,
    PROJECT,
    make_report,
    plan_of_quick,
    synthetic_case,
    write_record,
)

NIIVUE, LICENCES = (
    (TEMPLATES / "vendored" / name).read_text(encoding="utf-8")
    for name in ("niivue.js", "LICENSE.txt")
)
VOID = {"meta", "link", "img", "br", "hr", "input"}
FETCHING = ("src", "href", "srcset", "data", "action", "poster")


class Page(HTMLParser):
    """What a page holds: attributes and texts by tag; every opened tag must be closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]

    def text(self, tag: str) -> list[str]:
        return [text for inside, text in self.texts if inside == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def html(folder) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return make_report()


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def test_nothing_in_the_page_is_fetched(html, page):
    addresses = [address for name in FETCHING for address in page.values(name)]
    assert len(addresses) > 10
    assert [a[:60] for a in addresses if not a.startswith(("data:", "#"))] == []
    ours = html.replace(NIIVUE, "").replace(LICENCES, "")
    assert len(html) - len(ours) > 2_000_000
    assert not re.search(r"url\(|@import|https?://", ours)


def test_the_policy_forbids_the_network_and_names_the_pages_script(html):
    assert html.count("<script>") == 3
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy.startswith("default-src 'none'; img-src data:")
    assert policy.count("'sha256-") == 3
    assert "unsafe-eval" not in policy
    assert "http" not in policy


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = page.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    targets = {link[1:] for link in page.values("href") if link.startswith("#")}
    assert len(targets) >= 8
    assert targets <= set(ids)


def test_every_tag_is_closed(page):
    assert page.open == []


def test_every_run_is_there_with_its_curves_and_each_selections_scores(page):
    runs = Layout(plan_of_quick()).runs()
    titles = [run["label"] for run in runs]
    assert len(titles) == 8
    assert titles[0] == "V-Net, LA, 4 labelled, seed 0"
    assert [text for text in page.text("summary") if "seed" in text] == titles
    captions = Counter(page.text("caption"))
    for selection in ("last checkpoint", "chosen on test scans"):
        assert captions[f"Scores of the test scans, {selection}"] == len(runs)
    assert sum(source.startswith("data:image/svg") for source in page.values("src")) == len(runs)


def test_every_table_has_a_part_for_each_selection_and_scoring(page):
    names = page.values("data-name")
    each = [
        f"{selection}, {scoring}"
        for selection in ("last checkpoint", "chosen on test scans")
        for scoring in ("strict", "published")
    ]
    assert names == each * 2  # Tables 2 and 7


def test_numbers_are_those_of_the_table(folder, page):
    table = read_table(folder / Layout(plan_of_quick()).outputs("table2")[0])
    dice = table.loc[(table["method"] == "sgrs") & (table["scoring"] == "strict"), "dice_ours"]
    assert "89.70" in "".join(page.text("td"))  # SGRS-Net's published Dice
    assert {f"{value:.2f}" for value in dice} <= {text.strip() for text in page.text("td")}


def test_images_have_words_for_those_who_do_not_see_them(page):
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert all(image["alt"] for image in images)


def test_what_was_written_by_others_cannot_become_markup(html):
    assert "<b>1 & 2</b>" not in html
    assert "Made up: &lt;b&gt;1 &amp; 2&lt;/b&gt;." in html
    assert "a &lt;processor&gt;" in html


def test_the_summary_names_commits_days_and_hours(page):
    facts = page.text("dd")
    assert "0123456789ab, fedcba987654 with changes" in facts
    runs = len(Layout(plan_of_quick()).runs())
    assert f"2026-01-01 to 2026-01-{runs:02}" in facts
    assert f"{sum(range(1, runs + 1)):.2f}" in facts


def test_the_worst_scan_comes_first(page):
    heads = page.text("th")
    start = next(i for i, text in enumerate(heads) if text == LONG_NAME)
    assert set(heads[start + 1 : start + 4]) == {"a", "b", "c"}


def test_a_file_of_costs_is_shown_in_place_of_the_records_hours(html, tmp_path):
    nothing = {"experiment": "x", "note": "", "seeds": [0], "datasets": [], "tables": []}
    cost = tmp_path / "cost.csv"
    pandas.DataFrame({"method": ["sgrs"], "peak_memory": [1234.5]}).to_csv(cost, index=False)
    (tmp_path / "log.csv").write_text("iteration,loss\n10,0.5\n20,0.25\n")
    run = {"dataset": "la", "labelled": 4, "variant": "sgrs", "seed": 0, "scores": {}}
    run |= {"title": "SGRS-Net", "label": "SGRS-Net, LA, 4 labelled, seed 0"}
    run |= {"dataset_title": "LA"}
    run |= {"log": tmp_path / "log.csv", "record": tmp_path / "record.json"}
    write_record(run["record"], 0)
    shown = build_report({**nothing, "figures": [], "runs": [run]}, cost=cost).html
    section = shown.split('<section id="cost">')[1].split("</section>")[0]
    assert "peak memory" in section
    assert "1234.50" in section
    assert "hours per run" not in section
    assert "hours per run" in html


def test_verdicts_are_counted_where_there_are_any():
    words = ("equivalent", "different", "equivalent", "")
    row = {f"{metric}_verdict": word for metric, word in zip(METRICS, words, strict=True)}
    nothing = dict.fromkeys(row, "")
    more = {"selection": "last", "empty": 0, **{f"{metric}_published": 1.0 for metric in METRICS}}
    rows = [
        {"scoring": "published", **more, **row},
        {"scoring": "strict", **more, **nothing},
    ]
    (count,) = sortable.verdicts(pandas.DataFrame(rows))
    assert (count["scoring"], count["equivalent"], count["different"]) == ("published", 2, 1)
    assert count["inconclusive"] == 0


def test_a_long_log_is_thinned_by_means():
    log = pandas.DataFrame({"iteration": range(1, 1001), "loss": [0.0, 2.0] * 500})
    shown = thinned(log)
    assert len(shown) == REPORT_POINTS
    assert set(shown["loss"]) == {1.0}


def test_of_a_methods_page_only_differences_are_shown():
    text = str(read_page(PROJECT / "docs/methods/sgrs.md").body)
    assert "labelled_dice" in text
    assert "The step" not in text


def test_people_read_titles_and_not_ids(page):
    shown = {text.strip() for tag in ("td", "th", "summary", "strong") for text in page.text(tag)}
    assert {"SGRS-Net", "Left atrium (LA)", "Mix augmentation"} <= shown
    assert shown.isdisjoint({"sgrs", "la", "ma", "table2", "last", "best_on_test"})


def test_seeds_are_counted_and_named(page):
    assert "2 (numbers 0, 1)" in page.text("dd")


def test_a_row_that_is_not_run_has_no_seeds(html):
    (row, *_) = re.findall(r'<tr class="faint">.*?</tr>', html)
    assert row.endswith('<td class="number">–</td></tr>')
    assert '<td class="number">0</td>' not in row


def test_words_that_the_tables_use_are_explained_where_they_stand(html):
    meanings = glossary_of(PROJECT / "docs/glossary.md")
    assert meanings["phantom"].startswith("A scan that is made up")
    for word in ("selection", "scoring", "strict", "published"):
        assert f'title="{escape(meanings[word])}">{word}</a>' in html
    assert 'id="page-glossary"' in html


def test_links_out_of_the_report_become_words(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("# Page\n\n[one](other.md#part) [two](https://nowhere.example) ![x](y.png)\n")
    body = str(read_page(file, ["other.md"]).body)
    assert body == '<p><a href="#page-other">one</a> two </p>\n'


def test_a_method_without_a_page_does_not_stop_the_report(tmp_path):
    (tmp_path / "paper.md").write_text("# Paper\n")
    assert pages_of(plan_of_quick(), tmp_path) == [Path(tmp_path / "paper.md")]


def test_slices_show_what_is_outlined_with_a_margin():
    shown = report_case(synthetic_case(), with_surfaces=False)
    assert [one["z"] for one in shown["slices"]] == list(range(2, 11))
    assert (shown["width"], shown["height"]) == (23 + 12, (16 - 14 + 2 * 12) * 2)
    assert shown["panels"] == ["Moved", "Nothing"]
    assert shown["verdicts"] == ["Dice 78.8%", "empty prediction"]
    assert [bool(path) for path in shown["slices"][0]["predictions"]] == [False, False]
    assert [bool(path) for path in shown["slices"][5]["predictions"]] == [True, False]


def test_slices_are_at_most_forty_of_a_long_scan():
    case = synthetic_case()
    label = np.zeros((40, 30, 100), dtype=bool)
    label[10, 10, 5:95] = True
    image = np.zeros(label.shape, dtype=np.float32)
    long = report_case(Case("a", image, label, {}, case.spacing), with_surfaces=False)
    chosen = [one["z"] for one in long["slices"]]
    assert chosen == list(range(5, 95, 3))


def test_an_outline_lies_around_its_voxels():
    mask = np.zeros((6, 6), dtype=bool)
    mask[2:4, 1] = True
    numbers = re.findall(r"[\d.]+", path_of(mask, (1.0, 2.0)))
    points = np.array(numbers, dtype=float).reshape(-1, 2)
    assert points.min(axis=0).tolist() == [2, 2]  # voxels 2 and 3 of 1 mm, voxel 1 of 2 mm
    assert points.max(axis=0).tolist() == [4, 4]


def test_a_report_without_published_numbers_and_upper_bound_does_not_explain_them(
    html, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    without = make_report(with_surfaces=False, with_published=False)
    of_published = ("Ours beside the paper", "the paper has 52.55", "Published numbers stand only")
    assert all(text in html for text in of_published)
    assert not any(text in without for text in (*of_published, "Approaches the upper bound"))
    assert all("One method against another" in text for text in (html, without))
    page = (PROJECT / "docs/tables.md").read_text()
    assert all(f"\n## {heading}\n" in page for heading in (ON_PUBLISHED, ON_UPPER_BOUND))


def test_without_surfaces_the_report_is_small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = make_report(with_surfaces=False)
    assert 'id="surfaces"' not in shown
    assert 'id="case"' in shown
    assert len(shown) < 2_000_000


def test_the_report_stays_below_twelve_megabytes(html):
    assert len(html.encode()) < 12e6


def test_the_code_of_others_is_as_its_page_says_it_was_published():
    folder = TEMPLATES / "vendored"
    digest = hashlib.sha256((folder / "niivue.js").read_bytes()).hexdigest()
    assert f"`{digest}`" in (folder / "README.md").read_text()
