"""Everything that waits in the emulator, in each backend and version, over real sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from emulator import Emulator, ManualClock, TaskHub, running
from exporter.api.client import HubClient
from exporter.collector.hub_diagnosis import HistoryReader
from exporter.diagnosis.blame import End
from exporter.diagnosis.view import Coverage, Views
from tests.api.scripted import client_of
from tests.diagnosis.stuck_app import BACKENDS, END, START, TRUTH, VERSIONS, functions, stuck_hub
from tests.diagnosis.surveying import survey

pytestmark = pytest.mark.anyio

ALL = [(version, backend) for version in VERSIONS for backend in BACKENDS]


@asynccontextmanager
async def served(hub: TaskHub) -> AsyncGenerator[HubClient, None]:
    async with running(Emulator(hub, clock=hub.clock)) as url:
        base = f"{url}/runtime/webhooks/durabletask"
        async with client_of(base) as client:
            yield client


@pytest.mark.parametrize(("version", "backend"), ALL)
async def test_everything_that_waits_is_said_to_wait_on_the_right_thing(
    version: str, backend: str
) -> None:
    hub = stuck_hub(VERSIONS[version], BACKENDS[backend]())
    async with served(hub) as client:
        looking = survey(client)
        reads = await looking.cycle(END)
    assert reads.is_complete
    blames = looking.blames(END)

    for instance_id, truth in TRUTH.items():
        blame = blames[instance_id]
        assert blame.wait is not None, instance_id
        assert blame.leaf is not None, instance_id
        own = (blame.wait.waiting_on.value, blame.wait.target)
        leaf = (blame.leaf.waiting_on.value, blame.leaf.target)
        assert (own, leaf) == (truth.own, truth.in_the_end), instance_id
        since = pytest.approx(START + truth.since, abs=truth.tolerance)
        # Rows do not tell since when they are suspended.
        expected = None if truth.own[0] == "suspended" else since
        assert blame.wait.since == expected, instance_id


async def test_the_history_of_a_suspended_instance_tells_since_when_it_is() -> None:
    hub = stuck_hub(VERSIONS["v3"], BACKENDS["azure-storage"]())
    async with served(hub) as client:
        for instance_id in ("suspended", "nightly-report-suspended"):
            reads = await HistoryReader(client).why(instance_id)
            assert reads.result is not None
            wait = reads.result[0].wait
            assert wait is not None
            since = TRUTH[instance_id].since
            assert wait.since == pytest.approx(START + since, abs=1.5)


async def test_what_waits_by_design_is_no_trouble_and_the_sums_are_right() -> None:
    hub = stuck_hub(VERSIONS["v3"], BACKENDS["azure-storage"]())
    async with served(hub) as client:
        looking = survey(client)
        await looking.cycle(END)
    view = Views(50).of(looking.sampler, END, str)

    assert view.stalled["PaymentSaga", "activity", "CreditAccount"] == 7
    assert view.stalled["TransferFunds", "not_started", ""] == 4
    assert view.waiting["ApprovalWorkflow", "timer", ""] == 2
    assert view.waiting["NightlyReport", "suspended", ""] == 1
    assert {labels[1] for labels in view.waiting} == {
        "timer", "retry_backoff", "external_event", "suspended",
    }  # fmt: skip
    over = sum(coverage.over for coverage in view.coverage.values())
    assert over == sum(coverage.known for coverage in view.coverage.values())
    assert over == sum(view.stalled.values()) + sum(view.waiting.values())
    assert view.overdue_timers == {"CleanupMonitor": pytest.approx(END - 39 * 60, abs=5)}
    assert view.stalled_since["PaymentSaga", "activity", "CreditAccount"] == pytest.approx(
        END - 35 * 60, abs=5
    )


async def test_waiters_of_a_lock_are_victims_of_one_cause() -> None:
    hub = stuck_hub(VERSIONS["v3"], BACKENDS["mssql"]())
    async with served(hub) as client:
        looking = survey(client)
        await looking.cycle(END)
    causes = {cause.cause: cause for cause in Views(50).of(looking.sampler, END, str).causes}
    stalled = causes["payment-stalled"]
    assert (stalled.orchestrator, stalled.blocked) == ("PaymentSaga", 6)
    assert (stalled.wait.waiting_on.value, stalled.wait.target) == ("activity", "CreditAccount")
    assert stalled.samples[0] == "payment-waiting-1"


async def test_a_lock_that_is_waited_for_by_who_holds_it_is_a_cycle() -> None:
    hub = stuck_hub(VERSIONS["v2"], BACKENDS["azure-storage"]())
    async with served(hub) as client:
        looking = survey(client)
        await looking.cycle(END)
    blames = looking.blames(END)
    parent, child = blames["deadlock"], blames["deadlock:child"]

    assert parent.chain == ("deadlock", "deadlock:child", "@counter@deadlock", "deadlock")
    assert child.chain == ("deadlock:child", "@counter@deadlock", "deadlock", "deadlock:child")
    assert parent.end is child.end is End.CYCLE
    assert parent.cause == child.cause == "deadlock"
    assert parent.leaf == child.leaf
    assert parent.held_by == child.held_by == "deadlock"


async def test_a_stuck_instance_is_read_once() -> None:
    hub = stuck_hub(VERSIONS["v3"], BACKENDS["netherite"]())
    async with served(hub) as client:
        looking = survey(client)
        first = await looking.cycle(END)
        second = await looking.cycle(END + 30.0)
        later = await looking.cycle(END + 60.0)
    assert first.made > len(TRUTH)
    assert (second.made, later.made) == (0, 0)
    kinds = Counter(blame.end for blame in looking.blames(END).values())
    assert kinds[End.UNREAD] == kinds[End.MISSING] == 0


@pytest.mark.parametrize(("version", "backend"), [("v2", "azure-storage"), ("v3", "mssql")])
async def test_five_hundred_callers_of_a_locked_entity_cost_a_handful_of_reads(
    version: str, backend: str
) -> None:
    clock = ManualClock(START)
    hub = TaskHub(
        "OrdersHub",
        clock,
        functions=functions,
        version=VERSIONS[version],
        backend=BACKENDS[backend](),
    )
    hub.engine.start("HoldsLock", "holder", None, START)
    for number in range(500):
        start = partial(hub.engine.start, "CallsEntity", f"caller-{number:03}", '"locked"')
        hub.engine.at(START + 60 + number, start)
    clock.set(END)
    hub.advance()
    async with served(hub) as client:
        looking = survey(client, reads=30)
        reads = await looking.cycle(END)
    view = Views(50).of(looking.sampler, END, str)
    (cause,) = view.causes

    assert reads.made <= 5
    assert (cause.cause, cause.orchestrator, cause.blocked) == ("holder", "HoldsLock", 500)
    assert cause.wait.waiting_on.value == "external_event"
    assert view.coverage["CallsEntity"] == Coverage(over=500, known=500)
    assert {blame.held_by for blame in looking.blames(END).values()} == {None, "holder"}
    assert cause.samples[0] == "caller-000"
