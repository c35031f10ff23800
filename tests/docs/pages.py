"""The pages that people read, their fenced blocks and commands."""

import re
from textwrap import dedent
from typing import NamedTuple

from tests.places import PROJECT

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "config/README.md",
    *(str(file.relative_to(PROJECT)) for file in sorted((PROJECT / "docs").rglob("*.md"))),
]
FENCED = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w./-]+\.(?:yaml|py))\b")  # the first line of a block that is a file
CONTINUED = re.compile(r"\\\n\s*")
COMMENT = re.compile(r"\s+# .*$")


class Block(NamedTuple):
    """A fenced block: its language, and its text without the indentation of a list."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is, as its first line says."""
        named = NAMED.match(self.text)
        return named[1] if named else None

    @property
    def commands(self) -> list[str]:
        """Of a bash block: one a line, continued lines joined, comments left out."""
        if self.language != "bash":
            return []
        lines = CONTINUED.sub("", self.text).splitlines()
        return [COMMENT.sub("", line) for line in lines if line and not line.startswith("#")]


def text_of(page: str) -> str:
    """A page's Markdown."""
    return (PROJECT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(language, dedent(text)) for _, language, text in FENCED.findall(text_of(page))]


def all_commands() -> list[str]:
    """Of all pages."""
    return [command for page in PAGES for block in blocks_of(page) for command in block.commands]


def prose_of(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", text_of(page))
