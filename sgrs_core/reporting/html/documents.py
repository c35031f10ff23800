"""Pages of docs/ as parts of the report."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

# Sections of a method's page that say how it departs from its paper.
ABOUT_DIFFERENCES = re.compile("differ|choice|inconsistenc", re.IGNORECASE)
# Sections on what a table may not have.
ON_PUBLISHED, ON_UPPER_BOUND = "Ours beside the paper's: = ≠ ?", '"Approaches the upper bound"'
DEEPER = 2  # levels: the report has two levels of headings of its own
DEEPEST = 6


@dataclass(frozen=True)
class Page:
    """A page: its title, and its body as HTML."""

    id: str
    title: str
    body: Markup


def read_page(
    path: Path,
    linked: Sequence[str] = (),
    only: re.Pattern[str] | None = None,
    without: Collection[str] = (),
) -> Page:
    """The page at `path`; `only`: the sections with such a heading alone; `without`: not these.

    linked: names of the pages that the report holds, to which links are kept. All other links
    become plain text, as the report is one file and fetches nothing.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    heading, _, text = path.read_text(encoding="utf-8").partition("\n")
    first, *sections = re.split("^(?=## )", text, flags=re.MULTILINE)
    titles = (section.splitlines()[0].removeprefix("## ") for section in sections)
    kept = [
        section
        for title, section in zip(titles, sections, strict=True)
        if title not in without and (only is None or only.search(title))
    ]
    text = "".join(kept if only else [first, *kept])
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(DEEPEST, int(token.tag[1]) + DEEPER)}"
        if token.children:
            token.children = _inside(token.children, linked)
    body = markdown.renderer.render(tokens, markdown.options, {})
    return Page(
        id_of(path.name), heading.removeprefix("# "), Markup(body)
    )  # of our own pages, HTML in them escaped


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
