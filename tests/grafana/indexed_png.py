"""Makes pictures of screens small: a palette of colours, where a browser writes all of them."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLORS = 256
_CHANNELS = {2: 3, 6: 4}


def indexed(png: bytes) -> bytes:
    """
    Return a picture of eight bits a channel with at most 256 colours, the most frequent ones.

    Raises:
        ValueError: it is another kind of picture.
    """
    chunks = list(_chunks(png))
    width, height, depth, kind, *_, interlaced = struct.unpack(">IIBBBBB", dict(chunks)[b"IHDR"])
    if depth != 8 or kind not in _CHANNELS or interlaced:
        raise ValueError("not a picture as browsers write it")
    packed = b"".join(data for name, data in chunks if name == b"IDAT")
    size = _CHANNELS[kind]
    rows = [
        [row[at : at + 3] for at in range(0, len(row), size)]
        for row in _unfiltered(zlib.decompress(packed), width * size, height, size)
    ]
    palette = _palette(rows)
    known = {color: index for index, color in enumerate(palette)}
    body = b"".join(
        b"\0" + bytes([known.get(color) or _nearest(color, palette, known) for color in row])
        for row in rows
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", header), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(body, 9)))
    return _SIGNATURE + b"".join(_chunk(*part) for part in (*parts, (b"IEND", b"")))


def _palette(rows: list[list[bytes]]) -> list[bytes]:
    return [color for color, _ in Counter(c for row in rows for c in row).most_common(_COLORS)]


def _nearest(color: bytes, palette: list[bytes], known: dict[bytes, int]) -> int:
    if color not in known:
        known[color] = min(
            range(len(palette)),
            key=lambda at: sum((a - b) ** 2 for a, b in zip(color, palette[at], strict=True)),
        )
    return known[color]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _unfiltered(data: bytes, width: int, height: int, size: int) -> Iterator[bytes]:
    above = bytearray(width)
    for number in range(height):
        at = number * (width + 1)
        row = bytearray(data[at + 1 : at + 1 + width])
        _undo(data[at], row, above, size)
        yield bytes(row)
        above = row


def _undo(kind: int, row: bytearray, above: bytearray, size: int) -> None:
    for at in range(len(row)):
        left = row[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        guesses = (0, left, above[at], (left + above[at]) // 2)
        guess = guesses[kind] if kind < len(guesses) else _paeth(left, above[at], corner)
        row[at] = (row[at] + guess) & 0xFF


def _paeth(left: int, above: int, corner: int) -> int:
    estimate = left + above - corner
    return min((left, above, corner), key=lambda each: abs(estimate - each))
