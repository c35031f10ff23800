"""The site made of docs/: where links to files outside docs/ lead."""

import logging

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.structure.pages import Page

from docs.tools.site import on_page_markdown
from tests.places import PROJECT


def on_the_site(markdown: str, address: str = "") -> str:
    """What becomes of the Markdown of the page methods/sgrs.md."""
    config = load_config(str(PROJECT / "mkdocs.yml"), repo_url=address)
    files = get_files(config)
    file = files.get_file_from_path("methods/sgrs.md")
    return on_page_markdown(markdown, Page(None, file, config), config, files)


def test_a_link_out_of_docs_leads_into_the_repository():
    found = on_the_site("see [the readme](../../README.md#on-real-scans).", "https://host/a/b")
    assert found == "see [the readme](https://host/a/b/blob/HEAD/README.md#on-real-scans)."


def test_without_the_repositorys_address_it_names_the_file():
    assert on_the_site("[scores](../../results)") == "scores (`results`)"
    assert on_the_site("[`rules/data.smk`](../../rules/data.smk)") == "`rules/data.smk`"


@pytest.mark.parametrize("link", ["[V-Net](vnet.md)", "[tables](../tables.md)", "[a](https://b)"])
def test_other_links_stay(link):
    assert on_the_site(link, "https://host/a/b") == link


def test_a_link_to_nothing_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        on_the_site("[gone](../../gone.py)")
    assert "gone.py, which is not there" in caplog.text
