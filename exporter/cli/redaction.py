"""Redaction of recorded exchanges: keeps what polling depends on, and no data; pure."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qsl, quote, unquote, urlencode

import msgspec

from exporter.api.answers import NEXT_PAGE, Answer, Exchange
from exporter.api.listing import NULL_TOKEN

REDACTED = "redacted"

_OF_ROW = frozenset(
    ("name", "runtimeStatus", "createdTime", "lastUpdatedTime", "lastOperationTime")
)
_IDS = frozenset(("instanceId", "parentInstanceId", "InstanceId", "parent", "lockedBy"))
_OF_EVENT = frozenset(
    (
        "EventType", "Timestamp", "Name", "FunctionName", "ScheduledTime", "ScheduledStartTime",
        "FireAt", "OrchestrationStatus", "Generation",
    )
)  # fmt: skip
# Fields that the framework writes around a message to an entity, and into an entity's row.
_OF_MESSAGE = frozenset(
    ("op", "id", "signal", "IsLockRequest", "requestTime", "Timestamp", "queueSize", "entityExists")
)
_OF_ERROR = frozenset(("Message", "ExceptionType"))
_CHOICES = frozenset(("taskHub", "connection"))
_FIELDS = ("date", "content-type", "retry-after")
# Of these, only the presence or the beginning matters.
_FIELDS_IN_PART: Mapping[str, Callable[[str], str]] = {
    "www-authenticate": lambda value: value.partition(" ")[0],
    "location": lambda value: f"{value.partition('://')[0]}://{REDACTED}",
    "x-ms-forbidden-ip": lambda _: REDACTED,
}
_LONGEST_TEXT = 2000
_DIGITS = 16
_LARGEST_NUMBER = 1 << 53


class Redaction:
    """
    Formats the lines of a recording.

    With a *salt*, ids and page tokens are replaced consistently; the *prefixes* by which instances
    are listed stay. *secrets* are removed wherever they occur.
    """

    def __init__(
        self,
        *,
        salt: bytes | None = None,
        prefixes: Sequence[str] = (),
        secrets: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._salt = salt
        self._prefixes = sorted(prefixes, key=len, reverse=True)
        self._secrets = secrets

    def line(self, exchange: Exchange, at: float) -> bytes:
        """Return the line of an exchange that ended *at* so many seconds after the begin."""
        line: dict[str, object] = {"at": round(at, 3), "request": self._target(exchange.target)}
        if exchange.token:
            line["token"] = self._token(exchange.token)
        if exchange.answer is not None:
            line.update(self._answer(exchange.answer))
        else:
            line.update({"status": exchange.status, "error": exchange.error})
        return self._without_secrets(msgspec.json.encode(line))

    def _answer(self, answer: Answer) -> Mapping[str, object]:
        return {
            "status": answer.status,
            "seconds": round(answer.seconds, 3),
            "bytes": len(answer.body),
            "headers": self._headers(answer),
            **self._body(answer.body),
        }

    def _headers(self, answer: Answer) -> Mapping[str, str]:
        kept = {name: answer.headers[name] for name in _FIELDS if name in answer.headers}
        for name, shown in _FIELDS_IN_PART.items():
            if name in answer.headers:
                kept[name] = shown(answer.headers[name])
        if answer.token:
            kept[NEXT_PAGE.decode()] = self._token(answer.token)
        return kept

    def _body(self, body: bytes) -> Mapping[str, object]:
        """Return the body in one of two fields: `json`, or `text` with its beginning."""
        if not body:
            return {}
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # A truncated list holds rows, too.
            is_json = body.lstrip()[:1] in (b"[", b"{")
            text = REDACTED if is_json else body[:_LONGEST_TEXT].decode(errors="replace")
            return {"text": text}
        if isinstance(value, list):
            return {"json": [self._row(row) for row in value]}
        if isinstance(value, dict) and "instanceId" not in value:
            return {"json": {key: _kept(of, key in _OF_ERROR) for key, of in value.items()}}
        return {"json": self._row(value)}

    def _row(self, row: object) -> object:
        """Redact the row of an instance or an entity, and its history if it has one."""
        if not isinstance(row, dict):
            return _kept(row)
        is_entity = str(row.get("instanceId", ""))[:1] == "@"
        shown: dict[str, object] = {}
        for key, value in _without_nulls(row).items():
            if key == "historyEvents" and isinstance(value, list):
                shown[key] = [self._event(event) for event in value]
            elif key == "entityId":
                shown[key] = self._entity_id(value)
            elif is_entity and key in ("input", "customStatus"):
                shown[key] = self._message(value)
            elif key == "name" and str(value)[:1] == "@":
                shown[key] = self._id(value)
            else:
                shown[key] = self._field(key, value, _OF_ROW)
        return shown

    def _event(self, event: object) -> object:
        if not isinstance(event, dict):
            return _kept(event)
        is_to_entity = str(event.get("InstanceId") or "")[:1] == "@"
        return {
            key: self._message(value)
            if is_to_entity and key == "Input"
            else self._field(key, value, _OF_EVENT)
            for key, value in _without_nulls(event).items()
        }

    def _message(self, value: object) -> object:
        """Redact what the framework wrote: JSON, or a text that holds JSON."""
        if isinstance(value, str):
            try:
                inner = msgspec.json.decode(value)
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                return REDACTED
            return msgspec.json.encode(self._message(inner)).decode()
        if not isinstance(value, dict):
            return _kept(value)
        shown: dict[str, object] = {}
        for key, of in value.items():
            if key == "queue" and isinstance(of, list):
                shown[key] = [self._message(message) for message in of]
            elif key == "lockset" and isinstance(of, list):
                shown[key] = [self._entity_id(entity) for entity in of]
            elif key in _OF_MESSAGE or key in _IDS:
                shown[key] = self._field(key, of, _OF_MESSAGE)
        return shown

    def _entity_id(self, value: object) -> object:
        if not isinstance(value, dict):
            return self._id(value)
        name, key = str(value.get("name", "")), str(value.get("key", ""))
        hashed = key if self._salt is None else self._pseudonym(f"@{name.lower()}@{key}")
        return {"name": name, "key": hashed.rpartition("@")[2] if self._salt else key}

    def _field(self, key: str, value: object, kept: frozenset[str]) -> object:
        return self._id(value) if key in _IDS else _kept(value, key in kept)

    def _id(self, value: object) -> object:
        return self._pseudonym(value) if isinstance(value, str) else _kept(value)

    def _pseudonym(self, instance_id: str) -> str:
        """Return an id as recorded; that of an entity keeps its class."""
        if self._salt is None or not instance_id:
            return instance_id
        kept = next((each for each in self._prefixes if instance_id.startswith(each)), "")
        if instance_id[:1] == "@" and "@" in instance_id[1:]:
            kept = f"@{instance_id[1:].partition('@')[0]}@"
        if instance_id == kept:
            return kept
        return f"{kept}{self._digest(instance_id.encode())}"

    def _token(self, token: bytes) -> str:
        # A token can hold an id.
        is_kept = self._salt is None or token == NULL_TOKEN
        return token.decode("latin-1") if is_kept else self._digest(token)

    def _digest(self, text: bytes) -> str:
        return hmac.digest(self._salt or b"", text, "sha256").hex()[:_DIGITS]

    def _target(self, target: str) -> str:
        """Return path and query without the parameters that choose the hub."""
        path, _, query = target.partition("?")
        kind, _, name = path.partition("/")
        if kind == "instances" and name:
            path = f"{kind}/{quote(self._pseudonym(unquote(name)), safe='')}"
        shown = [
            (key, self._pseudonym(value) if key == "instanceIdPrefix" else value)
            for key, value in parse_qsl(query)
            if key not in _CHOICES
        ]
        return f"{path}?{urlencode(shown, quote_via=quote, safe=',:')}" if shown else path

    def _without_secrets(self, line: bytes) -> bytes:
        for secret in self._secrets():
            for form in (secret, quote(secret, safe="")):
                written = msgspec.json.encode(form)[1:-1]
                line = line.replace(written, REDACTED.encode())
        return line


def _without_nulls(value: Mapping[str, object]) -> Mapping[str, object]:
    """Drop nulls, which most fields of most rows are; null and absent mean the same."""
    return {key: each for key, each in value.items() if each is not None}


def _kept(value: object, may_stay: object = False) -> object:
    """Return a value that may stay, otherwise only whether there is one."""
    is_plain = isinstance(value, str) or (isinstance(value, int) and abs(value) < _LARGEST_NUMBER)
    return value if value is None or (may_stay and is_plain) else REDACTED
