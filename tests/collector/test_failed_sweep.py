"""The sweep that lists what is Failed, also where there is more than is followed one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from exporter.api.classify import Failures
from exporter.api.listing import Page
from exporter.api.query import Query
from exporter.api.telemetry import LIST_INSTANCES
from exporter.api.wire import InstanceRow, InstanceStatus
from exporter.collector.clock import ServerClock
from exporter.collector.sweeps import HubSweeps
from exporter.ledger import unresolved
from tests.api.paged import ClientOfPages, MadePage
from tests.ledger.world import NOW, in_contact, row

pytestmark = pytest.mark.anyio

FAILURES = Failures("orders", LIST_INSTANCES)
FOLLOWED = 200


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
