"""Whether bytes to come have room on the disk."""

import shutil
from pathlib import Path

MEGABYTE = 1e6


def space_fault(needed: int, folder: Path) -> str | None:
    """Why `needed` bytes have no room in `folder`, which need not exist yet, and what to do."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed <= free:
        return None
    return (
        f"{needed / MEGABYTE:.1f} MB to come, but {folder} has {free / MEGABYTE:.1f} MB free; "
        "make room or choose another folder, then run again"
    )
