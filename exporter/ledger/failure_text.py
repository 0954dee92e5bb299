"""The text of a failure in the output of an instance, and the error type behind it."""

from __future__ import annotations

import json
import re

import msgspec

# How much of an output is looked at, in bytes: frames stand at its start, stack traces after them.
LOOKED_AT = 64 * 1024

_STRING = re.compile(r'"((?:[^"\\]++|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*+)')
_DECODER = json.JSONDecoder(strict=False)
_MESSAGE = re.compile(
    r'\{\s*+(?:"\$type"\s*+:\s*+"[^"]{0,500}"\s*+,\s*+)?"message"\s*+:\s*+(?=")', re.IGNORECASE
)
_DETAILS = re.compile(r'"\s*+,\s*+"details"\s*+:\s*+(?=")', re.IGNORECASE)
# What the host serializes behind the message of a failed activity; the message may hold anything.
_SERIALIZED = ' \n {"$type":"'
_JSON_LABEL = "$OutOfProcData$:"
_JSON_SPEAKING = re.compile(
    r"Orchestrator function '[^'\r\n]{1,256}' failed: {1,2}"
    r"(?:Activity|Orchestrator) function '[^'\r\n]{1,256}' failed:"
)
_ELSEWHERE = re.compile(
    r"Microsoft\.DurableTask\.|com\.microsoft\.durabletask\."
    r"|Orchestrator function '[^'\r\n]{1,256}' failed: The (?:activity|orchestrator) function '"
)
_REMOTE_TYPE = re.compile(r'"RemoteStackTrace":"([^\W\d]\w{0,127}):')


def text_of(output: msgspec.Raw) -> tuple[str, bool]:
    """
    Return the failure text in an output: a string, one inside a string (MSSQL), an object.

    The second value tells that it was an object, which the host makes of what no worker described.
    """
    text = bytes(memoryview(output)[:LOOKED_AT]).decode("utf-8", "replace").lstrip()
    for _ in range(2):
        if text.startswith('"'):
            text, _ = _string_at(text, 0)
    if not text.startswith("{"):
        return text, False
    described = _text_of_object(text)
    return (text, False) if described is None else (described, True)


def remote_type(text: str) -> str:
    """Return the type of an activity's error as its own process told it, empty if it did not."""
    begin = text.rfind(_SERIALIZED)
    found = _REMOTE_TYPE.search(text, begin) if begin >= 0 else None
    return found[1] if found else ""


def loses_calls(text: str, *, is_described: bool) -> bool | None:
    """
    Tell whether a failure is one of a worker that may lose a call: JavaScript, Python, PowerShell.

    None where its words may be those of any worker.
    """
    if is_described or _ELSEWHERE.match(text):
        return False
    return True if _JSON_SPEAKING.match(text) or _JSON_LABEL in text else None


def _text_of_object(text: str) -> str | None:
    """Return message and details of a failure that an isolated worker's host describes."""
    found = _MESSAGE.match(text)
    if found is None:
        return None
    message, end = _string_at(text, found.end())
    more = _DETAILS.match(text, end)
    return f"{message} {_string_at(text, more.end())[0]}" if more else message


def _string_at(text: str, position: int) -> tuple[str, int]:
    """Return the JSON string at a position, as far as it goes, and where its content ends."""
    match = _STRING.match(text, position)
    if match is None:
        return "", position
    content: str = _DECODER.decode(f'"{match[1]}"')
    return content, match.end()
