"""Snapshots of hubs in which something of everything has happened."""

from __future__ import annotations

from dataclasses import replace

from bench.sweeping import DEFAULT_RULES
from exporter.api.errors import ErrorKind
from exporter.api.times import format_shown_time
from exporter.api.wire import EntityId, EntityRow, InstanceRow
from exporter.collector.snapshot import (
    ApiUse,
    HubIdentity,
    HubSnapshot,
    RequestDurations,
    Sweep,
    SweepResult,
    SweepState,
)
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.status import ACTIVE, TERMINAL

AT = 1_795_428_000.0


def published(hubs: int, orchestrators: int) -> list[HubSnapshot]:
    """Return the snapshots of as many hubs, each of which knows as many orchestrators."""
    one = _snapshot(orchestrators)
    return [
        replace(one, identity=replace(one.identity, name=f"hub{number:03}"))
        for number in range(hubs)
    ]


def _rows(statuses: tuple[str, ...], orchestrators: int, at: float) -> list[InstanceRow]:
    return [
        InstanceRow(
            f"{status}-{number}",
            f"Orchestrator{number:04}",
            status,
            format_shown_time(at - 7.0 * number - 60.0),
            format_shown_time(at - 3.0 * number - 5.0),
        )
        for number in range(orchestrators)
        for status in statuses
    ]


def _snapshot(orchestrators: int) -> HubSnapshot:
    ledger = Ledger(DEFAULT_RULES)
    for at in (AT - 3600.0, AT):
        ledger.begin_active(at)
        ledger.apply_active_page(_rows(tuple(map(str, ACTIVE[:2])), orchestrators, at), at)
        active = ledger.complete_active(at)
        source = ledger.begin_finished(at).source
        ledger.apply_rows(_rows(tuple(map(str, TERMINAL[:2])), orchestrators, at), source, at)
        finished = ledger.complete_finished(at)
    ledger.unresolved.begin_listing(AT - 86_400.0)
    ledger.apply_rows(_rows(("Failed",), orchestrators, AT), Source.FAILED, AT)
    ledger.unresolved.complete_listing(AT)
    entities = ledger.entities.fold(AT)
    entities.add_page([EntityRow(EntityId("cart", "x"), format_shown_time(AT))])
    results = {result.value: 100 for result in SweepResult}
    state = SweepState(30.0, 30.0, AT, 0.25, results, pages=300, rows=30_000)
    return HubSnapshot(
        identity=HubIdentity("hub", "app.example", "Hub", "Storage"),
        up=True,
        stale_after=900.0,
        age_bounds=ledger.rules.age_bounds,
        duration_bounds=ledger.rules.duration_bounds,
        sweeps=dict.fromkeys(Sweep, state),
        counters=ledger.counters(0.0, 0.0),
        known=ledger.known(),
        api=ApiUse(
            requests={("listInstances", "200"): 300},
            errors={("listInstances", ErrorKind.TIMEOUT): 1},
            retries={"listInstances": 1},
            response_bytes={"listInstances": 12_345_678},
            durations={"listInstances": RequestDurations((30,) * 11, 61.5)},
        ),
        active=active,
        finished=finished,
        unresolved=ledger.unresolved.view(),
        entities=entities.complete(),
        clock_skew=-1.5,
    )
