"""Replay of the recordings that `durable-exporter record` makes."""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import formatdate
from http import HTTPStatus
from math import inf
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.api import ExtensionVersion
from emulator.clock import Clock
from emulator.http.connection import CLOSE_CONNECTION
from emulator.http.messages import JSON, TOKEN_HEADER, Request, read
from emulator.json_text import JsonValue, compact
from emulator.times import EPOCH, parse

FORMAT = "durable-exporter recording 1"

# A filter by time differs in each request: only its presence counts.
_EVER = parse("2001-01-01T00:00:00Z", 0) or 0.0
_UNKNOWN_YEARS = parse("0100-01-01T00:00:00Z", 0)
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_TIMES = ("time", "timestamp", "fireat")
_NO_ANSWER_IN_TIME = "timeout"

Question: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """
    A request and its answer, with the `size` of the body.

    `created_from` is the filter by creation that was asked for, in seconds since the epoch.
    `error` is why the answer is incomplete; `status` is then `None` if nothing arrived.
    """

    question: Question
    created_from: float | None
    status: int | None
    headers: Mapping[str, str]
    json: JsonValue
    text: str
    size: int
    error: str

    @property
    def following(self) -> Question | None:
        """The question for the next page, if there is one."""
        token = self.headers.get(TOKEN_HEADER)
        return (*self.question[:-1], token) if token else None


@dataclass(frozen=True, slots=True)
class Recording:
    """All exchanges, in the order of their ends, and when the first began."""

    begin: float
    exchanges: Sequence[Exchange]


