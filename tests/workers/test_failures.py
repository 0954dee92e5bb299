"""Every failure of the recorded apps is told as what it was, by metrics and by commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import pytest

from exporter.collector.snapshot import Sweep
from tests.cli.asked import ask
from tests.collector.polled import collector_of
from tests.workers.recorded_hub import Row, recorded_app, rows_of, updated
from tests.workers.truth import FAILED, UNTOLD, VERSIONS, Failure

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
in_every_app = pytest.mark.parametrize("version", VERSIONS)
in_both_orders = pytest.mark.parametrize("reverse", [False, True], ids=["as listed", "reversed"])


def expected(version: str) -> dict[str, Failure]:
    """Return what is to be told of every failed instance."""
    return {
        instance_id: UNTOLD.get((version, instance_id), failure)
        for instance_id, failure in FAILED[version].items()
    }


def is_failed(row: Row) -> bool:
    return str(row["runtimeStatus"]) == "Failed"


def reasons(version: str, rows: Mapping[str, Row]) -> Counter[tuple[str, str, str, str]]:
    """Return how many of *rows* are to be counted for each reason: as rows tell them."""
    told = expected(version)
    return Counter(
        (row["name"], each.kind, each.function, "" if each.in_history else each.type)
        for instance_id, row in rows.items()
        if (each := told[instance_id])
    )


@in_every_app
def test_the_table_has_every_failed_instance(version: str) -> None:
    failed = {each for each, row in rows_of(version).items() if is_failed(row)}
    assert failed == FAILED[version].keys()


@in_every_app
@in_both_orders
async def test_failures_tells_of_each_what_the_table_says(
    capfd: Capture, version: str, *, reverse: bool
) -> None:
    async with recorded_app(version, reverse=reverse) as (_, settings):
        outcome = await ask(
            capfd, settings, "failures", "--format", "json", "--samples", "100", "--since", "1d"
        )
    assert (outcome.code, outcome.err) == (0, "")
    told = {}
    for group in json.loads(outcome.out):
        for each in (group, *group["children"]):
            failure = (each["category"], each["failed_function"], each["error_type"])
            told.update(dict.fromkeys(each["instance_ids"], failure))
    assert told == {
        instance_id: (each.kind, each.function, each.type)
        for instance_id, each in expected(version).items()
    }


@in_every_app
@in_both_orders
async def test_failures_are_counted_as_the_rows_tell_them_in_whatever_order_they_come(
    version: str, *, reverse: bool
) -> None:
    failed = {each: row for each, row in rows_of(version).items() if is_failed(row)}
    async with recorded_app(version, reverse=reverse) as (server, _):
        now, rows = server.date, server.rows
        # First contact is before anything has happened.
        server.date, server.rows = min(map(updated, rows_of(version).values())) - 60.0, ()
        async with collector_of(server.url, key=None, wall=lambda: server.date or 0.0) as (
            collector,
            _,
        ):
            assert await collector.make(Sweep.ACTIVE) is None
            server.date, server.rows = now, rows
            assert await collector.make(Sweep.ACTIVE) is None
            counted = collector.snapshot.counters["failure_reasons"]
    assert counted == reasons(version, failed)


@in_every_app
@in_both_orders
async def test_at_first_contact_the_unresolved_are_the_failed_roots_in_whatever_order_they_come(
    version: str, *, reverse: bool
) -> None:
    rows = rows_of(version)
    roots = {
        instance_id: row
        for instance_id, row in rows.items()
        if is_failed(row) and str(row.get("parentInstanceId") or "@")[0] == "@"
    }
    async with recorded_app(version, reverse=reverse) as (server, _):
        assert server.date is not None
        date = server.date
        async with collector_of(server.url, key=None, wall=lambda: date) as (collector, _):
            for sweep in (Sweep.ACTIVE, Sweep.FAILED):
                assert await collector.make(sweep) is None
            unresolved = collector.snapshot.unresolved
    assert unresolved is not None
    assert unresolved.failures == Counter(row["name"] for row in roots.values())
    told = {
        (name, reason.category.value, reason.failed_function, reason.error_type): count
        for (name, reason), count in unresolved.reasons.items()
        if reason is not None
    }
    assert told == reasons(version, roots)
