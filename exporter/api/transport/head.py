"""The head of an answer: status, fields, and how its body is framed. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

from httpx import RemoteProtocolError

LARGEST_HEAD = 65_536
"""Bytes of a head that are read; a Netherite token alone can have several thousand."""

BLANK_LINE = b"\r\n\r\n"
_BEGIN = b"HTTP/1."
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELDS = re.compile(rb"(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*+)*+")
_FOLD = re.compile(rb"\r\n[ \t]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_INTERIM = 200
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Head:
    """
    The head of an answer.

    `length` is that of the body in bytes; None where it is `chunked`, or ends with the connection.
    """

    status: int
    version: bytes
    reason: bytes
    fields: list[tuple[bytes, bytes]]
    length: int | None
    chunked: bool
    keeps_alive: bool

    @property
    def is_interim(self) -> bool:
        """Tell whether another head follows, that of the real answer."""
        return self.status < _INTERIM


def may_begin(received: bytes) -> bool:
    """Tell whether the first bytes of an answer may be those of HTTP/1."""
    return _BEGIN.startswith(received[: len(_BEGIN)])


def parse_head(text: bytes) -> Head:
    """
    Read a head, without the blank line at its end.

    A message that different readers may frame differently is refused: both kinds of length, lengths
    that contradict each other, a coding other than chunked. Raises `httpx.RemoteProtocolError`,
    which never quotes what was received.
    """
    status_line, _, _ = text.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None:
        raise RemoteProtocolError("the answer does not begin with a status line of HTTP/1")
    rest = text[len(status_line) :]
    if b"\n " in rest or b"\n\t" in rest:
        rest = _FOLD.sub(b" ", rest)
    if not _FIELDS.fullmatch(rest):
        raise RemoteProtocolError("the answer has an illegal header field")
    pairs = (line.partition(b":") for line in rest.split(b"\r\n")[1:])
    fields = [(name, value.strip(b" \t")) for name, _, value in pairs]
    version, status, reason = match.groups()
    return _framed(int(status), version, reason or b"", fields)


def is_field(line: bytes) -> bool:
    """Tell whether a line is a header field, other than one that says how a body is framed."""
    name, _, _ = line.partition(b":")
    framing = name.lower() in (b"content-length", b"transfer-encoding")
    return not framing and _FIELDS.fullmatch(b"\r\n" + line) is not None


def _framed(status: int, version: bytes, reason: bytes, fields: list[tuple[bytes, bytes]]) -> Head:
    length: int | None = None
    chunked = False
    keeps_alive = version == b"1"
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"content-length":
            length = _length(value, length)
        elif lowered == b"transfer-encoding":
            if chunked or value.lower() != b"chunked" or version != b"1":
                raise RemoteProtocolError("the answer has a transfer coding that is not understood")
            chunked = True
        elif lowered == b"connection" and b"close" in value.lower():
            keeps_alive = False
    if chunked and length is not None:
        raise RemoteProtocolError("the answer has two kinds of length")
    if status == _SWITCHING_PROTOCOLS:
        raise RemoteProtocolError("the answer switches to another protocol")
    if status < _INTERIM or status in _WITHOUT_BODY:
        length, chunked = 0, False
    keeps_alive = keeps_alive and (chunked or length is not None)
    return Head(status, b"HTTP/1." + version, reason, fields, length, chunked, keeps_alive)


def _length(value: bytes, before: int | None) -> int:
    """Read a length; the same one several times is one."""
    lengths = {text.strip(b" \t") for text in value.split(b",")}
    text = lengths.pop()
    if lengths or not _LENGTH.fullmatch(text) or before not in (None, int(text)):
        raise RemoteProtocolError("the answer has lengths that cannot be right")
    return int(text)
