"""What instances wait on, on the page and in the API: causes first, in plain words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.collector.snapshot import HubSnapshot, Sweep
from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.groups import Waiting
from exporter.diagnosis.view import Coverage
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.web.findings import findings_of
from exporter.web.waits import root_cause, state_in_words
from tests.ledger.world import NOW
from tests.web.hubs import incident_hub, unreachable_hub, view_of
from tests.web.looking import serving_hubs

pytestmark = pytest.mark.anyio

HOSTILE = '"><script>alert(1)</script>'


def with_blames(hub: HubSnapshot, *blames: Blame, over: int = 0) -> HubSnapshot:
    """Return a hub of which this is known."""
    waiting = [
        Waiting("Order", blame.wait, blame.leaf, blame)
        for blame in blames
        if blame.wait is not None and blame.leaf is not None
    ]
    coverage = {"Order": Coverage(over or len(blames), len(blames))}
    view = view_of(waiting, coverage, {blame.chain[0]: blame for blame in blames})
    return replace(hub, diagnosis=view)


async def test_one_cause_stands_for_its_victims_and_comes_first() -> None:
    async with serving_hubs(incident_hub()) as client:
        hub = (await client.get("/api/v1/hubs/payments")).json()
        page = (await client.get("/")).text
    cause = hub["causes"][0]
    assert (cause["victims"], cause["waiting_on"], cause["target"]) == (
        136,
        "activity",
        "ChargeCard",
    )
    assert cause["stalled"]
    assert len(cause["victim_ids"]) == 10
    assert cause["links"]["logs"].endswith("orchestrator=PaymentSaga")
    assert hub["undiagnosed"] == 3
    assert hub["findings"][0]["kind"] == "stalled"
    assert hub["findings"][0]["summary"] == (
        "159 instances stalled: 137 PaymentSaga: activity ChargeCard for 2 h 31 min; "
        "22 ShipOrder: not started for 22 min."
    )
    (first, second) = hub["waits"]
    assert first["blockers"][0]["instance_id"] == cause["cause"]
    assert (first["instances"], first["blockers"][0]["blocked"]) == (137, 136)
    assert (second["waiting_on"], second["instances"]) == ("not_started", 22)
    assert page.index("Stalled instances") < page.index('id="over"')
    assert "3 more instances over a limit: not diagnosed yet" in page


async def test_each_sample_tells_what_it_waits_on_and_what_holds_it() -> None:
    async with serving_hubs(incident_hub()) as client:
        hub = (await client.get("/api/v1/hubs/payments")).json()
        page = (await client.get("/")).text
    holder = hub["causes"][0]["cause"]
    sagas = [each for each in hub["over_limit_samples"] if each["orchestrator"] == "PaymentSaga"]
    waiter = next(each for each in sagas if each["instance_id"] != holder)
    assert (waiter["waiting_on"], waiter["target"]) == ("entity_lock", "account")
    assert (waiter["held_by"], waiter["chain"][-1]) == (holder, holder)
    assert (waiter["leaf_waiting_on"], waiter["leaf_target"]) == ("activity", "ChargeCard")
    assert waiter["stalled"]
    assert "entity lock account" in page
    shipping = next(each for each in hub["over_limit_samples"] if each["limit"] == "pending")
    assert shipping["waiting_on"] is shipping["stalled"] is None
    assert "not diagnosed yet" in page


async def test_who_waits_as_designed_is_not_called_stuck() -> None:
    hub = incident_hub()
    assert hub.active is not None
    first = hub.active.over_limit_samples[0].instance_id
    wait = Wait(WaitingOn.EXTERNAL_EVENT, since=NOW - 9000.0)
    quiet = with_blames(hub, Blame((first,), wait, wait, End.LEAF, first, "Order"))
    assert "stalled" not in [each.kind for each in findings_of(quiet, NOW)]
    assert [each.severity for each in findings_of(quiet, NOW) if each.kind == "waiting"] == ["note"]
    async with serving_hubs(quiet) as client:
        page = (await client.get("/")).text
        told = (await client.get("/api/v1/hubs/payments")).json()
    assert "What is stalled" not in page
    assert "(as expected)" in page
    assert told["over_limit_samples"][0]["stalled"] is False
    assert told["causes"][0]["stalled"] is False


async def test_what_is_odd_about_the_end_of_a_chain_is_said() -> None:
    lock = Wait(WaitingOn.ENTITY_LOCK, "cart", NOW - 900.0)
    orphan = Blame(("a", "@cart@1", "gone"), lock, lock, End.ORPHANED_LOCK, "gone", "", "gone")
    cycle = Blame(("b", "@cart@2", "b"), lock, lock, End.CYCLE, "b", "Order", "b")
    async with serving_hubs(with_blames(incident_hub(), orphan, cycle)) as client:
        page = (await client.get("/")).text
    assert "it holds the lock and is not active" in page
    assert "they wait for each other" in page


async def test_who_holds_a_lock_and_is_gone_is_not_said_to_wait_for_it() -> None:
    lock = Wait(WaitingOn.ENTITY_LOCK, "cart", NOW - 900.0)
    blames = [
        Blame((each, "@cart@1", "gone"), lock, lock, End.ORPHANED_LOCK, "gone", "Order", "gone")
        for each in ("a", "b")
    ]
    async with serving_hubs(with_blames(incident_hub(), *blames)) as client:
        hub = (await client.get("/api/v1/hubs/payments")).json()
    (summary,) = (each["summary"] for each in hub["findings"] if each["kind"] == "stalled")
    assert summary == "2 instances stalled: 2 Order: entity lock cart for 15 min."
    (blocker,) = hub["waits"][0]["blockers"]
    assert (blocker["instance_id"], blocker["blocked"]) == ("gone", 2)
    assert blocker["summary"] == "it holds the lock and is not active"
    assert hub["causes"][0]["orchestrator"] == ""


async def test_markup_in_ids_and_targets_is_text() -> None:
    wait = Wait(WaitingOn.ACTIVITY, HOSTILE, NOW - 900.0)
    blame = Blame((HOSTILE, HOSTILE + "2"), wait, wait, End.LEAF, HOSTILE + "2", HOSTILE)
    async with serving_hubs(with_blames(incident_hub(), blame)) as client:
        page = (await client.get("/")).text
    assert "<script>" not in page
    assert "alert(1)" in page


async def test_it_is_withdrawn_with_the_active_sweep() -> None:
    hub = with_blames(
        unreachable_hub(since=1e6),
        Blame(("a",), (wait := Wait(WaitingOn.ACTIVITY, "Ship", NOW)), wait, End.LEAF, "a"),
    )
    assert not hub.is_fresh(Sweep.ACTIVE, NOW)
    async with serving_hubs(hub) as client:
        told = (await client.get("/api/v1/hubs/billing")).json()
        page = (await client.get("/")).text
    assert told["causes"] is told["undiagnosed"] is None
    assert "What is stalled" not in page
    assert "stalled" not in [each["kind"] for each in told["findings"]]


async def test_without_histories_nothing_is_said_of_them() -> None:
    hub = replace(incident_hub(), diagnosis=None, is_diagnosed=False)
    async with serving_hubs(hub) as client:
        told = (await client.get("/api/v1/hubs/payments")).json()
        page = (await client.get("/")).text
    assert told["causes"] is told["undiagnosed"] is None
    assert "Waits on" not in page


@pytest.mark.parametrize("kind", WaitingOn)
def test_how_somebody_is_who_waits_follows_a_name_in_a_sentence(kind: WaitingOn) -> None:
    verb, *_ = state_in_words(Wait(kind)).split()
    assert verb in ("has", "is", "waits")
    assert "_" not in state_in_words(Wait(kind))


def test_nobody_is_said_to_wait_on_what_nobody_can_wait_on() -> None:
    assert state_in_words(Wait(WaitingOn.ACTIVITY, "ChargeCard")) == "waits on activity ChargeCard"
    assert state_in_words(Wait(WaitingOn.NOT_STARTED)) == "has not started"
    assert state_in_words(Wait(WaitingOn.RETRY_BACKOFF, "Ship")) == "waits to retry Ship"


LOCK = Wait(WaitingOn.ENTITY_LOCK, "cart")
CHILD = Wait(WaitingOn.NOT_STARTED, "Payment")
ENDS = [
    # the end, the leaf, the end's orchestrator, why the chain ends there; what is said
    ("pay-7", CHILD, "Payment", End.LEAF, "Payment pay-7 has not started"),
    ("pay-7", Wait(WaitingOn.EXTERNAL_EVENT), "", End.LEAF, "pay-7 waits on an event"),
    (
        "pay-7",
        Wait(WaitingOn.SUB_ORCHESTRATION, "Ship"),
        "Payment",
        End.TOO_DEEP,
        "Payment pay-7 waits on sub-orchestration Ship; the chain is too long to follow",
    ),
    ("@cart@1", Wait(WaitingOn.ENTITY, "cart"), "Order", End.LEAF, "@cart@1: it has not answered"),
    ("@cart@1", Wait(WaitingOn.SUSPENDED), "Order", End.LEAF, "@cart@1 is suspended"),
    (
        "fib-9",
        Wait(WaitingOn.SUB_ORCHESTRATION, "Fib"),
        "Fib",
        End.TOO_DEEP,
        "Fib fib-9 waits on sub-orchestration Fib; the chain is too long to follow",
    ),
    ("@cart@1", LOCK, "Order", End.MISSING, "@cart@1: its first operation has not ended"),
    ("gone", LOCK, "Order", End.ORPHANED_LOCK, "gone holds the lock and is not active"),
    ("lost", CHILD, "Order", End.MISSING, "lost: it has no row"),
]


@pytest.mark.parametrize(("end", "leaf", "orchestrator", "why", "said"), ENDS)
def test_a_root_cause_names_who_waits_or_why_the_chain_ends(
    end: str, leaf: Wait, orchestrator: str, why: End, said: str
) -> None:
    assert root_cause(Blame(("a", end), LOCK, leaf, why, end, orchestrator), leaf) == said
