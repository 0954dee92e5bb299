"""All that is active in the stuck hub, and what each instance waits on: nothing is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache

import pytest

from emulator import TaskHub
from exporter.collector.hub import HubCollector
from exporter.collector.snapshot import Sweep
from tests.cli.asked import serving_hub
from tests.collector.polled import INTERVALS, collector_of
from tests.diagnosis.stuck_app import BACKENDS, END, HOUR, START, TRUTH, VERSIONS, Truth, stuck_hub
from tests.diagnosis.surveying import limits

ALL = [(version, backend) for version in VERSIONS for backend in BACKENDS]
TROUBLE = {
    "not_started", "activity", "http_poll", "sub_orchestration", "timer_overdue", "entity",
    "entity_lock", "finished_in_history", "unknown", "no_step", "history_refused",
}  # fmt: skip
AUTO = "(the child of grandparent:child)"
_SAGA = TRUTH["payment-waiting-1"]
# Those of whom the stuck hub has several.
_OTHERS: dict[str, Truth] = {
    "approval-90002": TRUTH["approval-90001"],
    "grandparent:child": Truth(
        ("sub_orchestration", "WaitsForever"), 0, ("external_event", "WaitsForever")
    ),
    AUTO: Truth(("external_event", ""), 0),
    **{
        f"payment-waiting-{n}": Truth(_SAGA.own, 3 * HOUR - (35 - n) * 60, _SAGA.leaf, 5)
        for n in range(2, 7)
    },
    **{
        f"transfer-{n:04}": Truth(("not_started", ""), 3 * HOUR - 25 * 60 + 7 * n)
        for n in range(1, 4)
    },
}
Labels = tuple[str, str, str]


@asynccontextmanager
async def polled(
    hub: TaskHub, now: float = END, max_histories_per_sweep: int = 500
) -> AsyncGenerator[HubCollector, None]:
    """Return a collector that has made one active sweep of a hub, over a socket."""
    async with (
        serving_hub(hub) as url,
        collector_of(
            url,
            key=None,
            wall=lambda: now,
            rules=limits(),
            # Half of it is for reading histories: enough on a busy machine, too.
            intervals={**INTERVALS, Sweep.ACTIVE: 120.0},
            max_histories_per_sweep=max_histories_per_sweep,
        ) as (collector, _),
    ):
        assert await collector.make(Sweep.ACTIVE) is None
        yield collector


@cache
def shown_hub(version: str, backend: str) -> TaskHub:
    """Return the stuck hub of a version and a backend; who gets it only looks."""
    return stuck_hub(VERSIONS[version], BACKENDS[backend]())


def truths(hub: TaskHub) -> dict[str, Truth]:
    """Return what every active instance of the hub waits on, by its id."""
    active = {row.instance_id: row.name for row in hub.instances() if not row.status.terminal}
    known = {**TRUTH, **_OTHERS}
    (auto,) = active.keys() - known.keys()
    assert active[auto] == "WaitsForever"
    known[auto] = known.pop(AUTO)
    assert known.keys() == active.keys()
    return known


def labels_of(hub: TaskHub, instance_id: str, truth: Truth) -> Labels:
    """Return the labels under which a metric counts an instance."""
    row = next(row for row in hub.instances() if row.instance_id == instance_id)
    return (row.name, *truth.in_the_end)


def counted(hub: TaskHub, *, in_trouble: bool) -> dict[Labels, float]:
    """Return how many instances a metric has to show, by its labels."""
    return dict(
        Counter(
            labels_of(hub, instance_id, truth)
            for instance_id, truth in truths(hub).items()
            if is_trouble(truth) is in_trouble
        )
    )


def is_trouble(truth: Truth) -> bool:
    """Tell whether an instance is stuck; the others wait as designed or as told."""
    return truth.in_the_end[0] in TROUBLE


def oldest(hub: TaskHub) -> dict[Labels, Truth]:
    """Return who has been stuck for longest, by the labels of the metric."""
    found: dict[Labels, Truth] = {}
    for instance_id, truth in truths(hub).items():
        labels = labels_of(hub, instance_id, truth)
        if is_trouble(truth) and truth.since < found.get(labels, truth).since + 1e-9:
            found[labels] = truth
    return found


def assert_since(told: str | float | None, truth: Truth, who: object) -> None:
    """Assert that a wait is told to have begun when it did; texts are whole seconds."""
    moment = datetime.fromisoformat(told).timestamp() if isinstance(told, str) else told
    expected = pytest.approx(START + truth.since, abs=truth.tolerance + 1.0)
    assert moment == expected, who
