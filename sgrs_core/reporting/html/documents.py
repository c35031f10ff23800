"""Pages of docs/ as parts of the report."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# Sections of a method's page that say how it departs from its paper.
ABOUT_DIFFERENCES = re.compile("differ|choice|inconsistenc", re.IGNORECASE)
# Sections on what a table may not have.
ON_PUBLISHED, ON_UPPER_BOUND = "Ours beside the paper's: = ≠ ?", '"Approaches the upper bound"'
DEEPER = 2  # levels: the report has two levels of headings of its own
DEEPEST = 6


class Page(NamedTuple):
    """A page: its title, and its body as HTML."""

    id: str
    title: str
    body: Markup


def read_pages(paths: Sequence[Path], without: Collection[str] = ()) -> list[Page]:
    """The pages that have something to say; a simple method's may name no difference."""
    told = [path for path in paths if read_page(path).body]
    return [read_page(path, [one.name for one in told], without) for path in told]


def read_page(path: Path, linked: Sequence[str] = (), without: Collection[str] = ()) -> Page:
    """The page at `path`, without some sections; of a method's, those on differences alone.

    linked: names of the pages that the report holds, to which links are kept. All other links
    become plain text, as the report is one file and fetches nothing.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    heading, _, text = path.read_text(encoding="utf-8").partition("\n")
    first, *sections = re.split("^(?=## )", text, flags=re.MULTILINE)
    is_of_method = path.parent.name == "methods"
    kept = [] if is_of_method else [first]
    for section in sections:
        title = section.splitlines()[0].removeprefix("## ")
        if title not in without and (not is_of_method or ABOUT_DIFFERENCES.search(title)):
            kept.append(section)
    tokens = markdown.parse("".join(kept))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(DEEPEST, int(token.tag[1]) + DEEPER)}"
        if token.children:
            token.children = _inside(token.children, linked)
    body = Markup(markdown.renderer.render(tokens, markdown.options, {}))  # HTML in it is escaped
    return Page(id_of(path.name), heading.removeprefix("# "), body)


def glossary_of(path: Path) -> dict[str, str]:
    """The words that a page explains in a list, `- **word**: what it means.`, as plain texts."""
    _, *entries = path.read_text(encoding="utf-8").split("\n- **")
    words = (entry.split("\n\n")[0].partition("**: ") for entry in entries)
    return {
        word: Markup(MarkdownIt("commonmark").renderInline(text)).striptags()
        for word, _, text in words
    }


def id_of(name: str) -> str:
    """The place of a page in the report."""
    return "page-" + Path(name).stem


def _inside(tokens: Sequence[Token], linked: Sequence[str]) -> list[Token]:
    """Without images, and with links to pages of the report alone."""
    kept: list[Token] = []
    is_open = False
    for token in tokens:
        if token.type == "link_open":
            name = Path(str(token.attrs["href"]).split("#")[0]).name
            is_open = name in linked
            token.attrs["href"] = f"#{id_of(name)}"
        if token.type in ("link_open", "link_close") and not is_open:
            continue
        if token.type != "image":
            kept.append(token)
    return kept
