"""Links of a page to files outside docs/, for the site (mkdocs.yml names this file as a hook).

On GitHub they lead there as they stand. The site holds docs/ alone: there they lead into the
repository if its address is known (REPOSITORY_URL), and otherwise become text with the path.
"""

import os
import re
from logging import getLogger
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

LOG = getLogger(f"mkdocs.hooks.{__name__}")  # a warning below `mkdocs` ends a strict build
UPWARDS = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)\s]*)\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A page's Markdown with the links that leave docs/ rewritten; mkdocs calls this."""
    docs = Path(config.docs_dir)
    folder = (docs / page.file.src_uri).parent

    def rewritten(link: re.Match[str]) -> str:
        text, target = link.groups()
        path, _, anchor = target.partition("#")
        found = Path(os.path.normpath(folder / path))
        if found.is_relative_to(docs):
            return link[0]
        if not found.exists():
            LOG.warning("%s links to %s, which is not there", page.file.src_uri, target)
        name = found.relative_to(docs.parent).as_posix()
        if not config.repo_url:
            return text if name in text else f"{text} (`{name}`)"
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/HEAD/{name}{anchor and '#' + anchor})"

    return UPWARDS.sub(rewritten, markdown)