def read_recording(path: Path) -> Recording:
    """
    Read a recording, compressed or not.

    Raises `OSError`, and `ValueError` for other content.
    """
    content = path.read_bytes()
    try:
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        head, *lines = [json.loads(line) for line in content.splitlines() if line.strip()]
        return Recording(_begin(head), [_exchange(line) for line in lines])
    except (LookupError, TypeError, AttributeError, ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no recording: {error}") from error


def _begin(head: Mapping[str, object]) -> float:
    begin = parse(str(head.get("begin")), 0)
    if head.get("format") != FORMAT or begin is None:
        raise ValueError(f"its first line does not say {FORMAT!r} and when it begins")
    return begin


def _exchange(line: Mapping[str, object]) -> Exchange:
    path, _, query = str(line["request"]).partition("?")
    status = line.get("status")
    headers = cast("Mapping[str, str]", line.get("headers") or {})
    return Exchange(
        question=_question(path, query, str(line.get("token") or "")),
        created_from=_created_from(query),
        status=None if status is None else int(cast("int", status)),
        headers={str(name).lower(): str(value) for name, value in headers.items()},
        json=cast("JsonValue", line.get("json")),
        text=str(line.get("text") or ""),
        size=int(cast("int", line.get("bytes") or 0)),
        error=str(line.get("error") or ""),
    )


def _question(path: str, query: str, token: str) -> Question:
    """Return what a request asks for, whatever its times and page size."""
    asked = _parameters(query)
    created = parse(asked.pop("createdtimefrom", ""), 0)
    since = "" if created is None else "ever" if created < _EVER else "of late"
    for name in ("top", "taskhub", "connection", "code"):
        asked.pop(name, None)
    options = [f"{name}={asked[name]}" for name in sorted(asked)]
    return (unquote(path.strip("/")), since, *options, token)


def _created_from(query: str) -> float | None:
    return parse(_parameters(query).get("createdtimefrom", ""), 0)


def _parameters(query: str) -> dict[str, str]:
    return {name.lower(): value for name, value in parse_qsl(query, keep_blank_values=True)}


@dataclass(slots=True)
class Replay:
    """
    Answers each question with its recorded answers in order, then repeats the last.

    Times are shifted, so that ages stay.
    """

    recording: Recording
    clock: Clock
    begin: float
    _given: dict[Question, int] = field(default_factory=lambda: defaultdict(int))
    _answers: dict[Question, list[Exchange]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for exchange in self.recording.exchanges:
            self._answers[exchange.question].append(exchange)

    @property
    def later(self) -> int:
        """The shift of times in whole seconds, as rows have them."""
        return round(self.begin - self.recording.begin)

    def next(self, question: Question) -> tuple[Exchange, bool] | None:
        """Return an answer, and whether it is repeated; `None` for an unknown question."""
        answers = self._answers.get(question)
        if not answers:
            return None
        given = self._given[question]
        self._given[question] += 1
        if given < len(answers):
            return answers[given], False
        # A listing that the end of the recording cut off leads nowhere.
        return next(filter(self._leads_on, reversed(answers)), answers[-1]), True

    def _leads_on(self, exchange: Exchange) -> bool:
        seen = set()
        while (following := exchange.following) is not None and following not in seen:
            seen.add(following)
            answers = self._answers.get(following)
            if not answers:
                return False
            exchange = answers[-1]
        return True

    def body(self, exchange: Exchange, created_from: float | None) -> bytes:
        """
        Return the body of an answer, padded to its size, by which clients size pages.

        Rows created before *created_from* are left out, as the app did.
        """
        if exchange.json is None:
            text = exchange.text
        else:
            rows = _rows_since(exchange, created_from, self.later)
            text = compact(_moved(rows, self.later))
        return text.encode().ljust(exchange.size)

    def date(self, exchange: Exchange, *, is_repeated: bool) -> str | None:
        """Return the `Date` of an answer, if it had one."""
        recorded = parse(exchange.headers.get("date", ""), 0)
        if recorded is None:
            return None
        moment = self.clock.now() if is_repeated else recorded + self.later
        return formatdate(moment, usegmt=True)


def replay_app(
    recording: Recording, clock: Clock, unknown: Callable[[str], object] = lambda _: None
) -> ASGIApp:
    """Return the app that replays a recording from now on; *unknown* gets other requests."""
    replay = Replay(recording, clock, clock.now())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = read(scope, ExtensionVersion.V3)
        query = scope["query_string"].decode("latin-1")
        token = request.headers.get(TOKEN_HEADER, "")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        found = None
        if request.base and request.method == "GET":
            below = re.split(re.escape(request.base) + "/", path, maxsplit=1, flags=re.IGNORECASE)
            found = replay.next(_question(below[-1], query, token))
        if found is None:
            # What `check` asks for, to see whether filters arrive: no row is of the future.
            if (_created_from(query) or 0.0) > clock.now():
                await _send(send, HTTPStatus.OK, {"content-type": JSON}, b"[]")
                return
            unknown(_told(request))
            body = compact({"Message": "not in the recording"}).encode()
            await _send(send, HTTPStatus.NOT_IMPLEMENTED, {"content-type": JSON}, body)
            return
        exchange, is_repeated = found
        if exchange.error:
            await _fail(scope, receive, send, exchange)
            return
        headers = dict(exchange.headers)
        if date := replay.date(exchange, is_repeated=is_repeated):
            headers["date"] = date
        body = replay.body(exchange, _created_from(query))
        await _send(send, exchange.status or HTTPStatus.OK, headers, body)

    return app


def _rows_since(exchange: Exchange, created_from: float | None, later: int) -> JsonValue:
    """Return the rows that a filter keeps, and those that the app kept against its filter."""
    rows, recorded = exchange.json, exchange.created_from
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        return rows
    if created_from is None or recorded is None:
        return rows
    return [row for row in rows if not recorded <= _created(row) < created_from - later]


def _created(row: JsonValue) -> float:
    """Return when a row was created, or infinity if it does not say."""
    created = row.get("createdTime") if isinstance(row, Mapping) else None
    moment = parse(created, 0) if isinstance(created, str) else None
    return inf if moment is None else moment


def _told(request: Request) -> str:
    return f"{request.method} {request.url.partition('://')[2].partition('/')[2]}"


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    fields = {**headers, "content-length": str(len(body))}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _fail(scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
    """Send no answer, or its begin, as recorded."""
    if exchange.status is not None:
        fields = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": exchange.status, "headers": fields})
        await send({"type": "http.response.body", "body": b"[", "more_body": True})
    if exchange.error != _NO_ANSWER_IN_TIME:
        scope["state"][CLOSE_CONNECTION]()
    while (await receive())["type"] != "http.disconnect":
        pass
    scope["state"][CLOSE_CONNECTION]()


def _moved(value: JsonValue, seconds: int, key: str = "") -> JsonValue:
    """Return JSON with its times shifted, also within text that holds JSON."""
    if isinstance(value, str):
        return _moved_text(value, seconds, key)
    if isinstance(value, Mapping):
        return {name: _moved(each, seconds, name) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [_moved(each, seconds) for each in value]
    return value


def _moved_text(text: str, seconds: int, key: str) -> str:
    if key.lower().endswith(_TIMES):
        return _SECONDS.sub(lambda found: _later(found[0], seconds), text)
    if text[:1] != "{":
        return text
    try:
        return compact(_moved(json.loads(text), seconds))
    except ValueError:
        return text


def _later(text: str, seconds: int) -> str:
    moment = parse(f"{text}Z", 0)
    # A placeholder for no time stays.
    if moment is None or _UNKNOWN_YEARS is None or moment < _UNKNOWN_YEARS:
        return text
    return (EPOCH + timedelta(seconds=moment + seconds)).strftime("%Y-%m-%dT%H:%M:%S")
