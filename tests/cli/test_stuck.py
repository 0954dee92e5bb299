"""`stuck` and `why`: the right step for every wait, and clear messages for failures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from emulator import (
    ActivityContext,
    Fault,
    FaultKind,
    Functions,
    ManualClock,
    OrchestrationContext,
    Steps,
    TaskHub,
    running,
)
from emulator.api import Operation
from emulator.backends.azure_storage import AzureStorage
from emulator.json_text import JsonValue
from exporter.settings import load_settings
from tests.cli.asked import ask, serving_hub, settings_for
from tests.cli.process import KEY, frozen_emulator, run
from tests.diagnosis.stuck_app import (
    BACKENDS,
    END,
    START,
    TRUTH,
    VERSIONS,
    functions,
    stuck_hub,
)

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
# The promise of the design, in this order.
KEYS = [
    "task_hub", "instance_id", "orchestrator", "runtime_status", "created_time",
    "last_updated_time", "waiting_on", "target", "since", "held_by", "chain",
]  # fmt: skip
TROUBLE = {
    "not_started", "activity", "http_poll", "sub_orchestration", "timer_overdue", "entity",
    "entity_lock", "finished_in_history", "unknown",
}  # fmt: skip
LIMITLESS = {"limits.pending": "none", "limits.idle": "none", "limits.age": "none"}
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


def hub_of_callers(count: int) -> TaskHub:
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=functions, version=VERSIONS["v3"])
    hub.engine.start("HoldsLock", "holder", None, START)
    hub.engine.start("SlowActivity", "slow", None, START)
    for number in range(count):
        start = partial(hub.engine.start, "CallsEntity", f"caller-{number:03}", '"locked"')
        hub.engine.at(START + 60 + number, start)
    clock.set(END)
    hub.advance()
    return hub


class TestStuck:
    @pytest.mark.parametrize(
        ("version", "backend"), [("v2", "azure-storage"), ("v3", "mssql"), ("v3", "netherite")]
    )
    async def test_everything_over_a_limit_is_named_with_its_step(
        self, capfd: Capture, version: str, backend: str
    ) -> None:
        hub = stuck_hub(VERSIONS[version], BACKENDS[backend]())
        async with serving_hub(hub) as url:
            outcome = await ask(
                capfd, settings_for(orders=url), "stuck", "--format", "json", "--all"
            )
        assert (outcome.code, outcome.err) == (0, "")
        rows = {row["instance_id"]: row for row in json.loads(outcome.out)}
        assert all(list(row) == KEYS for row in rows.values())
        for instance_id, truth in TRUTH.items():
            row = rows[instance_id]
            assert (row["waiting_on"], row["target"]) == truth.own, instance_id
            assert row["chain"][0] == instance_id
            assert row["task_hub"] == "orders"

    async def test_what_waits_as_designed_is_not_called_stuck(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            outcome = await ask(capfd, settings_for(orders=url), "stuck", "--format", "json")
            table = await ask(capfd, settings_for(orders=url), "stuck")
        stuck = {row["instance_id"] for row in json.loads(outcome.out)}
        expected = {each for each, truth in TRUTH.items() if truth.in_the_end[0] in TROUBLE}
        assert stuck & TRUTH.keys() == expected
        assert not stuck & {"approval", "event", "long-timer", "retry", "suspended", "caller"}
        assert (
            f"orders: {len(stuck)} instances stalled, 22 waiting as expected (--all lists them)"
            in table.out
        )
        assert "approval" not in table.out

    async def test_the_holder_of_a_lock_and_the_chain_are_told(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            outcome = await ask(capfd, settings_for(orders=url), "stuck", "--format", "json")
        rows = {row["instance_id"]: row for row in json.loads(outcome.out)}
        waiter, parent = rows["payment-waiting-1"], rows["parent"]
        assert waiter["held_by"] == "payment-stalled"
        assert waiter["chain"][0] == "payment-waiting-1"
        assert waiter["chain"][-1] == "payment-stalled"
        assert (parent["held_by"], parent["chain"]) == (None, ["parent", "parent:child"])

    async def test_five_hundred_victims_are_one_cause(self, capfd: Capture) -> None:
        async with serving_hub(hub_of_callers(500)) as url:
            table = await ask(capfd, settings_for(orders=url), "stuck", "--all", "--reads", "20")
        assert "  500 CallsEntity: external event HoldsLock for 2 h 5" in table.out
        assert "500 blocked by holder (HoldsLock waits on an event" in table.out
        assert "more: raise --limit" in table.out

    async def test_a_shorter_limit_is_for_one_look(self, capfd: Capture) -> None:
        hub = hub_of_callers(3)
        async with serving_hub(hub) as url:
            settings = load_settings({}, {"hubs.orders.url": url, **LIMITLESS})
            none = await ask(capfd, settings, "stuck")
            some = await ask(capfd, settings, "stuck", "--older-than", "10m")
            later = await ask(capfd, settings, "stuck", "--older-than", "1d")
        assert none.out.startswith("orders: nothing is stalled\n")
        assert "1 instance stalled" in some.out
        assert later.out.startswith("orders: nothing is stalled\n")

    async def test_what_is_suspended_is_listed_by_all_and_said_once_it_is_forgotten(
        self, capfd: Capture
    ) -> None:
        hub = hub_of_callers(1)
        hub.engine.suspend("slow", "an incident", END)
        assert isinstance(hub.clock, ManualClock)
        hub.clock.set(END + 7200)
        hub.advance()
        async with serving_hub(hub) as url:
            settings = load_settings({}, {"hubs.orders.url": url, **LIMITLESS})
            quiet = await ask(capfd, settings, "stuck")
            all_of_them = await ask(capfd, settings, "stuck", "--all")
            strict = load_settings(
                {}, {"hubs.orders.url": url, **LIMITLESS, "limits.suspended": "1h"}
            )
            forgotten = await ask(capfd, strict, "stuck")
        assert "slow" not in quiet.out
        assert "1 SlowActivity: suspended" in all_of_them.out
        assert "1 suspended over limits.suspended" in forgotten.out
        assert "\nslow " in forgotten.out

    async def test_what_was_not_looked_at_is_said(self, capfd: Capture, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            outcome = await ask(
                capfd, settings_for(orders=url), "stuck", "--reads", "3", "--format", "json"
            )
        assert outcome.code == 0
        assert json.loads(outcome.out)
        assert "over a limit not diagnosed; raise --reads" in outcome.err

    async def test_one_hub_that_fails_hides_no_other(self, capfd: Capture, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url, gone=NOBODY)
            outcome = await ask(capfd, settings, "stuck", "--format", "json")
            alone = await ask(capfd, settings, "stuck", "--format", "json", "--hub", "orders")
        assert (outcome.code, alone.code) == (1, 0)
        assert json.loads(outcome.out) == json.loads(alone.out) != []
        assert "hub gone: listInstances: no connection" in outcome.err
        assert "to fix it: " in outcome.err

    async def test_histories_that_cannot_be_read_are_said_and_rows_tell_what_they_can(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.ERROR, operations={Operation.GET_INSTANCE}))
        async with serving_hub(hub) as url:
            outcome = await ask(capfd, settings_for(orders=url), "stuck", "--format", "json")
        assert outcome.code == 1
        assert {row["waiting_on"] for row in json.loads(outcome.out)} == {
            "not_started",
            # Its row names its parent.
            "sub_orchestration",
            "unknown",
        }
        assert "hub orders: getInstanceStatus: 500" in outcome.err

    async def test_a_hub_with_nothing_in_it_is_no_good_news_without_a_word(
        self, capfd: Capture
    ) -> None:
        empty = TaskHub("OrdersHub", ManualClock(START))
        async with serving_hub(empty) as url:
            table = await ask(capfd, settings_for(orders=url), "stuck")
            scripted = await ask(capfd, settings_for(orders=url), "stuck", "--format", "json")
        assert (table.code, scripted.code) == (0, 0)
        assert "nothing is stalled" in table.out
        assert "compare task_hub with host.json" in table.out
        assert json.loads(scripted.out) == []


class TestWhy:
    async def test_a_parent_is_followed_to_the_activity(self, capfd: Capture, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            shown = await ask(capfd, settings_for(orders=url), "why", "parent")
            told = await ask(capfd, settings_for(orders=url), "why", "parent", "--format", "json")
        assert shown.code == 0
        assert "It waits on sub-orchestration SlowActivity since 2027-01-15T08:00:00Z" in shown.out
        assert "-> parent:child" in shown.out
        assert "Root cause: SlowActivity parent:child waits on activity Slow since" in shown.out
        (reason,) = json.loads(told.out)
        assert reason["chain"] == ["parent", "parent:child"]
        assert reason["leaf"]["waiting_on"] == "activity"
        assert reason["leaf"]["target"] == "Slow"
        assert [step["event"] for step in reason["timeline"]] == [
            "ExecutionStarted",
            "SubOrchestrationInstanceCreated",
        ]
        assert reason["timeline"][1]["seconds"] == pytest.approx(3 * 3600, abs=5)
        assert reason["timeline"][1]["is_open"]

    @pytest.mark.parametrize("backend", list(BACKENDS))
    async def test_everything_that_waits_is_told_rightly(
        self, capfd: Capture, backend: str
    ) -> None:
        hub = stuck_hub(VERSIONS["v3"], BACKENDS[backend]())
        async with serving_hub(hub) as url:
            for instance_id, truth in TRUTH.items():
                told = await ask(
                    capfd, settings_for(orders=url), "why", instance_id, "--format", "json"
                )
                (reason,) = json.loads(told.out)
                assert told.code == 0
                assert (reason["waiting_on"], reason["target"]) == truth.own, instance_id

    async def test_a_timer_and_an_approval_are_said_to_be_no_trouble(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            timer = await ask(capfd, settings_for(orders=url), "why", "long-timer")
            event = await ask(capfd, settings_for(orders=url), "why", "event")
            stuck = await ask(capfd, settings_for(orders=url), "why", "slow")
        assert "fires in" in timer.out
        assert "That is expected" in timer.out
        assert "It waits on an event" in event.out
        assert "That is expected" not in event.out
        assert "or (JavaScript, Python, PowerShell) a call or a failure was lost" in event.out
        assert "That is expected" not in stuck.out

    async def test_a_lock_leads_to_its_holder(self, capfd: Capture, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            waiter = await ask(capfd, settings_for(orders=url), "why", "lock-waiter")
            entity = await ask(capfd, settings_for(orders=url), "why", "@counter@locked")
        assert "-> holder, which holds the lock" in waiter.out
        assert "Root cause: HoldsLock holder waits on an event since" in waiter.out
        assert "entity of counter, locked by holder" in entity.out
        assert "2 callers in its queue" in entity.out

    async def test_the_failure_is_shown_in_full_and_steers_no_terminal(
        self, capfd: Capture
    ) -> None:
        hub = failed_hub()
        async with serving_hub(hub) as url:
            shown = await ask(capfd, settings_for(orders=url), "why", "broken")
        assert shown.code == 0
        assert "Failed" in shown.out
        assert "the bank is closed" in shown.out
        assert "activity failed" in shown.out
        assert "It waits on" not in shown.out
        assert "for ever" in shown.out
        assert "\x1b" not in shown.out

    async def test_an_id_that_no_hub_has_is_said_with_a_code_of_its_own(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            unknown = await ask(capfd, settings_for(orders=url), "why", "nope")
            unsure = await ask(capfd, settings_for(orders=url, gone=NOBODY), "why", "nope")
            known = await ask(capfd, settings_for(orders=url, gone=NOBODY), "why", "slow")
        assert (unknown.code, unknown.err) == (4, "no instance nope in: orders\n")
        # Nobody knows whether the hub that does not answer has it.
        assert unsure.code == 1
        assert "no instance" not in unsure.err
        assert known.code == 1
        assert "It waits on activity Slow" in known.out

    async def test_a_host_that_denies_every_id_is_not_believed(
        self, capfd: Capture, hub: TaskHub
    ) -> None:
        async with serving_hub(hub) as url:
            settings = settings_for(orders=url)
            hub.faults.set(Fault(kind=FaultKind.ERROR, operations={Operation.GET_INSTANCE}))
            outcome = await ask(capfd, settings, "why", "slow")
        assert outcome.code == 1
        assert "hub orders: getInstanceStatus: 500" in outcome.err


breaking = Functions()


@breaking.orchestrator
def Breaks(context: OrchestrationContext) -> Steps:  # noqa: N802 - as functions are named
    """Do something, then fail with a message that would control a terminal."""
    yield context.call_activity("Works")
    yield context.call_activity("Explodes")
    return None


@breaking.activity
def Works(_argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
    """Do nothing."""
    return None


@breaking.activity
def Explodes(_argument: JsonValue, _context: ActivityContext) -> JsonValue:  # noqa: N802
    """Fail."""
    raise RuntimeError("the bank is closed \x1b[31mfor ever")


def failed_hub() -> TaskHub:
    """Return a hub with a failure whose reason holds an escape sequence."""
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=breaking, version=VERSIONS["v3"])
    hub.engine.start("Breaks", "broken", None, START)
    clock.set(END)
    hub.advance()
    return hub


class TestAsItIsRun:
    """As separate processes, with only `--url` and `--key-file`."""

    async def test_url_and_key_file_are_enough(self, tmp_path: Path) -> None:
        key = tmp_path / "key"
        key.write_text(KEY)
        async with running(frozen_emulator()) as url:
            alone = ("--url", url, "--key-file", str(key))
            outcome = await run("stuck", "--format", "json", *alone)
            missing = await run("why", "nope", *alone)
            key.write_text("wrong")
            refused = await run("stuck", *alone)
        assert outcome.code == 0
        # Nothing but JSON, and no progress in a pipe.
        assert isinstance(json.loads(outcome.out), list)
        assert outcome.err == ""
        assert missing.code == 4
        assert refused.code == 1
        assert "401" in refused.err
        assert "key_file must hold the system key" in refused.err
        assert "Traceback" not in refused.err + missing.err

    async def test_a_hub_that_is_not_there_and_one_that_is_unknown(self) -> None:
        gone = await run("why", "x", "--url", NOBODY, "--set", "retries.max_retries=0")
        unknown = await run("stuck", "--url", NOBODY, "--hub", "other")
        assert (gone.code, unknown.code) == (1, 2)
        assert len(gone.err.splitlines()) == 1
        assert "no connection" in gone.err
        assert "--hub: unknown hub 'other'; configured: default" in unknown.err
