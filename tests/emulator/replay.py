"""Recorded requests sent again, and how the emulator's answers differ from the recorded ones."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import httpx

from tests.emulator.recordings import Exchange, Recording

# What the extension itself sends. Other headers are the server's business, and those of a refused
# key are the host's, which was imitated for the recordings.
HEADERS = ("content-type", "location", "retry-after", "x-ms-continuation-token")

# Where the web hooks of the recorded hosts listened, unless at the usual port.
_HOOKS = {Recording.ISOLATED: 7081}
_STACK_TRACE = re.compile(r'"StackTrace":"(?:[^"\\]|\\.)*"')
# In the details of a failure, which are JSON as text, maybe of JSON as text.
_STACK_TRACE_IN_TEXT = re.compile(r'(StackTrace(?:String)?(\\+)":\2").*?(?=\2"[,}])')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?P<zone>Z|\+00:00)")
# The name of the app's assembly.
_SOURCE = re.compile(r'(\\+"Source\\+":\\+")(?:rec|host3)\b')
# The Functions host of the recordings was imitated by a program of this name.
_HOST = re.compile(r"RpcException, (?:jshost|Microsoft\.Azure\.WebJobs\.Script)\b")
# Frames of JavaScript, and a blank that was cut away with those of .NET.
_FRAMES = re.compile(r"""(?:<anonymous>\))?(?:(?:\\+n|Stack:) +at [^"\\]*)+""")
_CUT_BLANK = re.compile(r" (\\+n Message: )")
_SPAN = re.compile(r'"ClientSpanId":"[0-9a-f]{16}"')
# Runs of one character are cut in the recordings.
_LONG = re.compile(r"(.)\1{399,}")
_GUID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}(?:\1[0-9a-f]{4}){2}\1[0-9a-f]{12}(?![0-9a-f])"
)


async def ask(client: httpx.AsyncClient, exchange: Exchange) -> httpx.Response:
    """Send a recorded request, as if to the host that was recorded."""
    through_hook = exchange.target.startswith("/runtime")
    # h11 refuses to send a value with a blank at its end.
    sent = {name: value.strip() for name, value in exchange.request["headers"].items()}
    port = _HOOKS.get(exchange.recording, 7071) if through_hook else 17071
    host = {"host": f"127.0.0.1:{port}"}
    url = client.base_url.copy_with(raw_path=exchange.target.encode())
    body = exchange.request["body"]
    return await client.request(exchange.method, url, headers=host | sent, content=body)


def differences(exchange: Exchange, answer: httpx.Response) -> dict[str, tuple[object, object]]:
    """
    Return what differs, each as the recorded and the emulated value.

    Times, ids that were made by chance and stack traces are only compared in form.
    """
    pairs = _pairs(exchange, answer)
    return {what: (expected, given) for what, expected, given in pairs if expected != given}


def differing_rows(
    exchange: Exchange, answer: httpx.Response, left_out: Collection[str]
) -> list[tuple[object, object]]:
    """
    Return the rows of a listing that differ, without those of some instances.

    Without them a page begins and ends elsewhere: what only one of the two has is passed over.
    """
    pages = [
        [row for row in json.loads(body) if _id_of(row) not in left_out]
        for body in (exchange.body, answer.text)
    ]
    pairs = zip(*([formal(json.dumps(row)) for row in page] for page in pages), strict=False)
    return [(expected, given) for expected, given in pairs if expected != given]


def _id_of(row: Mapping[str, Any]) -> str:
    entity = row.get("entityId")
    return f"@{entity['name']}@{entity['key']}" if entity else row["instanceId"]


def _pairs(exchange: Exchange, answer: httpx.Response) -> Iterator[tuple[str, object, object]]:
    yield "status", exchange.response["status"], answer.status_code
    yield "reason", exchange.response["reason"], answer.reason_phrase
    for name in HEADERS:
        expected, given = exchange.headers.get(name), answer.headers.get(name)
        yield name, expected and formal(expected), given and formal(given)
    yield "body", formal(exchange.body), formal(answer.text)


def formal(body: str) -> str:
    """Return a body with times, and ids that were made by chance, replaced by their form."""
    without_traces = _without_traces(_LONG.sub(lambda run: run[1] * 300, body))
    without_frames = _CUT_BLANK.sub(r"\1", _FRAMES.sub("…", without_traces))
    without_names = _HOST.sub("RpcException", _SOURCE.sub(r"\1app", without_frames))
    without_times = _TIME.sub(lambda time: f"time{time['zone']}", without_names)
    without_spans = _SPAN.sub('"ClientSpanId":"span"', without_times)
    return _GUID.sub("guid", without_spans)


def _without_traces(body: str) -> str:
    body = _STACK_TRACE.sub('"StackTrace":"…"', body)
    return _STACK_TRACE_IN_TEXT.sub(r"\1…", body)
