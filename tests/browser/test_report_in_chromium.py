"""The report as a reader sees it: in Debian's Chromium, from disk."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.synthetic_results import make_report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no chromium here (Debian: apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report ä")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "report.html").write_text(make_report(), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    with playwright.sync_playwright() as started:
        # As root, in a container, Chromium cannot build its own sandbox; the page is our own.
        # Without a graphics card WebGL is drawn by its software.
        drawn = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *drawn])
        yield browser
        browser.close()


@pytest.fixture(params=[(360, "light"), (1280, "dark")], ids=str)
def page(request, browser, report) -> Iterator:
    """The open page, in each window and colour scheme; at its end nothing may have gone wrong."""
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    yield page
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def test_all_images_load(page):
    widths = page.evaluate("Array.from(document.images, (image) => image.naturalWidth)")
    assert len(widths) > 4
    assert all(width > 0 for width in widths)


def test_the_page_does_not_scroll_sideways(page):
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def column(page, table: str, place: int) -> list[str]:
    return page.evaluate(
        "([table, place]) => Array.from(document.querySelector(table).tBodies[0].rows, "
        "(row) => row.cells[place].firstChild.textContent.trim())",
        [table, place],
    )


def published_part(page) -> str:
    """Show the part of Table 2 in which published numbers stand, and name its table."""
    page.locator("#table-table2 [role=tab]").nth(3).click()
    return "#table-table2-4 table"


def choose(page, metric: str) -> None:
    page.locator(f"#metric input[value='{metric}']").check()


def test_a_click_sorts_and_a_second_one_turns_the_order(page):
    table = published_part(page)
    dice = page.locator(f"{table} .columns th").nth(3)  # ours
    unsorted = column(page, table, 3)
    numbers = sorted(float(text) for text in unsorted if text != "–")
    assert len(numbers) == 2
    dice.locator("button").click()
    assert dice.get_attribute("aria-sort") == "ascending"
    shown = column(page, table, 3)
    assert [float(text) for text in shown[: len(numbers)]] == numbers
    dice.locator("button").click()
    assert dice.get_attribute("aria-sort") == "descending"
    shown = column(page, table, 3)
    assert [float(text) for text in shown[: len(numbers)]] == numbers[::-1]
    assert set(shown[len(numbers) :]) == {"–"}  # missing values stay at the end
    assert sorted(shown) == sorted(unsorted)


def test_numbers_are_sorted_as_numbers_from_the_keyboard(page):
    table = published_part(page)
    choose(page, "95HD (voxels)")
    distance = page.locator(f"{table} .columns th").nth(8)  # the published 95HD: 47.05, 6.68, …
    distance.locator("button").focus()
    page.keyboard.press("Enter")
    assert distance.get_attribute("aria-sort") == "ascending"
    shown = [float(text) for text in column(page, table, 8) if text != "–"]
    assert len(shown) > 10
    assert shown == sorted(shown)
    assert shown[0] < 10 <= shown[-1]


def test_rows_stay_whole_when_sorted(page):
    table = published_part(page)

    def rows():
        return set(zip(column(page, table, 0), column(page, table, 2), strict=True))

    before = rows()
    page.locator(f"{table} .columns button").nth(2).click()
    assert rows() == before


def test_tabs_show_one_part_at_a_time(page):
    tabs = page.locator("#table-table2 [role=tab]")
    assert tabs.count() == 4
    assert page.locator("#table-table2 .panel:visible").count() == 1
    tabs.nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    assert page.locator("#table-table2-2").is_visible()
    tabs.nth(3).click()
    assert page.locator("#table-table2-4").is_visible()
    assert page.locator("#table-table2 .panel:visible").count() == 1


def test_the_worst_counting_of_empty_predictions_is_shown_first(page):
    chosen = page.locator("#table-table2 [role=tab][aria-selected=true]")
    assert chosen.text_content() == "last checkpoint, strict"


def shown_heads(page, table: str) -> list[str]:
    heads = page.locator(f"{table} [scope=colgroup]:visible").all_text_contents()
    columns = page.locator(f"{table} .columns th:visible").all_text_contents()
    cells = page.locator(f"{table} tbody tr").first.locator("th:visible, td:visible")
    assert cells.count() == len(columns)
    return [*heads, *columns]


def test_one_metric_is_shown_at_a_time_or_all(page):
    table = published_part(page)
    around = ["method", "labelled"], ["seeds", "empty"]
    each = ["published", "ours", "difference"]
    assert shown_heads(page, table) == ["Dice (%)", *around[0], *each, *around[1]]
    choose(page, "ASD (voxels)")
    assert shown_heads(page, table) == ["ASD (voxels)", *around[0], *each, *around[1]]
    assert page.locator("#selection-gain [scope=colgroup]:visible").count() == 1
    choose(page, "")
    assert len(shown_heads(page, table)) == 4 + 2 + 12 + 2


def test_a_table_with_one_metric_fits_the_window(page):
    for table in ("#table-table2-1", "#table-table2-4"):
        page.locator("#table-table2 [role=tab]").nth(int(table[-1]) - 1).click()
        widths = page.locator(f"{table} .box").evaluate(
            "(box) => [box.scrollWidth, box.clientWidth]"
        )
        assert widths[0] <= widths[1], table


def test_the_page_begins_with_what_was_found(page):
    first = page.locator("#findings li").first
    assert first.is_visible()
    assert first.text_content().startswith("Comparison on LA, 4 labelled scans: ")
    assert first.bounding_box()["y"] < 800


def test_no_figure_glares_in_the_dark(page):
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    filters = page.evaluate(
        "Array.from(document.images, (image) => getComputedStyle(image).filter !== 'none')"
    )
    assert set(filters) == {is_dark}


def test_the_slider_changes_slice_and_outlines(page):
    def shown():
        return page.evaluate(
            "Array.from(document.querySelectorAll('#case image, #case .views .prediction'), "
            "(one) => one.getAttribute('href') || one.getAttribute('d'))"
        )

    before = shown()
    page.locator("#case-slice").focus()
    page.keyboard.press("Home")
    after = shown()
    assert len(before) == 4
    assert page.locator("#case output").text_content() == "2"
    assert after[0] != before[0]
    assert after[0] == after[2]  # one image for both predictions
    assert before[1].startswith("M")
    assert after[1] == ""  # the moved box is not in this slice


def test_the_truth_lies_over_the_prediction_and_both_are_explained(page):
    drawn = page.evaluate(
        "Array.from(document.querySelectorAll('#case .views svg'), "
        "(view) => Array.from(view.querySelectorAll('path'), (path) => path.className.baseVal))"
    )
    assert drawn == [["prediction", "truth"]] * 2
    for name in ("truth", "prediction"):
        strokes = page.evaluate(
            f"Array.from(document.querySelectorAll('#case path.{name}'), "
            "(path) => getComputedStyle(path).stroke + getComputedStyle(path).strokeDasharray)"
        )
        assert len(strokes) == 3  # in both views, and where they are explained
        assert len(set(strokes)) == 1
    assert page.locator("#case figcaption").all_text_contents() == [
        "Moved Dice 78.8%", "Nothing empty prediction",
    ]  # fmt: skip


def test_the_slider_stays_in_sight_beside_the_last_image(page):
    page.set_viewport_size({"width": 360, "height": 200})
    page.evaluate("document.querySelector('#case figcaption').scrollIntoView({block: 'end'})")
    slider = page.locator("#case-slice").bounding_box()
    assert 0 <= slider["y"] < 60


def picture(page) -> bytes:
    return page.locator("#surfaces canvas").screenshot()


def test_on_a_touchscreen_the_surfaces_leave_room_for_the_finger_that_scrolls(browser, report):
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.goto(report.as_uri())
    page.locator("#surfaces").scroll_into_view_if_needed()
    page.locator("#surfaces[data-drawn] canvas").wait_for()
    assert page.locator("#surfaces canvas").bounding_box()["height"] < 844 / 2
    context.close()


def test_surfaces_are_drawn_turned_and_chosen(page):
    page.locator("#surfaces").scroll_into_view_if_needed()
    page.locator("#surfaces[data-drawn] canvas").wait_for()
    assert page.locator("#surfaces .missing").is_hidden()
    both = picture(page)
    page.locator("#surfaces canvas").focus()
    page.keyboard.press("ArrowLeft")
    turned = picture(page)
    assert turned != both
    page.get_by_role("button", name="First view").click()
    assert picture(page) == both
    page.locator("#surfaces canvas").focus()
    page.keyboard.press("ArrowLeft")
    page.locator("#surfaces input").uncheck()
    alone = picture(page)
    assert alone != turned
    page.locator("#surfaces select").select_option("2")  # an empty prediction
    assert picture(page) != alone
    names = page.locator("#surfaces option").all_text_contents()
    assert names == ["Moved, Dice 78.8%", "Nothing, empty prediction"]


def test_without_webgl_a_sentence_stands_there(browser, report):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(report.as_uri())
    page.locator("#surfaces").scroll_into_view_if_needed()
    assert page.locator("#surfaces .missing").is_visible()
    assert page.locator("#surfaces canvas").is_hidden()
    context.close()


def test_on_paper_all_parts_are_there(page):
    page.emulate_media(media="print")
    assert page.locator("#table-table2 .panel:visible").count() == 4
    assert page.locator("#table-table2-4 [scope=colgroup]:visible").count() == 4


def test_without_scripts_nothing_is_hidden(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#table-table2 .panel:visible").count() == 4
    context.close()
