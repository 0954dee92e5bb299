"""Sweeps with trouble: unreadable instances, listings without an end, a full memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from exporter.api.classify import Failures
from exporter.api.client import HubClient
from exporter.api.errors import ApiError, ListingTruncated
from exporter.api.listing import Page
from exporter.api.query import InstanceQuery, Query
from exporter.api.telemetry import GET_INSTANCE
from exporter.api.wire import InstanceRow, InstanceStatus
from exporter.collector.clock import ServerClock
from exporter.collector.sweeps import HubSweeps
from exporter.ledger import unresolved
from exporter.ledger.ledger import Ledger
from tests.api.paged import ClientOfPages, MadePage
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, finishes, in_contact, row

pytestmark = pytest.mark.anyio

FAILURES = Failures("orders", GET_INSTANCE)
LOST_OUTPUT = FAILURES.of_status(500, {}, b"")
TIMEOUT = FAILURES.of_exception(TimeoutError(), 60.0)
FOLLOWED = 200


class Departed(ClientOfPages):
    """A hub whose active instances all left, and some of which cannot be read."""

    def __init__(self, unreadable: dict[str, ApiError]) -> None:
        super().__init__()
        self.unreadable = unreadable
        self.reads: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        return MadePage([], date=NOW + 30.0)

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        self.reads[instance_id] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await anyio.lowlevel.checkpoint()
        self.at_once -= 1
        if instance_id in self.unreadable:
            raise self.unreadable[instance_id]
        found = row(instance_id, "Completed", created=-9e5, updated=5.0)
        return InstanceStatus(*(getattr(found, name) for name in found.__struct_fields__))


def sweeps_over(client: HubClient, ids: Sequence[str]) -> HubSweeps:
    """Return the sweeps of a hub in which *ids* were active before."""
    ledger = Ledger(DEFAULT_RULES)
    ledger.begin_active(NOW)
    ledger.apply_active_page([row(instance_id, created=-9e5) for instance_id in ids], NOW)
    ledger.complete_active(NOW)
    ledger.begin_finished(NOW)
    ledger.complete_finished(NOW)
    return HubSweeps(client, ledger, ServerClock(lambda: NOW + 30.0, lambda: 0.0))


async def test_instances_that_cannot_be_read_keep_no_other_from_it() -> None:
    ids = [f"i{number:02}" for number in range(40)]
    client = Departed(dict.fromkeys(ids[:15], LOST_OUTPUT))
    sweeps = sweeps_over(client, ids)
    await sweeps.active()
    assert finishes(sweeps.ledger) == {("Order", "Completed"): 25}
    assert sweeps.ledger.known().unconfirmed == 15


async def test_those_that_failed_come_last_the_next_time() -> None:
    ids = [f"i{number:02}" for number in range(60)]
    client = Departed(dict.fromkeys(ids[:30], LOST_OUTPUT))
    sweeps = sweeps_over(client, ids)
    for _ in range(3):
        await sweeps.active()
    assert finishes(sweeps.ledger) == {("Order", "Completed"): 30}


async def test_what_is_wrong_with_the_hub_stops_the_reads() -> None:
    ids = [f"i{number:02}" for number in range(60)]
    client = Departed(dict.fromkeys(ids, TIMEOUT))
    sweeps = sweeps_over(client, ids)
    await sweeps.active()
    assert client.reads.total() <= 8
    assert sweeps.ledger.known().unconfirmed == 60


async def test_one_that_can_be_read_again_is_counted() -> None:
    client = Departed({"a": LOST_OUTPUT})
    sweeps = sweeps_over(client, ["a"])
    await sweeps.active()
    client.unreadable = {}
    await sweeps.active()
    assert finishes(sweeps.ledger) == {("Order", "Completed"): 1}
    assert sweeps.ledger.known().unconfirmed == 0


class Stored(Departed):
    """The same, where very many older ones are stored: no list of those comes to its end."""

    max_pages = 9

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        assert isinstance(query, InstanceQuery)
        has_no_end = NOW - 2e6 < query.created_from < NOW - 1e5
        return MadePage([], token + b"x" if has_no_end else b"", NOW + 30.0)


async def test_where_the_list_of_all_that_many_may_be_in_has_no_end_they_are_read() -> None:
    client = Stored({})
    sweeps = sweeps_over(client, [f"i{number:03}" for number in range(200)])
    await sweeps.active()
    with pytest.raises(ListingTruncated):
        await sweeps.finished(60.0)
    await sweeps.active()
    await sweeps.finished(60.0)
    assert finishes(sweeps.ledger) == {("Order", "Completed"): 200}
    assert sweeps.ledger.known().unconfirmed == 0


async def test_however_many_left_a_few_are_read_at_once() -> None:
    client = Departed({})
    sweeps = sweeps_over(client, [f"i{number:05}" for number in range(5000)])
    await sweeps.active()
    assert client.reads.total() == 0
    assert sweeps.ledger.known().unconfirmed == 5000
    await sweeps.finished(60.0)
    assert client.most_at_once <= 4
    assert finishes(sweeps.ledger) == {("Order", "Completed"): 5000}
    assert sweeps.ledger.known().unconfirmed == 0


class Failing(ClientOfPages):
    """A hub in which *ids* are Failed, and nothing else is stored."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = ids
        self.lists = 0

    async def page_of(self, query: Query[Any], token: bytes) -> MadePage:
        self.lists += 1
        rows = [row(instance_id, "Failed", created=-50.0, updated=-9.0) for instance_id in self.ids]
        return MadePage(rows, date=NOW + 30.0)

    async def read_instance(
        self, instance_id: str, *, history: bool = False, inputs: bool = False
    ) -> InstanceStatus | None:
        return None

    async def find_instance(
        self, instance_id: str, seen: Callable[[Page[InstanceRow]], object]
    ) -> InstanceRow | None:
        return None


async def test_what_there_is_no_room_for_counts_once_though_it_is_listed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unresolved, "_MOST_KEPT", FOLLOWED)
    ids = [f"i{number:03}" for number in range(300)]
    ledger, client = in_contact(), Failing(ids)
    sweeps = HubSweeps(client, ledger, ServerClock(lambda: NOW + 30.0, lambda: 0.0))
    await sweeps.failed()
    # Half of all are purged: so many that the list is not believed at once.
    client.ids = ids[150:]
    await sweeps.failed()
    assert client.lists == 3
    view = ledger.unresolved.view()
    assert view is not None
    # What the list has missed counts until it is read, fifty at a time, or missed again.
    assert view.failures == {"Order": 250}
