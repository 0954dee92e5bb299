"""Pictures in the docs are small, and show the current panels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.grafana.committed import panels
from tests.grafana.pictures import ONE_HUB, PICTURES, TITLES, TWELVE_HUBS, shrink


def test_a_picture_of_few_colours_is_smaller_and_shows_the_same(tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    screen = Image.new("RGBA", (400, 300), (17, 18, 23, 255))
    for place in range(200):
        screen.paste((place, 255 - place, 120, 255), (place, 10, place + 1, 290))
    screen.save(path, compress_level=0)
    size = path.stat().st_size
    shrink(path)
    with Image.open(path) as small:
        assert small.mode == "P"
        assert not ImageChops.difference(small.convert("RGB"), screen.convert("RGB")).getbbox()
    assert path.stat().st_size < size / 10


def test_many_colours_become_ones_that_are_near(tmp_path: Path) -> None:
    path = tmp_path / "screen.png"
    gradient = Image.merge(
        "RGB", (Image.linear_gradient("L"), Image.radial_gradient("L"), Image.new("L", (256, 256)))
    )
    gradient.save(path)
    shrink(path)
    with Image.open(path) as small:
        difference = ImageChops.difference(small.convert("RGB"), gradient)
    assert max(high for _, high in ImageStat.Stat(difference).extrema) < 64


@pytest.mark.parametrize(("name", "board"), [*ONE_HUB.items(), *TWELVE_HUBS.items()])
def test_the_pictures_of_the_docs_show_the_panels_that_there_are(name: str, board: str) -> None:
    with Image.open(PICTURES / f"{name}.png") as picture:
        titles = json.loads(picture.text[TITLES])  # type: ignore[attr-defined] # of PNG files
    assert titles == [panel["title"] for panel in panels(board)], (
        "take them anew with python -m tests.grafana.pictures"
    )


def test_no_other_picture_is_kept() -> None:
    assert {path.stem for path in PICTURES.iterdir()} == {*ONE_HUB, *TWELVE_HUBS}
