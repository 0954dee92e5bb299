"""Every fenced block of every page is what it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.languages import CHECKS, Check
from tests.docs.pages import Block, blocks_of, name_of, pages

BY_PAGE = {name_of(page): found for page in pages() if (found := [*blocks_of(page)])}


@pytest.mark.parametrize("in_it", BY_PAGE.values(), ids=BY_PAGE)
def test_every_block_of_a_page_is_valid(in_it: list[Block], tmp_path: Path) -> None:
    missing = ""
    for number, block in enumerate(in_it):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            check_of(block)(block, folder)
        except pytest.skip.Exception as skipped:
            missing = str(skipped)  # others of the page need not what this one needs
        except Exception as error:
            error.add_note(f"in {block}")
            raise
    if missing:
        pytest.skip(missing)


def check_of(block: Block) -> Check:
    check = CHECKS.get(block.language)
    assert check, f"{block}: no check of tests/docs/languages.py for {block.language!r}"
    return check
