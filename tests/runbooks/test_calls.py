"""What the runbooks let people send to an app does what they say: a shell and curl send it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping

import anyio
import pytest

from emulator import (
    Emulator,
    ExtensionVersion,
    Keys,
    ManualClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from tests.emulator.app import functions
from tests.emulator.hubs import move, status_of
from tests.runbooks.pages import PAGES
from tests.tools import tool

pytestmark = pytest.mark.anyio

DECEMBER = 1_765_800_000.0  # 2025-12-15T12:00:00Z, within the span of the purge
KEY = "the-system-key"
SETTLING_SECONDS = 2.0
CALLS = {
    section: re.findall(r"^curl .*$", PAGES["what-you-can-do"].section(section), re.MULTILINE)
    for section in PAGES["what-you-can-do"].headings(2)
}
LINES = [(section, line) for section, lines in CALLS.items() for line in lines]


@pytest.fixture
def hub() -> TaskHub:
    clock = ManualClock(DECEMBER)
    return TaskHub("OrdersHub", clock, functions=functions, version=ExtensionVersion.V3)


@pytest.fixture
async def url(hub: TaskHub) -> AsyncIterator[str]:
    async with running(Emulator(hub, clock=hub.clock, keys=Keys(system=KEY))) as url:
        yield f"{url}/runtime/webhooks/durabletask"


def begin(hub: TaskHub, orchestrator: str) -> None:
    hub.engine.start(orchestrator, "it", "1", hub.clock.now())
    move(hub, SETTLING_SECONDS)


def runs(hub: TaskHub) -> None:
    begin(hub, "WaitsForever")


def is_suspended(hub: TaskHub) -> None:
    runs(hub)
    hub.engine.suspend("it", "before", hub.clock.now())
    move(hub, SETTLING_SECONDS)


def has_failed(hub: TaskHub) -> None:
    begin(hub, "Refund")
    assert status_of(hub, "it") is RuntimeStatus.FAILED


def is_done(hub: TaskHub) -> None:
    begin(hub, "HelloSequence")
    assert status_of(hub, "it") is RuntimeStatus.COMPLETED


BEFORE: Mapping[str, Callable[[TaskHub], None]] = {
    "raiseEvent": runs,
    "suspend": runs,
    "terminate": runs,
    "resume": is_suspended,
    "rewind": has_failed,
    "restart": is_done,
    "DELETE": is_done,
    "orchestrators": is_done,
    "entities": is_done,
}
AFTER = {
    "suspend": RuntimeStatus.SUSPENDED,
    "terminate": RuntimeStatus.TERMINATED,
    "resume": RuntimeStatus.RUNNING,
    "rewind": RuntimeStatus.COMPLETED,
}


async def send(line: str, url: str, hub: TaskHub) -> int:
    """Let a shell run *line* as it stands on the page, and return the status of the answer."""
    curl = f"{tool('curl')} --noproxy '*' -sS -o /dev/null -w '%{{http_code}}'"
    script = f"set -u; {line.replace('curl', curl, 1)}"
    variables = {"APP": url, "HUB": hub.name, "KEY": KEY, "ID": "it"}
    with anyio.fail_after(60):
        done = await anyio.run_process(["/bin/sh", "-c", script], env=variables)
    return int(done.stdout)


def operation_of(line: str) -> str:
    return next(operation for operation in BEFORE if re.search(rf"\b{operation}\b", line))


def test_there_is_a_call_for_everything_that_can_be_done() -> None:
    assert {operation_of(line) for _, line in LINES} == set(BEFORE)


@pytest.mark.parametrize(("section", "line"), LINES)
async def test_a_call_is_taken_and_has_its_effect(
    hub: TaskHub, url: str, section: str, line: str
) -> None:
    operation = operation_of(line)
    BEFORE[operation](hub)
    if operation == "entities":
        hub.engine.signal("Counter", "steps", "add", "5", hub.clock.now())
        move(hub, SETTLING_SECONDS)
    assert await send(line, url, hub) in (200, 202), section
    move(hub, SETTLING_SECONDS)
    if operation in AFTER:
        assert status_of(hub, "it") is AFTER[operation]
    if operation == "DELETE":
        assert hub.get("it") is None
    if operation in ("restart", "orchestrators"):
        assert len([*hub.instances()]) == 1 + ("=false" not in line)


async def test_a_key_that_is_wrong_would_be_found(hub: TaskHub, url: str) -> None:
    line = CALLS["Terminate"][0].replace("$KEY", "another")
    assert await send(line, url, hub) == 401
