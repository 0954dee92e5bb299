"""`python -m tests.web.pictures` takes the picture of the status page in the docs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import httpx
from PIL import Image, PngImagePlugin

from tests.web.hubs import three_lines_hub
from tests.web.looking import Read, serving_hubs
from tests.web.test_browser import open_browser

PICTURE = Path(__file__).parents[2] / "docs" / "page.png"
WIDTH, HEIGHT = 1100, 664
TEXT = "page"


async def shown(client: httpx.AsyncClient) -> str:
    """Return the text of the first screen, which the picture carries along."""
    page = Read((await client.get("/")).text)
    return page.text.partition(" Stalled instances ")[0]


async def take() -> None:
    """Take the first screen of a hub with the usual trouble."""
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "page.png"
        async with (
            serving_hubs(three_lines_hub()) as client,
            open_browser(Path(home)) as browser,
        ):
            await browser.look(str(client.base_url), WIDTH, screenshot=str(path))
            text = PngImagePlugin.PngInfo()
            text.add_text(TEXT, await shown(client))
        with Image.open(path) as picture:
            first = picture.convert("RGB").crop((0, 0, WIDTH, HEIGHT))
            small = first.quantize(256, dither=Image.Dither.NONE)
    small.save(PICTURE, optimize=True, pnginfo=text)


if __name__ == "__main__":
    anyio.run(take)
