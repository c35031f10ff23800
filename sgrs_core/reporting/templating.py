"""The templates of everything that is typeset: tables in Markdown and LaTeX, the HTML report."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, values: dict[str, Any], **options: Any) -> str:
    """A template of TEMPLATES with these values filled in; a value that it lacks is an error.

    options: of jinja's Environment: how values are escaped, and what marks the template's code.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    return environment.get_template(template).render(values)
