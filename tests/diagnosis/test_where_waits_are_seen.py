"""
Whatever gets stuck or merely waits in the emulator, wherever it is seen.

In each backend and version the metrics, the page, the API, `stuck` and `why` name the right step
and time of every active instance, and call nobody stuck who waits as designed or as told.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from emulator import ManualClock, TaskHub
from emulator.samples import recorded, shop
from emulator.scenarios.events import leak_functions
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.ledger.over_limit import MAX_SAMPLES_PER_ORCHESTRATOR
from exporter.web.formatting import span, words_of
from exporter.web.waits import state_in_words
from tests.cli.asked import ask, serving_hub, settings_for
from tests.diagnosis.shown_hub import (
    ALL,
    TROUBLE,
    assert_since,
    counted,
    is_trouble,
    oldest,
    polled,
    shown_hub,
    truths,
)
from tests.diagnosis.stuck_app import (
    BACKENDS,
    END,
    START,
    VERSIONS,
    Truth,
    functions,
)
from tests.metrics.shown import Shown
from tests.web.looking import Read, serving_hubs

pytestmark = pytest.mark.anyio

Capture = pytest.CaptureFixture[str]
in_every_hub = pytest.mark.parametrize(("version", "backend"), ALL)
# For what costs more, and depends on the version and the backend no further than its histories do.
in_one_hub_of_each = pytest.mark.parametrize(
    ("version", "backend"), [("v2", "mssql"), ("v3", "azure-storage"), ("v3", "netherite")]
)
# They finish or fail of themselves, within minutes.
NEVER_STUCK = {
    "BigOutput", "CallsFailingEntity", "CallsHttp", "FailsItself", "FanOut", "HelloSequence",
    "ImportBatch", "ImportFile", "Nondeterministic", "OrderSaga", "ProcessOrder", "ShortTimer",
    "SignalsEntity",
}  # fmt: skip
GO_ON = {"Eternal"}
# Longer than the limit of idle ones; some backends show the begin of all generations, so that those
# without an end come to be beyond a limit of age wherever they are not exempted from it.
GOING_ON = 40 * 60.0


async def told(capfd: Capture, hub: TaskHub, *arguments: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what a command tells of instances, by their ids."""
    async with serving_hub(hub) as url:
        outcome = await ask(capfd, settings_for(orders=url), *arguments, "--format", "json")
    assert (outcome.code, outcome.err) == (0, "")
    return {row["instance_id"]: row for row in json.loads(outcome.out)}


def rows_of_page(page: str, heading: str) -> dict[str, str]:
    """Return the texts of the rows of the table under a heading, by the id."""
    table = page.partition(f'id="{heading}"')[2].partition("</table>")[0]
    rows = re.findall(r'<tr role="row"[^>]*>\s*<th role="rowheader"(.*?)</tr>', table, re.DOTALL)
    # A child has a word more before its id.
    texts = [Read(f"<th{row}").text.removeprefix("\u21b3 child: ") for row in rows]
    return {text.split(" ", 1)[0]: text for text in texts}


def in_words(step: tuple[str, str]) -> str:
    return " ".join(filter(None, (words_of(step[0]), step[1])))


def as_a_state(step: tuple[str, str]) -> str:
    return state_in_words(Wait(WaitingOn(step[0]), step[1]))


def test_every_sample_orchestrator_that_can_get_stuck_is_in_the_hub() -> None:
    apps = (leak_functions, recorded.functions, shop.functions)
    samples = {name for app in apps for name in app.orchestrators}
    hub = shown_hub("v3", "azure-storage")
    active = {row.name for row in hub.instances() if not row.status.terminal}
    assert samples - active == NEVER_STUCK | GO_ON


def test_what_means_trouble_is_what_the_contract_says() -> None:
    assert {each.value for each in WaitingOn if each.means_trouble} == TROUBLE


