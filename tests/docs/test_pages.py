"""Pages: every block says what it is, no command hides in the prose, every link leads somewhere."""

import re

import pytest

from tests.docs.pages import PAGES, PROJECT, Block, all_commands, blocks_of, prose_of, text_of

LANGUAGES = {"bash", "yaml", "python", "text"}
LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
INLINE = re.compile(r"`(\.venv/bin/[^`]+|snakemake [^`]+)`")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_names_its_language(page):
    """A command in a block without one would not be run."""
    assert {block.language for block in blocks_of(page)} <= LANGUAGES
    assert text_of(page).count("```") == 2 * len(blocks_of(page))


def test_every_command_in_the_prose_stands_in_a_block_too():
    run = set(all_commands())
    spans = [span for page in PAGES for span in INLINE.findall(prose_of(page))]
    assert spans
    assert [span for span in spans if span not in run] == []


def test_every_target_of_make_exists():
    makefile = (PROJECT / "Makefile").read_text()
    named = {name for page in PAGES for name in re.findall("`make ([a-z-]+)`", prose_of(page))}
    assert "demo" in named
    for name in named:
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def anchors_of(page: str) -> set[str]:
    """What GitHub and its like make of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(prose_of(page)):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (PROJECT / page).parent / path if path else PROJECT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(str(target.resolve().relative_to(PROJECT))), link


def test_the_index_names_every_page():
    linked = {link.split("#")[0] for link in LINK.findall(text_of("docs/README.md"))}
    pages = {page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")}
    assert pages - linked == {"README.md"}


def test_a_blocks_commands_are_read_as_a_shell_would():
    block = Block("bash", "a --b c   # why\n\n# alone\nd \\\n    e#f\n")
    assert block.commands == ["a --b c", "d e#f"]
    assert Block("text", "a").commands == []
    assert Block("yaml", "# mine.yaml: goes over\na: 1\n").file == "mine.yaml"
    assert Block("yaml", "a: 1 # b.yaml\n").file is None
