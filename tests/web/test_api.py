"""The JSON API: it keeps its schema, and says what it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest

from exporter.collector.snapshot import HubSnapshot
from exporter.web import reference
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot
from tests.web.hubs import (
    empty_hub,
    healthy_hub,
    hostile_hub,
    incident_hub,
    starting_hub,
    unreachable_hub,
)
from tests.web.looking import serving_hubs

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[2] / "docs"
MAKERS = [
    healthy_hub, incident_hub, unreachable_hub, empty_hub, starting_hub, hostile_hub, busy_snapshot,
]  # fmt: skip


def check(answer: object, definition: str) -> None:
    """Fail if an answer is not what the committed schema says, or has more in it."""
    schema = json.loads((DOCS / "api-v1.schema.json").read_text(encoding="utf-8"))
    for each in schema["$defs"].values():
        if each.get("type") == "object":
            each.setdefault("additionalProperties", False)
    schema["$ref"] = f"#/$defs/{definition}"
    jsonschema_rs.validator_for(schema).validate(answer)


@pytest.mark.parametrize("name", ["api.md", "api-v1.schema.json"])
def test_the_committed_reference_is_the_generated_one(name: str) -> None:
    made = {"api.md": reference.page, "api-v1.schema.json": reference.schema}[name]()
    assert (DOCS / name).read_text(encoding="utf-8") == made


@pytest.mark.parametrize("make", MAKERS)
async def test_answers_are_what_the_schema_says(make: Callable[[], HubSnapshot]) -> None:
    hub = make()
    async with serving_hubs(hub) as client:
        overview = await client.get("/api/v1/hubs")
        encoded = "".join(f"%{byte:02X}" for byte in hub.identity.name.encode())
        report = await client.get(f"/api/v1/hubs/{encoded}")
    assert overview.headers["content-type"] == report.headers["content-type"] == "application/json"
    check(overview.json(), "HubsReport")
    check(report.json(), "HubReport")
    (summary,) = overview.json()["hubs"]
    assert summary == {name: report.json()[name] for name in summary}


async def test_a_hub_that_is_not_there_is_a_problem_in_json() -> None:
    async with serving_hubs(healthy_hub()) as client:
        for path in ("/api/v1/hubs/nope", "/api/v1/hubs/a%2Fb", "/api/v1/hubs/"):
            answer = await client.get(path)
            assert answer.status_code == 404
            check(answer.json(), "Problem")
        assert answer.headers["cache-control"] == "no-store"


async def test_hubs_come_the_worst_first() -> None:
    hubs = [starting_hub(), healthy_hub(), incident_hub(), unreachable_hub()]
    async with serving_hubs(*hubs) as client:
        answer = (await client.get("/api/v1/hubs")).json()
    assert [(hub["name"], hub["status"]) for hub in answer["hubs"]] == [
        ("billing", "down"),
        ("payments", "error"),
        ("invoices", "starting"),
        ("orders", "ok"),
    ]


async def test_an_incident_in_numbers() -> None:
    async with serving_hubs(incident_hub()) as client:
        hub = (await client.get("/api/v1/hubs/payments")).json()
    parts = [hub[each] for each in ("stalled", "waiting_as_expected", "undiagnosed")]
    assert (hub["over_limit"], parts) == (162, [159, 0, 3])
    assert hub["instances"] == {"Pending": 22, "Running": 137, "Suspended": 1, "ContinuedAsNew": 0}
    assert [finding["kind"] for finding in hub["findings"]] == [
        "stalled",
        "orphaned_locks",
        "undiagnosed",
        "failing",
        "unresolved_failures",
    ]
    oldest = hub["over_limit_samples"][0]
    assert oldest["limit"] == "idle"
    assert oldest["seconds"] == pytest.approx(3700.0 + 40 * 136 + 12.4)
    assert hub["failure_reasons"][0] == {
        "orchestrator": "PaymentSaga",
        "category": "activity",
        "failed_function": "ChargeCard",
        "error_type": "TimeoutException",
        "instances": 64,
    }
    saga = next(each for each in hub["orchestrators"] if each["name"] == "PaymentSaga")
    assert saga["instances"]["Running"] == saga["over_limit"]["idle"] == 137
    assert sum(hub["finishes"]["failed"]) == sum(saga["finishes"]["failed"]) + 5
    assert hub["entities"][0]["orphaned_locks"] == 9
    assert hub["entities"][0]["backlog_max_operations"] == 41


async def test_what_is_too_old_is_null_and_never_zero() -> None:
    async with serving_hubs(unreachable_hub(since=1e6)) as client:
        hub = (await client.get("/api/v1/hubs/billing")).json()
    assert set(hub["instances"].values()) == {None}
    for name in ("over_limit", "unresolved_failures", "completed_1h", "failed_1h", "finishes"):
        assert hub[name] is None, name
    assert hub["failure_reasons"] is None
    for line in hub["orchestrators"]:
        assert set(line["instances"].values()) == {None}
        assert line["over_limit"] is line["recent"] is line["unresolved_failures"] is None
    assert hub["entities"][0]["entities"] is hub["entities"][0]["locked"] is None
    assert [sweep["fresh"] for sweep in hub["sweeps"]] == [False] * 5
    assert hub["cost"]["errors"] == {"connect": 24}


async def test_no_message_of_an_app_is_in_it() -> None:
    async with serving_hubs(incident_hub()) as client:
        text = (await client.get("/api/v1/hubs/payments")).text
        page = (await client.get("/")).text
    for shown in (text, page):
        assert "gateway gave no answer" not in shown
        assert "no carrier" not in shown


async def test_times_are_those_of_the_snapshot_in_utc() -> None:
    async with serving_hubs(healthy_hub(), at=NOW + 12.0) as client:
        hub = (await client.get("/api/v1/hubs/orders")).json()
    assert hub["time"] == "2026-09-21T14:13:32Z"
    assert hub["sweeps"][0]["last_complete_time"] == "2026-09-21T14:13:10Z"
    assert hub["sweeps"][0]["age_seconds"] == 22.0
