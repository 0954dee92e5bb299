"""A snapshot that shows something in every family."""

from __future__ import annotations

from dataclasses import replace

from exporter.api.wire import EntityId, EntityRow
from exporter.collector.snapshot import (
    ApiUse,
    HubIdentity,
    HubSnapshot,
    RequestDurations,
    StateUse,
    Sweep,
    SweepState,
)
from exporter.diagnosis.view import Coverage, DiagnosisView
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.snapshot import UnfilteredView
from tests.ledger.rules import DEFAULT_RULES
from tests.ledger.world import NOW, census, recent, row, shown, sweep

DECLINED = (
    b"\"Orchestrator function 'Order' failed: The activity function 'Charge' failed: "
    b'\\"Card declined\\". See the function execution logs for additional details."'
)
LIMITS = {"pending": 600.0, "failure_ratio": 0.05, "unresolved_failures": 10.0}
OWN_LIMITS = {"Order": {"age": 60.0}}


def busy_snapshot(name: str = "orders", **changes: object) -> HubSnapshot:
    """Return the snapshot of a hub in which everything happened, published at `NOW` + 60."""
    ledger = busy_ledger()
    ledger.begin_active(NOW + 60.0)
    ledger.apply_active_page(
        [
            row("r1", created=-30.0, updated=10.0),
            row("e1", created=40.0),
            row("p1", "Pending", created=-900.0),
            row("@cart@x", name="@cart@x", custom_status=b'{"queueSize":3,"lockedBy":"r1"}'),
        ],
        NOW + 60.0,
    )
    active = ledger.complete_active(NOW + 60.0)
    source = ledger.begin_finished(NOW + 60.0).source
    ledger.apply_rows(
        [
            row("f1", "Failed", created=20.0, updated=27.0, output=DECLINED),
            row("c1", "Completed", created=20.0, updated=21.0),
            row("r2", "Completed", created=-30.0, updated=55.0),
        ],
        source,
        NOW + 60.0,
    )
    finished = ledger.complete_finished(NOW + 60.0)
    ledger.unresolved.begin_listing(NOW - 86_400.0)
    ledger.apply_rows(
        [
            row("f1", "Failed", created=20.0, updated=27.0),
            row("f0", "Failed", created=-9000.0, updated=-8000.0),
        ],
        Source.FAILED,
        NOW + 60.0,
    )
    ledger.unresolved.complete_listing(NOW + 60.0)
    entities = ledger.entities.fold(NOW + 60.0)
    entities.add_page([EntityRow(EntityId("cart", "x"), shown(0.0))])
    state = SweepState(
        interval=30.0,
        configured=30.0,
        completed=NOW + 60.0,
        duration=0.25,
        results={"complete": 2, "failed": 1, "truncated": 0, "skipped_budget": 0},
        pages=3,
        rows=7,
        refused=1,
    )
    fields: dict[str, object] = {
        "identity": HubIdentity(name, "app.example", "OrdersHub", "Storage", {"team": "blue"}),
        "up": True,
        "stale_after": 900.0,
        "age_bounds": ledger.rules.age_bounds,
        "duration_bounds": ledger.rules.duration_bounds,
        "sweeps": dict.fromkeys(Sweep, state),
        "counters": ledger.counters(60.0, 0.0),
        "known": replace(ledger.known(), replaced=NOW - 3600.0),
        "api": ApiUse(
            requests={("listInstances", "200"): 9, ("listInstances", "none"): 1},
            errors={("listInstances", "timeout"): 1},
            retries={"listInstances": 1},
            response_bytes={"listInstances": 12345},
            durations={"listInstances": RequestDurations((8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1), 61.5)},
        ),
        "active": active,
        "finished": finished,
        "retained": ledger.retained.view(),
        "unresolved": ledger.unresolved.view(),
        "state": StateUse({"locked": 1, "write": 0}, NOW + 59.0, 11_815),
        "entities": entities.complete(),
        "pages_remaining": 4321,
        "unfiltered": UnfilteredView(2, {}),
        "diagnosis": DiagnosisView(
            stalled={("Order", "activity", "Charge"): 7, ("Configured", "not_started", ""): 1},
            waiting={("Order", "external_event", ""): 2},
            stalled_since={("Order", "activity", "Charge"): NOW - 5400.0},
            overdue_timers={"Order": NOW - 300.0},
            coverage={"Order": Coverage(12, 9), "Configured": Coverage(1, 1)},
            causes=(),
            orphans={"Order": 3, "Configured": 0},
        ),
        "clock_skew": -1.5,
    }
    return HubSnapshot(**{**fields, **changes})  # type: ignore[arg-type] # checked at run time


def busy_ledger() -> Ledger:
    """Return a ledger in contact since `NOW`, whose counters are born then."""
    ledger = Ledger(replace(DEFAULT_RULES, limits=LIMITS, orchestrators=("Configured",)))
    sweep(ledger, 0.0, *(row(each, created=-30.0) for each in ("r1", "r2", "e1")))
    recent(ledger, 0.0)
    census(ledger, 10.0, row("old", "Terminated", created=-9e5, updated=-9e5))
    return ledger
