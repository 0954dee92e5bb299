"""What the transport makes of the bytes that come in, however they are cut."""

from __future__ import annotations

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.api.transport.chunked import ChunkedBody
from exporter.api.transport.direct import request_text
from exporter.api.transport.head import LARGEST_HEAD
from tests.api.feeding import ask, fed, httpx_s_own


class LeakedError(Exception):
    """A secret was in an error."""


Outcome = tuple[int, list[tuple[str, str]], bytes]

STATUSES = st.sampled_from([200, 202, 204, 304, 401, 404, 429, 500, 503, 599])
VALUES = st.binary(max_size=40).map(
    lambda raw: bytes(byte for byte in raw if byte in b"\t" or 0x20 <= byte != 0x7F).strip()
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", fullmatch=True).filter(
    lambda name: name.lower() not in ("content-length", "transfer-encoding", "connection")
)
NOISE = [b"", b"\0", b"\r", b"\n", b" ", b":", b"\r\n", b"7", b"\xff"]
FIELDS = st.lists(st.tuples(NAMES.map(str.encode), VALUES), max_size=5)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    """Write a body in chunks of any size, with extensions and trailers."""
    coded = b""
    left = body
    while left:
        size = draw(st.integers(1, len(left)))
        extension = draw(st.sampled_from([b"", b";a", b';name="va lue"', b" "]))
        coded += b"%x%b\r\n%b\r\n" % (size, extension, left[:size])
        left = left[size:]
    trailers = draw(st.sampled_from([b"", b"x-checksum: 7\r\n", b"a: b\r\nc: d\r\n"]))
    return coded + b"0\r\n" + trailers + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Write any valid answer, to the end of its connection."""
    status = draw(STATUSES)
    body = b"" if status in (204, 304) else draw(st.binary(max_size=300))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    reason = draw(st.sampled_from([b" OK", b" ", b"", b" N\xc3\xb6 way"]))
    lines = [b"HTTP/%b %d%b" % (version, status, reason)]
    lines += [b"%b:%b%b%b" % (name, b" ", value, b" ") for name, value in draw(FIELDS)]
    way = draw(st.sampled_from(["length", "chunks", "end"]))
    if way == "chunks" and version == b"1.1" and status not in (204, 304):
        lines.append(
            draw(st.sampled_from([b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked"]))
        )
        coded = draw(chunked(body))
    else:
        coded = body
        if way == "length":
            lines += [b"Content-Length: %d" % len(body)] * draw(st.integers(1, 2))
    early = draw(st.sampled_from([b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"]))
    return early + b"\r\n".join(lines) + b"\r\n\r\n" + coded


@st.composite
def cut(draw: st.DrawFn, whole: bytes) -> list[bytes]:
    """Cut bytes into pieces anywhere."""
    places = sorted(draw(st.sets(st.integers(0, len(whole)), max_size=8)))
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


async def outcome(transport: httpx.AsyncBaseTransport) -> Outcome | type[Exception]:
    try:
        status, fields, body = await ask(transport)
    except httpx.TransportError as error:
        return LeakedError if "s3cret" in f"{error!r} {error}" else type(error)
    finally:
        await transport.aclose()
    unique = dict.fromkeys((name, value) for name, value in fields if name == "content-length")
    return status, [*unique, *(pair for pair in fields if pair[0] != "content-length")], body


@settings(deadline=None)
@given(st.data())
def test_any_valid_answer_is_read_as_httpx_reads_it(data: st.DataObject) -> None:
    pieces = data.draw(answers().flatmap(cut))

    async def both() -> tuple[object, object]:
        return await outcome(fed(pieces)), await outcome(httpx_s_own(pieces))

    own, theirs = anyio.run(both)
    assert isinstance(own, tuple)
    assert _without_case(own) == _without_case(theirs)


def _without_case(found: object) -> object:
    if not isinstance(found, tuple):
        return found
    status, fields, body = found
    return (
        status,
        sorted((n, v.lower() if n == "transfer-encoding" else v) for n, v in fields),
        body,
    )


@settings(deadline=None)
@given(st.data())
def test_anything_else_is_an_error_of_httpx_or_read_the_same(data: st.DataObject) -> None:
    whole = bytearray(data.draw(answers()))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, max(0, len(whole) - 1)))
        insert = data.draw(
            st.sampled_from([b"", b"\0", b"\r", b"\n", b" ", b":", b"\r\n", b"7", b"\xff"])
        )
        whole[place : place + data.draw(st.integers(0, 3))] = insert
    pieces = data.draw(cut(bytes(whole)))

    async def both() -> tuple[object, object]:
        return await outcome(fed(pieces)), await outcome(httpx_s_own(pieces))

    own, theirs = anyio.run(both)
    if isinstance(own, tuple):
        assert _without_case(own) == _without_case(theirs)


@given(st.binary(max_size=200), st.data())
def test_chunks_come_to_the_same_however_they_are_cut(body: bytes, data: st.DataObject) -> None:
    pieces = data.draw(chunked(body).flatmap(cut))
    decoder = ChunkedBody()
    assert b"".join(decoder.feed(piece) for piece in pieces) == body
    assert decoder.is_complete
    assert decoder.rest == b""


OK = b"HTTP/1.1 200 OK\r\n"
REJECTED = {
    "nothing": b"",
    "garbage": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an older protocol": b"HTTP/0.9 200 OK\r\n\r\n",
    "a newer protocol": b"HTTP/2.0 200 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
    "an endless head": OK + b"a: b\r\n" * LARGEST_HEAD,
    "endless hints": b"HTTP/1.1 103 Hints\r\nx: y\r\n\r\n" * LARGEST_HEAD,
    "a head that is cut off": OK + b"content-le",
    "a space in a name": OK + b"content length: 0\r\n\r\n",
    "a space before the colon": OK + b"content-length : 0\r\n\r\n",
    "a field without a name": OK + b": 0\r\n\r\n",
    "a field without a colon": OK + b"nonsense\r\n\r\n",
    "a zero byte": OK + b"a: \0\r\ncontent-length: 0\r\n\r\n",
    "a lone carriage return": OK + b"a: b\rcontent-length: 0\r\n\r\n",
    "a lone line feed": OK + b"a: b\ncontent-length: 0\r\n\r\n",
    "a fold before any field": OK + b" a: b\r\n\r\n",
    "lengths that differ": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "lengths that differ in one field": OK + b"content-length: 1, 2\r\n\r\nab",
    "a negative length": OK + b"content-length: -1\r\n\r\n",
    "a signed length": OK + b"content-length: +1\r\n\r\na",
    "a length with underscores": OK + b"content-length: 1_0\r\n\r\n0123456789",
    "a length of too many digits": OK + b"content-length: " + b"9" * 5000 + b"\r\n\r\n",
    "no digits": OK + b"content-length: \r\n\r\n",
    "length and chunks": OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": OK + b"transfer-encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunks of HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a body that is cut off": OK + b"content-length: 9\r\n\r\nab",
}
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
REJECTED_CHUNKS = {
    "no size": b"\r\n",
    "a size with a sign": b"-1\r\n",
    "a size with a prefix": b"0x1\r\na\r\n0\r\n\r\n",
    "a size of too many digits": b"f" * 17 + b"\r\n",
    "more than the size": b"1\r\nab\r\n0\r\n\r\n",
    "a lone line feed": b"1\na\n0\n\n",
    "a line without end": b"1" + b";" * 10_000,
    "a trailer without end": b"0\r\n" + b"a: b\r\n" * 10_000,
    "a trailer with a zero byte": b"0\r\n\0a: b\r\n\r\n",
    "a trailer without a colon": b"0\r\nnonsense\r\n\r\n",
    "a length after the body": b"0\r\ncontent-length: 5\r\n\r\n",
    "no end": b"1\r\na\r\n",
    "half an end": b"1\r\na\r\n0\r\n",
}


@pytest.mark.parametrize("text", REJECTED.values(), ids=REJECTED)
def test_what_readers_may_read_differently_is_refused(text: bytes) -> None:
    assert anyio.run(outcome, fed([text])) is httpx.RemoteProtocolError


@pytest.mark.parametrize("text", REJECTED_CHUNKS.values(), ids=REJECTED_CHUNKS)
def test_what_is_not_the_chunked_coding_is_refused(text: bytes) -> None:
    assert anyio.run(outcome, fed([CHUNKED + text])) is httpx.RemoteProtocolError


def test_an_answer_may_be_cut_at_every_byte() -> None:
    answer = CHUNKED + b"3;x\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n"
    pieces = [bytes([byte]) for byte in answer]
    found = anyio.run(outcome, fed(pieces))
    assert isinstance(found, tuple)
    assert found[2] == b"abcde"


def test_tokens_of_several_thousand_bytes_and_other_alphabets_come_through() -> None:
    token = b"x" * 30_000
    text = OK + b"x-ms-continuation-token: " + token + b"\r\nx-name: \xc3\xa9\r\n folded\r\n\r\n"
    found = anyio.run(outcome, fed([text]))
    assert isinstance(found, tuple)
    assert dict(found[1])["x-ms-continuation-token"].encode() == token
    assert dict(found[1])["x-name"] == "é folded"


@pytest.mark.parametrize("field", [(b"x-functions-key", b"s3cret\r\nx: y"), (b"a", b"s3cret\0")])
def test_a_field_that_would_be_two_is_not_sent_nor_quoted(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(httpx.LocalProtocolError) as caught:
        request_text(b"/", [(b"host", b"app"), field])
    assert "s3cret" not in f"{caught.value!r}"
