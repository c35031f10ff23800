"""Each method's page shows both of its recipes as the configuration has them."""

from pathlib import Path

import pytest

from docs.tools.recipe_tables import pages
from sgrs_core.methods import METHODS

PAGES = pages()


def test_every_method_has_a_table_of_its_recipes():
    assert {path.stem for path in PAGES} == set(METHODS)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_table_is_what_the_configuration_says(path: Path):
    assert path.read_text(encoding="utf-8") == PAGES[path], (
        "run: .venv/bin/python docs/tools/recipe_tables.py"
    )
