"""Pictures as addresses that hold them, so that the page needs no other file."""

import base64

TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def as_address(content: bytes, suffix: str) -> str:
    """Bytes of a picture as a data address."""
    return f"data:{TYPES[suffix]};base64,{base64.b64encode(content).decode()}"
