"""One HTML file that shows an experiment: it needs no network and opens from disk.

contents.py: what goes in, as a plan says; runs.py: what the runs left; findings.py: what was found,
in sentences; sortable.py: its tables; case.py: one case to look at;
documents.py: pages of docs/; page.py: the page itself, from templates/.
"""

import base64
from mimetypes import types_map

SELECTIONS = {
    "last": "last checkpoint",
    "best_on_test": "chosen on test scans",
    "best_on_validation": "chosen on validation scans",
}


def as_address(content: bytes, suffix: str) -> str:
    """An image as an address that holds it, so that the page needs no other file."""
    return f"data:{types_map[suffix]};base64,{base64.b64encode(content).decode()}"
