"""Rows for ledger tests, and a ledger that has made first contact."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from exporter.api.times import format_shown_time
from exporter.api.wire import NOTHING, InstanceRow
from exporter.ledger.ledger import Ledger, Source
from exporter.ledger.rules import LedgerRules
from tests.ledger.rules import DEFAULT_RULES

NOW = 1_790_000_000.0


def row(
    instance_id: str,
    status: str | int = "Running",
    *,
    created: float | None = 0.0,
    updated: float | None = None,
    name: str = "Order",
    custom_status: bytes | None = None,
    output: bytes | None = None,
) -> InstanceRow:
    """Return a row; times are seconds from `NOW`, an unknown one is year 1."""
    last = created if updated is None else updated
    return InstanceRow(
        instance_id=instance_id,
        name=name,
        runtime_status=status,
        created_time=shown(created),
        last_updated_time=shown(last),
        custom_status=NOTHING if custom_status is None else msgspec.Raw(custom_status),
        output=NOTHING if output is None else msgspec.Raw(output),
    )


@lru_cache(maxsize=200_000)
def shown(offset: float | None) -> str:
    """Write a time as the API does."""
    return "0001-01-01T00:00:00Z" if offset is None else format_shown_time(NOW + offset)


def in_contact(rules: LedgerRules | None = None, *active: InstanceRow) -> Ledger:
    """Return a ledger whose first contact, at `NOW`, found *active* and nothing finished."""
    ledger = Ledger(rules or DEFAULT_RULES)
    sweep(ledger, 0.0, *active)
    recent(ledger, 0.0)
    return ledger


def sweep(ledger: Ledger, at: float, *active: InstanceRow) -> None:
    """List the active instances, completely."""
    ledger.begin_active(NOW + at)
    ledger.apply_active_page(active, NOW + at)
    ledger.complete_active(NOW + at)


def recent(ledger: Ledger, at: float, *finished: InstanceRow) -> None:
    """List what finished lately, completely."""
    search = ledger.begin_finished(NOW + at)
    ledger.apply_rows(finished, search.source, NOW + at)
    ledger.complete_finished(NOW + at)


def read(ledger: Ledger, at: float, found: InstanceRow) -> None:
    """Read one instance by its id."""
    ledger.apply_row(found, Source.READ, NOW + at)


def census(ledger: Ledger, at: float, *finished: InstanceRow) -> None:
    """Make a complete census."""
    ledger.begin_census()
    ledger.apply_census_page(finished, NOW + at)
    ledger.complete_census(NOW + at)


def finishes(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return the finishes counted so far, without the zeros."""
    series = ledger.counters(0.0, 0.0)["finished"]
    return {(name, status): count for (name, status), count in series.items() if count}


def counted(ledger: Ledger, family: str) -> dict[tuple[str, ...], int]:
    """Return the counters of a family, without the zeros."""
    series = ledger.counters(0.0, 0.0)[family]
    return {labels: count for labels, count in series.items() if count}
