"""Every recorded answer of the real extension goes through the client and the ledger."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import pytest

from exporter.api.errors import (
    ApiError,
    ErrorKind,
    HubDenied,
    HubFailed,
    HubNotFound,
    ProtocolError,
)
from exporter.api.query import InstanceQuery
from exporter.api.times import parse_time
from exporter.api.wire import InstanceRow, entity_class
from exporter.ledger.census import CensusFold
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.status import ACTIVE
from tests.api.paged import all_rows, next_page
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import finishes
from tests.recorded import VERSIONS, Exchange, exchange, exchanges, replaying, rows

pytestmark = pytest.mark.anyio

# Counted with a text search in `local page 1` to `4` of `paging.json`.
ENTITIES_BY_HAND = {"v2": 8, "v3": 8}
ORCHESTRATIONS_BY_HAND = {
    "v2": {"Running": 17, "Suspended": 1, "Completed": 10, "Failed": 9, "Terminated": 1},
    "v3": {"Running": 17, "Suspended": 1, "Completed": 11, "Failed": 10, "Terminated": 1},
}
LISTS = [entry for entry in exchanges() if entry.operation == "listInstances"]
ENTITY_LISTS = [entry for entry in exchanges() if entry.operation == "listEntities"]
SINGLE = [entry for entry in exchanges() if entry.operation == "getInstanceStatus"]


async def paged(version: str) -> list[InstanceRow]:
    client, _ = replaying([exchange(version, "paging", f"local page {i}") for i in (1, 2, 3, 4)])
    return await all_rows(client, client.list_instances(InstanceQuery()))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_listing_over_four_pages_loses_no_row_and_takes_none_for_an_entity(
    version: str,
) -> None:
    found = await paged(version)

    orchestrations = [row for row in found if entity_class(row) is None]
    assert ENTITIES_BY_HAND[version] == len(found) - len(orchestrations)
    assert ORCHESTRATIONS_BY_HAND[version] == Counter(row.runtime_status for row in orchestrations)


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_ledger_counts_what_the_pages_hold(version: str) -> None:
    found = await paged(version)
    ledger = Ledger(DEFAULT_RULES)
    census = CensusFold(0.0, 0.0, lambda _: (None, None))
    at = max(parse_time(row.last_updated_time) or 0.0 for row in found)
    ledger.begin_active(at)
    ledger.apply_active_page([row for row in found if row.runtime_status in ACTIVE], at)
    view = ledger.complete_active(at)
    finished = [row for row in found if row.runtime_status not in ACTIVE]
    census.add(finished, [row.instance_id for row in finished], set())

    counted = Counter(view.instances)
    counted += Counter({(name, status.value): t.count for name, status, t in census.tallies()})

    assert by_hand(version) == counted
    assert sum(ORCHESTRATIONS_BY_HAND[version].values()) == counted.total()


def by_hand(version: str) -> Counter[tuple[str, str]]:
    """Count the raw JSON: what has its id for a name, and two at signs, is an entity."""
    counts: Counter[tuple[str, str]] = Counter()
    for number in (1, 2, 3, 4):
        for row in rows(exchange(version, "paging", f"local page {number}")):
            if not (row["instanceId"].startswith("@") and row["name"] == row["instanceId"]):
                counts[row["name"], row["runtimeStatus"]] += 1
    return counts


@pytest.mark.parametrize("entry", LISTS, ids=str)
async def test_every_list_of_instances_is_read_whole_or_refused_in_the_right_class(
    entry: Exchange,
) -> None:
    client, replay = replaying([entry])
    listing = client.list_instances(InstanceQuery(created_from=-1e10))
    if entry.status != 200:
        await refused(entry, client_error(next_page(client, listing)))
        return
    page = await next_page(client, listing)

    assert page is not None
    assert [row["instanceId"] for row in rows(entry)] == [row.instance_id for row in page.rows]
    assert [row["runtimeStatus"] for row in rows(entry)] == [
        row.runtime_status for row in page.rows
    ]
    assert [row["name"] for row in rows(entry)] == [row.name for row in page.rows]
    assert orchestrations_by_hand(entry) == Counter(
        (row.name, row.runtime_status) for row in page.rows if entity_class(row) is None
    )
    assert ledger_counts(page.rows) == Counter(
        {pair: n for pair, n in orchestrations_by_hand(entry).items() if pair[1] in ACTIVE}
    )
    assert replay.requests[0].headers["x-functions-key"] == "systemkey"


def orchestrations_by_hand(entry: Exchange) -> Counter[tuple[str, str]]:
    return Counter(
        (row["name"], row["runtimeStatus"])
        for row in rows(entry)
        if not (row["instanceId"].count("@") >= 2 and row["name"] == row["instanceId"])
    )


def ledger_counts(found: object) -> Counter[tuple[str, str]]:
    assert isinstance(found, list)
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(0.0)
    ledger.apply_active_page(found, 0.0)
    view = ledger.complete_active(0.0)
    return Counter(view.instances)


@pytest.mark.parametrize("entry", ENTITY_LISTS, ids=str)
async def test_every_list_of_entities_is_read_whole_or_refused_in_the_right_class(
    entry: Exchange,
) -> None:
    client, _ = replaying([entry])
    listing = client.list_entities()
    if entry.status != 200:
        await refused(entry, client_error(next_page(client, listing)))
        return
    page = await next_page(client, listing)

    assert page is not None
    assert [row["entityId"] for row in rows(entry)] == [
        {"name": row.entity_id.name, "key": row.entity_id.key} for row in page.rows
    ]
    assert all(parse_time(row.last_operation_time) for row in page.rows)


@pytest.mark.parametrize("entry", SINGLE, ids=str)
async def test_every_read_of_one_instance_gives_its_status_or_the_right_error(
    entry: Exchange,
) -> None:
    client, _ = replaying([entry, entry])
    if entry.status == 404:
        assert await client.read_instance("missing") is None
        return
    body = json.loads(entry.body)
    if "instanceId" not in body:
        await refused(entry, client_error(client.read_instance("any", history=True)))
        return
    status = await client.read_instance(body["instanceId"], history=True)

    assert status is not None
    assert body["runtimeStatus"] == status.runtime_status
    events = body.get("historyEvents")
    assert (None if events is None else [event["EventType"] for event in events]) == (
        None
        if status.history_events is None
        else [event.event_type for event in status.history_events]
    )
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(0.0)
    ledger.apply_row(status, Source.READ, 0.0)
    known_pair = (body["name"], body["runtimeStatus"])
    is_entity = body["name"] == body["instanceId"]
    in_terminal = body["runtimeStatus"] not in ACTIVE
    assert finishes(ledger) == ({known_pair: 1} if in_terminal and not is_entity else {})


@pytest.mark.parametrize("entry", [entry for entry in exchanges() if not entry.operation], ids=str)
async def test_the_answers_to_other_requests_are_refused_and_never_crash(entry: Exchange) -> None:
    client, _ = replaying([entry] * 4)
    for request in (
        next_page(client, client.list_instances(InstanceQuery())),
        next_page(client, client.list_entities()),
        client.read_instance("some-id"),
    ):
        with suppress(ApiError):
            await request


ERROR_CLASSES: Mapping[int, tuple[type[ApiError], ErrorKind]] = {
    400: (ProtocolError, ErrorKind.PROTOCOL),
    401: (HubDenied, ErrorKind.AUTH),
    404: (HubNotFound, ErrorKind.NOT_FOUND),
    500: (HubFailed, ErrorKind.SERVER),
}


async def client_error(request: object) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await request  # type: ignore[misc] # any awaitable of the client
    return caught.value


async def refused(entry: Exchange, request: object) -> None:
    error = await request  # type: ignore[misc] # the coroutine of client_error
    expected, kind = ERROR_CLASSES[entry.status]
    assert isinstance(error, expected)
    assert error.kind is kind


def test_the_recordings_hold_every_kind_of_answer() -> None:
    statuses = Counter((entry.operation, entry.status) for entry in exchanges())
    assert statuses["listInstances", 200] == 169
    assert statuses["getInstanceStatus", 202] == 131
    assert {401, 400, 500} <= {status for (kind, status) in statuses if kind == "listInstances"}
