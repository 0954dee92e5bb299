"""Small pictures show what large ones did."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.grafana.indexed_png import _chunk, _chunks, indexed

RED, BLUE, WHITE = b"\xff\0\0", b"\0\0\xff", b"\xff\xff\xff"


def picture(body: bytes, *, width: int, height: int, kind: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def pixels(png: bytes, width: int) -> list[list[bytes]]:
    chunks = dict(_chunks(png))
    colors = [chunks[b"PLTE"][at : at + 3] for at in range(0, len(chunks[b"PLTE"]), 3)]
    data = zlib.decompress(chunks[b"IDAT"])
    rows = [data[at + 1 : at + 1 + width] for at in range(0, len(data), width + 1)]
    return [[colors[index] for index in row] for row in rows]


def test_every_filter_of_a_row_is_undone() -> None:
    plain = RED + BLUE + WHITE
    left = b"\xff\0\0" + b"\x01\0\xff" + b"\xff\xff\0"
    up = bytes(9)
    average = bytes(
        (value - ((plain[at - 3] if at >= 3 else 0) + value) // 2) & 255
        for at, value in enumerate(plain)
    )
    paeth = bytes(9)
    rows = [b"\0" + plain, b"\1" + left, b"\2" + up, b"\3" + average, b"\4" + paeth]
    found = pixels(indexed(picture(b"".join(rows), width=3, height=5)), 3)
    assert found == [[RED, BLUE, WHITE]] * 5


def test_what_does_not_fit_into_the_palette_becomes_the_nearest_colour() -> None:
    many = b"".join(bytes((at % 256, at // 256, 0)) for at in range(300))
    (found,) = pixels(indexed(picture(b"\0" + many + RED * 9, width=309, height=1)), 309)
    assert len(set(found)) == 256
    assert found[-1] == RED
    assert all(abs(color[0] - at % 256) < 64 for at, color in enumerate(found[:300]))


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="as browsers write it"):
        indexed(picture(b"\0\0", width=1, height=1, kind=0))
