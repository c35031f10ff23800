"""Where the repository lies."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
CONFIG = PROJECT / "config"
