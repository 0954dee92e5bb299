"""The chunked coding of a body, taken off as its bytes come in. No I/O."""

from __future__ import annotations

import re

from httpx import RemoteProtocolError

from exporter.api.transport.head import is_field

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*|[ \t]*)")
_LONGEST_LINE = 4096
_LARGEST_TRAILER = 16_384
_LINE_END = b"\r\n"


class ChunkedBody:
    """
    Takes the coding off; extensions and trailers are read over.

    `rest` is what was fed beyond the end, once it `is_complete`.
    """

    def __init__(self) -> None:
        self.is_complete = False
        self._pending = b""
        self._left = 0
        self._in_data = False
        self._in_trailer = False
        self._trailer_size = 0

    @property
    def rest(self) -> bytes:
        """The bytes that do not belong to the body."""
        return self._pending

    def feed(self, received: bytes) -> bytes:
        """
        Return the data in the next *received* bytes.

        Raises `httpx.RemoteProtocolError` for what is not the chunked coding.
        """
        buffer = self._pending + received if self._pending else received
        pieces: list[bytes] = []
        at = 0
        while not self.is_complete:
            begin = at
            at = self._data(buffer, at, pieces) if self._in_data else self._line(buffer, at)
            if at == begin:
                break
        self._pending = buffer[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _data(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        """Take data from *at* on, and the end of its line; returns how far it came."""
        if self._left:
            piece = buffer[at : at + self._left]
            if piece:
                pieces.append(piece)
            self._left -= len(piece)
            return at + len(piece)
        end = buffer[at : at + 2]
        if not _LINE_END.startswith(end):
            raise RemoteProtocolError("a chunk of the answer is longer than it says")
        if len(end) < len(_LINE_END):
            return at
        self._in_data = False
        return at + 2

    def _line(self, buffer: bytes, at: int) -> int:
        """Read a line from *at* on, if there is a whole one; returns how far it came."""
        end = buffer.find(_LINE_END, at, at + _LONGEST_LINE)
        if end < 0:
            if len(buffer) - at >= _LONGEST_LINE:
                raise RemoteProtocolError("the chunks of the answer have a line without end")
            return at
        line = buffer[at:end]
        if self._in_trailer:
            self._read_trailer(line)
        else:
            self._read_size(line)
        return end + len(_LINE_END)

    def _read_size(self, line: bytes) -> None:
        match = _SIZE.fullmatch(line)
        if match is None:
            raise RemoteProtocolError("a chunk of the answer has no size")
        self._left = int(match[1], 16)
        self._in_data = self._left > 0
        self._in_trailer = not self._in_data

    def _read_trailer(self, line: bytes) -> None:
        self.is_complete = not line
        if line and not is_field(line):
            raise RemoteProtocolError("the trailer of the answer has an illegal field")
        self._trailer_size += len(line)
        if self._trailer_size > _LARGEST_TRAILER:
            raise RemoteProtocolError("the trailer of the answer is too large")
