"""Pictures of the docs are small, and show what the screen did."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops, ImageStat

from tests.grafana.pictures import shrink


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
