"""The table of sources is what the configuration says, and leaves none out."""

from datetime import date

import pytest

from docs.tools.source_table import PAGE, address_of, dataset, page, source_table, sources

# Where a data set's file keeps an address, by the source that uses it.
ADDRESSES = {"mirror": ["mirror.url"], "idc": ["idc.bucket", "labels.url"], "tcia": ["tcia.api"]}


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "run: .venv/bin/python docs/tools/source_table.py"
    )
    assert source_table() in page()


@pytest.mark.parametrize("name", ["la", "pancreas", "brats2019"])
def test_every_source_that_a_data_sets_file_describes_has_a_line(name):
    there = {
        (one, entry["address"])
        for entry in sources()
        for one in entry["source"].split(", ")
        if entry["dataset"] == name
    }
    expected = {
        (source, key)
        for source, keys in ADDRESSES.items()
        for key in keys
        if source in dataset(name) and key.split(".")[0] in dataset(name)
    }
    assert expected <= there
    assert there


@pytest.mark.parametrize("entry", sources(), ids=lambda entry: f"{entry['what']}")
def test_a_line_says_everything(entry):
    assert None not in entry, "a comma too many"
    assert all(entry.values())
    assert address_of(entry).startswith("https://")
    day, _, how = entry["seen"].partition(": ")
    assert how
    assert date.fromisoformat(f"{day}-01" if len(day) == 7 else day) >= date(2026, 11, 1)
