"""
The recorded hubs of three kinds of apps, served over a socket as wholes.

What the recordings leave out is put back: long runs of one letter, which were cut, and the reads
that nobody made, from the rows and the queues of entities that were recorded at the same time.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from exporter.settings import Settings, load_settings
from tests.cli.asked import clock_of_commands
from tests.diagnosis.served import Question, RecordedServer, recorded_reads, serving
from tests.recorded import Exchange, exchanges
from tests.workers.truth import WORKERS

_CUT = re.compile(r"([BMxy])\1{299}")
_LONG = 80_000
# They call an entity that has taken their message out of its queue, and has not answered.
_TAKEN = {"slow-entity", "slow-two", "slow-two-next"}

Row = Mapping[str, Any]


@cache
def rows_of(version: str) -> Mapping[str, Row]:
    """Return every recorded row without its input, by its id: that of a list, else of a read."""
    found: dict[str, Row] = {}
    for entry in exchanges(version):
        if entry.operation == "listInstances" and entry.status == 200:
            for row in json.loads(_restored(entry.body)):
                found.setdefault(row["instanceId"], {**row, "input": None})
    for entry in exchanges(version):
        if entry.operation == "getInstanceStatus" and entry.status in (200, 202):
            row = json.loads(_restored(entry.body))
            row.pop("historyEvents", None)
            found.setdefault(row["instanceId"], {**row, "input": None})
    return found


@cache
def reads_of(version: str) -> Mapping[Question, Exchange]:
    """Return the reads of single instances, those of rows alone and of inputs put back."""
    reads = {
        question: replace(entry, body=_restored(entry.body))
        for question, entry in recorded_reads(version).items()
    }
    queues = _queues(version)
    for question, entry in tuple(reads.items()):
        if not question.history:
            reads.setdefault(replace(question, inputs=False), entry)
        elif not question.inputs and entry.status in (200, 202):
            with_inputs = replace(entry, body=_with_inputs(json.loads(entry.body), queues))
            reads.setdefault(replace(question, inputs=True), with_inputs)
    return reads


def _queues(version: str) -> dict[tuple[str, str], Row]:
    """Return the messages in the queues of entities, by entity and sender."""
    queued: dict[tuple[str, str], Row] = {}
    for entry in exchanges(version):
        if entry.operation not in ("listInstances", "getInstanceStatus") or entry.status > 202:
            continue
        body = json.loads(entry.body)
        for row in body if isinstance(body, list) else [body]:
            scheduler = row["input"]
            if row["instanceId"].startswith("@") and isinstance(scheduler, dict):
                for message in scheduler.get("queue") or ():
                    queued[row["instanceId"], message["parent"]] = message
    return queued


def _with_inputs(row: dict[str, Any], queues: Mapping[tuple[str, str], Row]) -> str:
    """Return a read with the messages that its sender waits for, as the queues hold them."""
    for event in row.get("historyEvents") or ():
        if event["EventType"] != "EventSent" or not event["InstanceId"].startswith("@"):
            continue
        message = queues.get((event["InstanceId"], row["instanceId"]))
        if message is None and row["instanceId"] in _TAKEN:
            message = {"op": "get", "id": "a8ed0d23-1b90-5f77-bfcb-bc6951e3cdb4"}
        event["Input"] = None if message is None else json.dumps(message)
    return json.dumps(row)


def _restored(body: str) -> str:
    return _CUT.sub(lambda cut: cut[1] * _LONG, body)


def updated(row: Row) -> float:
    """Return when a row was last updated."""
    return datetime.fromisoformat(row["lastUpdatedTime"]).timestamp()


@cache
def has_history(version: str) -> set[str]:
    """Return the ids of those whose history was read, or refused."""
    return {each.instance_id for each in recorded_reads(version) if each.history}


@cache
def nothing_but_a_start(version: str) -> set[str]:
    """Return the ids of those in whose history is nothing but their start, and pauses."""
    found = set()
    for question, entry in recorded_reads(version).items():
        if question.history and entry.status == 202:
            events = json.loads(entry.body).get("historyEvents") or ()
            kinds = {event["EventType"] for event in events}
            if kinds and kinds <= {"ExecutionStarted", "ExecutionSuspended", "ExecutionResumed"}:
                found.add(question.instance_id)
    return found


@asynccontextmanager
async def recorded_app(
    version: str,
    *,
    late: float = 30.0,
    reverse: bool = False,
    settings: Mapping[str, str] = {},
) -> AsyncGenerator[tuple[RecordedServer, Settings], None]:
    """
    Serve a recorded hub so many seconds after its last update, with its rows in either order.

    Yields the server and settings for it.
    """
    rows = rows_of(version)
    date = max(map(updated, rows.values())) + late
    ordered = sorted(rows.values(), key=lambda row: str(row["instanceId"]), reverse=reverse)
    texts = tuple(msgspec.Raw(json.dumps(row).encode()) for row in ordered)
    async with serving(reads_of(version), texts, date) as server:
        configured = {
            "hubs.orders.url": server.url,
            "hubs.orders.worker": WORKERS[version],
            "limits.idle": "5s",
            "limits.pending": "5s",
            "limits.age": "5s",
            "retries.attempts": "0",
            **settings,
        }
        with clock_of_commands(lambda: date):
            yield server, load_settings({}, configured)
