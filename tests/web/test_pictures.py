"""The picture of the status page shows what the page says now."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.web.hubs import three_lines_hub
from tests.web.looking import serving_hubs
from tests.web.pictures import PICTURE, TEXT, shown

pytestmark = pytest.mark.anyio


async def test_the_picture_of_the_docs_is_current() -> None:
    """`python -m tests.web.pictures` takes it again."""
    async with serving_hubs(three_lines_hub()) as client:
        text = await shown(client)
    with Image.open(PICTURE) as picture:
        assert picture.info[TEXT] == text
    assert "Needs attention" in text