@in_every_hub
async def test_the_metrics_name_the_step_and_the_time_of_all_that_wait(
    version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    async with polled(hub) as collector:
        shown = Shown(collector.snapshot, now=END)
    stalled = shown.values("durable_functions_stalled_instances")
    waiting = shown.values("durable_functions_waiting_instances")
    since = shown.values("durable_functions_stalled_since_timestamp_seconds")
    assert stalled == counted(hub, in_trouble=True)
    assert waiting == counted(hub, in_trouble=False)
    assert since.keys() == stalled.keys()
    for labels, truth in oldest(hub).items():
        assert_since(since[labels], truth, labels)
    undiagnosed = shown.values("durable_functions_exporter_undiagnosed_instances")
    assert set(undiagnosed.values()) == {0.0}
    (overdue,) = shown.values("durable_functions_oldest_overdue_timer_timestamp_seconds").items()
    assert overdue[0] == ("CleanupMonitor",)
    assert_since(overdue[1], truths(hub)["cleanup-monitor-timer-lost"], "overdue")


@in_every_hub
async def test_the_page_and_the_api_name_the_step_and_the_time_of_all_that_they_show(
    version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    expected = truths(hub)
    async with polled(hub) as collector, serving_hubs(collector.snapshot, at=END) as client:
        report = (await client.get("/api/v1/hubs/ordershub")).json()
        rows = rows_of_page((await client.get("/hubs/ordershub")).text, "over")
    samples = {each["instance_id"]: each for each in report["over_limit_samples"]}
    assert rows.keys() == samples.keys() <= expected.keys()
    names = Counter(row.name for row in hub.instances() if not row.status.terminal)
    seen = Counter(each["orchestrator"] for each in samples.values())
    assert seen.keys() == names.keys()
    assert all(seen[name] >= min(names[name], MAX_SAMPLES_PER_ORCHESTRATOR) for name in names)
    for instance_id, sample in samples.items():
        assert_told(sample, expected[instance_id], instance_id)
        assert_on_page(rows[instance_id], sample, expected[instance_id])


def assert_told(sample: Mapping[str, Any], truth: Truth, instance_id: str) -> None:
    assert (sample["waiting_on"], sample["target"]) == truth.own, instance_id
    assert (sample["leaf_waiting_on"], sample["leaf_target"]) == truth.in_the_end, instance_id
    assert sample["stalled"] is is_trouble(truth), instance_id
    # Rows do not tell since when they are suspended.
    if truth.own[0] == "suspended":
        assert sample["waiting_since"] is None
    else:
        assert_since(sample["waiting_since"], truth, instance_id)


def assert_on_page(row: str, sample: Mapping[str, Any], truth: Truth) -> None:
    waits = in_words(truth.own)
    if truth.own[0] != "suspended":
        since = datetime.fromisoformat(sample["waiting_since"]).timestamp()
        # The page counts by what it takes for the app's clock: whole seconds.
        assert any(f" {waits}, {span(END - since + by)}" in row for by in (-1, 0, 1)), row
    assert f" {waits}" in row, row
    assert ("(as expected)" in row) is not is_trouble(truth), row
    if truth.leaf is not None:
        assert f": blocked by {sample['chain'][-1]}, {in_words(truth.leaf)}" in row, row


@in_every_hub
async def test_the_page_and_the_api_call_nobody_stuck_who_waits_as_designed(
    version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    expected = truths(hub)
    async with polled(hub) as collector, serving_hubs(collector.snapshot, at=END) as client:
        report = (await client.get("/api/v1/hubs/ordershub")).json()
        page = (await client.get("/hubs/ordershub")).text
    causes = {each["cause"]: each for each in report["causes"]}
    for instance_id, cause in causes.items():
        truth = expected.get(instance_id)
        if truth is not None and truth.leaf is None:
            assert (cause["waiting_on"], instance_id) == (truth.own[0], instance_id)
            assert cause["stalled"] is is_trouble(truth)
    stalled = {instance_id for instance_id, cause in causes.items() if cause["stalled"]}
    assert {"slow", "payment-stalled", "polls", "cleanup-monitor-timer-lost"} <= stalled
    assert rows_of_page(page, "stuck").keys() <= stalled
    assert causes["holder"]["victims"] == 2


@in_every_hub
async def test_stuck_names_the_step_and_the_time_of_all_and_calls_only_those_stuck_that_are(
    capfd: Capture, version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    expected = truths(hub)
    everything = await told(capfd, hub, "stuck", "--all")
    stuck = await told(capfd, hub, "stuck")
    assert everything.keys() == expected.keys()
    assert stuck.keys() == {each for each, truth in expected.items() if is_trouble(truth)}
    for instance_id, truth in expected.items():
        row = everything[instance_id]
        assert (row["waiting_on"], row["target"]) == truth.own, instance_id
        if truth.own[0] == "suspended":
            assert row["since"] is None
        else:
            assert_since(row["since"], truth, instance_id)


@in_every_hub
async def test_why_names_the_step_and_the_time_of_each_and_the_one_in_the_end(
    capfd: Capture, version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    async with serving_hub(hub) as url:
        settings = settings_for(orders=url)
        for instance_id, truth in truths(hub).items():
            said = await ask(capfd, settings, "why", instance_id, "--format", "json")
            assert (said.code, said.err) == (0, ""), instance_id
            (reason,) = json.loads(said.out)
            assert (reason["waiting_on"], reason["target"]) == truth.own, instance_id
            assert_since(reason["since"], truth, instance_id)
            leaf = reason["leaf"]
            assert (leaf["waiting_on"], leaf["target"]) == truth.in_the_end, instance_id
            assert leaf["instance_id"] == reason["chain"][-1]


@in_one_hub_of_each
async def test_why_says_in_words_who_waits_as_designed_and_says_it_of_nobody_else(
    capfd: Capture, version: str, backend: str
) -> None:
    hub = shown_hub(version, backend)
    async with serving_hub(hub) as url:
        settings = settings_for(orders=url)
        for instance_id, truth in truths(hub).items():
            text = (await ask(capfd, settings, "why", instance_id)).out
            assert f"It {as_a_state(truth.own)} since 2027-01-15T" in text, instance_id
            kind = truth.in_the_end[0]
            may_be_lost = kind == "external_event"
            is_designed = not is_trouble(truth) and not may_be_lost
            assert ("That is expected" in text) is is_designed, instance_id
            assert ("a call or a failure was lost" in text) is may_be_lost, instance_id
            # The one of the hub that cannot be told is rewound.
            assert ("it may be running" in text) is (kind == "unknown")
            assert ("fires in" in text) is (truth.own[0] in ("timer", "retry_backoff"))


def hub_that_goes_on(version: str, backend: str) -> TaskHub:
    """Return a hub in which all go on, also those that have no end, after a while."""
    clock = ManualClock(START)
    hub = TaskHub(
        "OrdersHub",
        clock,
        functions=functions,
        version=VERSIONS[version],
        backend=BACKENDS[backend](),
    )
    hub.engine.start("Eternal", "eternal", None, START)
    hub.engine.start("CleanupMonitor", "monitor", None, START)
    clock.set(START + GOING_ON)
    hub.advance()
    return hub


@in_every_hub
async def test_one_that_runs_for_ever_and_goes_on_is_neither_stuck_nor_over_a_limit(
    capfd: Capture, version: str, backend: str
) -> None:
    hub = hub_that_goes_on(version, backend)
    async with polled(hub, START + GOING_ON) as collector:
        text = Shown(collector.snapshot, now=START + GOING_ON)
    assert await told(capfd, hub, "stuck", "--all") == {}
    assert text.values("durable_functions_stalled_instances") == {}
    assert text.values("durable_functions_waiting_instances") == {}


async def test_each_sample_that_its_row_explains_is_explained_however_many_there_are() -> None:
    clock = ManualClock(START)
    hub = TaskHub("OrdersHub", clock, functions=functions, version=VERSIONS["v3"])
    for number in range(12):
        hub.engine.start("SlowActivity", f"slow-{number:02}", None, START + number)
        # The first one to start is the last one to be suspended.
        suspend = partial(hub.engine.suspend, f"slow-{number:02}", "maintenance")
        hub.engine.at(START + 3000 - 60 * number, suspend)
    clock.set(END)
    hub.advance()
    async with polled(hub) as collector, serving_hubs(collector.snapshot, at=END) as client:
        report = (await client.get("/api/v1/hubs/ordershub")).json()
    samples = {each["instance_id"]: each["waiting_on"] for each in report["over_limit_samples"]}
    assert samples == {f"slow-{n:02}": "suspended" for n in range(MAX_SAMPLES_PER_ORCHESTRATOR)}
