"""A hub at defaults as it comes to be shown: at first contact, and after a week of its life."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random

from exporter.api.errors import ErrorKind
from exporter.api.telemetry import OPERATIONS, ApiTelemetry
from exporter.api.wire import EntityId, EntityRow, InstanceRow
from exporter.collector.polling_inputs import rules_of
from exporter.collector.snapshot import (
    HubIdentity,
    HubSnapshot,
    StateUse,
    Sweep,
    SweepResult,
    SweepState,
    use_of,
)
from exporter.diagnosis.view import Coverage, DiagnosisView
from exporter.ledger.ledger import Ledger, Source
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.exposition import Exposition
from exporter.metrics.family import sample_names
from exporter.metrics.lines import Format
from exporter.settings import HUB_DEFAULTS, Buckets
from tests.ledger.world import NOW, row, shown
from tests.metrics.shown import samples

HOUR = 3600.0
WEEK = 7 * 24 * HOUR
ENTITIES = ("counter", "cart", "device")
OUTPUTS = (
    b"\"Orchestrator function '%s' failed: The activity function 'Charge' failed: \\\"No.\\\".\"",
    b"\"Orchestrator function '%s' failed: Non-Deterministic workflow detected: ...\"",
    b"\"Orchestrator function '%s' failed: Value cannot be null.\"",
)
CHOICES = ("Completed",) * 95 + ("Failed",) * 3 + ("Terminated",) * 2


class Hub:
    """
    A task hub with so many orchestrators, each of which starts about one instance an hour.

    Most finish within the hour; every third orchestrator has one that waits for days, every third
    fails now and then, every tenth continues as new, and one instance is suspended.
    """

    def __init__(self, orchestrators: int) -> None:
        self.names = [f"Process{number:02}Order" for number in range(orchestrators)]
        self.ledger = Ledger(rules_of(HUB_DEFAULTS, Buckets()))
        self.telemetry = ApiTelemetry()
        self._random = Random(orchestrators)
        self._failed: list[InstanceRow] = []
        self._cycle(0.0)

    def live_a_week(self) -> None:
        """Poll it every hour for a week."""
        at = 0.0
        while at < WEEK:
            at += HOUR
            self._cycle(at)
            if self._random.random() < 0.1:
                self.telemetry.attempt("listInstances", "503", 0.2, 100)
                self.telemetry.errors["listInstances", ErrorKind.SERVER] += 1
                self.telemetry.retries["listInstances"] += 1

    def _cycle(self, at: float) -> None:
        ledger, now = self.ledger, NOW + at
        ledger.begin_active(now)
        ledger.apply_active_page([*self._active(at), *self._entity_rows()], now)
        absent = list(ledger.absent())
        for instance_id in absent[:1] if self._random.random() < 0.02 else ():
            ledger.mark_vanished(instance_id)
        self._view = ledger.complete_active(now)
        source = ledger.begin_finished(now).source
        ledger.apply_rows(self._finished(at), source, now)
        self._finishes = ledger.complete_finished(now)
        ledger.unresolved.begin_listing(now - WEEK)
        ledger.apply_rows(self._failed, Source.FAILED, now)
        ledger.unresolved.complete_listing(now)
        ledger.begin_census()
        ledger.apply_census_page(list(self._finished(at)), now)
        ledger.complete_census(now)
        entities = ledger.entities.fold(now)
        entities.add_page([EntityRow(EntityId(name, "x"), shown(at)) for name in ENTITIES])
        self._entities = entities.complete()
        for operation in OPERATIONS:
            self.telemetry.attempt(operation, "200", 0.03, 4000)

    def _active(self, at: float) -> Iterator[InstanceRow]:
        for number, name in enumerate(self.names):
            yield row(f"{name}-{at}", created=at - 20.0, name=name)
            if number % 3 == 0:
                yield row(f"{name}-long", created=-600.0, updated=at - 900.0, name=name)
            if number % 4 == 0:
                yield row(f"{name}-{at}-p", "Pending", created=at - 2.0, name=name)
            if number % 10 == 0:
                yield row(f"{name}-eternal", created=at - 60.0, name=name)
        yield row("suspended", "Suspended", created=-6000.0, name=self.names[0])

    def _finished(self, at: float) -> Iterator[InstanceRow]:
        for number, name in enumerate(self.names):
            status = self._random.choice(CHOICES) if number % 3 == 0 else "Completed"
            output = self._random.choice(OUTPUTS).replace(b"%s", name.encode())
            finished = row(
                f"{name}-{at - HOUR}",
                status,
                created=at - HOUR - 20.0,
                updated=at - self._random.choice((30.0, 600.0, 3000.0)),
                name=name,
                output=output if status == "Failed" else None,
            )
            if status == "Failed":
                self._failed = [*self._failed[-9:], finished]
            yield finished

    def _entity_rows(self) -> Iterator[InstanceRow]:
        for name in ENTITIES:
            yield row(f"@{name}@x", name=f"@{name}@x", custom_status=b'{"queueSize":0}')

    @property
    def snapshot(self) -> HubSnapshot:
        """What is published of it."""
        ledger = self.ledger
        state = SweepState(
            30.0,
            30.0,
            completed=2 * NOW,
            duration=0.25,
            results=dict.fromkeys(SweepResult, 0),
        )
        stalled = self.names[::10]
        return HubSnapshot(
            identity=HubIdentity("orders", "app.example", "OrdersHub", "Storage"),
            up=True,
            stale_after=HUB_DEFAULTS.stale_after,
            age_bounds=ledger.rules.age_bounds,
            duration_bounds=ledger.rules.duration_bounds,
            sweeps=dict.fromkeys(Sweep, state),
            counters=ledger.counters(0.0, 0.0),
            known=ledger.known(),
            api=use_of(self.telemetry),
            active=self._view,
            finished=self._finishes,
            retained=ledger.retained.view(),
            unresolved=ledger.unresolved.view(),
            entities=self._entities,
            state=StateUse({"locked": 0, "write": 0}, NOW, 64_000),
            diagnosis=DiagnosisView(
                stalled={(name, "activity", "Charge"): 1 for name in stalled},
                waiting={(name, "external_event", ""): 1 for name in self.names[::5]},
                stalled_since={(name, "activity", "Charge"): NOW for name in stalled},
                overdue_timers={self.names[0]: NOW},
                coverage={name: Coverage(1, 1) for name in stalled},
                causes=(),
                orphans=dict.fromkeys(self.names[::5], 0),
            ),
            clock_skew=0.0,
        )


def series_by_family(hub: Hub) -> dict[str, int]:
    """Return how many series each family of the hub has, by the catalogue's name."""
    text = Exposition().body([hub.snapshot], NOW, Format.CLASSIC).text
    names = {name: family.name for family in CATALOGUE for name in sample_names(family)}
    counts = {family.name: 0 for family in CATALOGUE if family.per_hub}
    for sample in samples(text):
        if "task_hub" in sample.labels:
            counts[names[sample.name]] += 1
    return counts


def series_table() -> str:
    """Return how many series hubs of 1, 10 and 30 orchestrators have, by family, as Markdown."""
    columns = []
    for number in (1, 10, 30):
        hub = Hub(number)
        fresh = series_by_family(hub)
        hub.live_a_week()
        after = series_by_family(hub)
        totals = {"**all of the hub**": (sum(fresh.values()), sum(after.values()))}
        families = {f"`{name}`": (fresh[name], after[name]) for name in after}
        columns.append({**families, **totals})
    lines = ["| `durable_functions_...` | 1 orchestrator | 10 | 30 |", "|---|---|---|---|"]
    for name in columns[0]:
        if any(column[name][1] for column in columns):
            cells = " | ".join(_span(*column[name]) for column in columns)
            lines.append(f"| {name.replace('durable_functions_', '')} | {cells} |")
    return "\n".join(lines) + "\n"


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


if __name__ == "__main__":
    sys.stdout.write(series_table())
