"""The pages in a real browser: nothing is cut off, nothing runs, everybody can use them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import anyio
import msgspec
import pytest
from _pytest.mark import ParameterSet
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from exporter.api.times import format_shown_time
from exporter.api.wire import HistoryEvent
from exporter.collector.instance_lookup import FoundInstance, InstanceReader
from exporter.collector.snapshot import HubSnapshot
from exporter.diagnosis.blame import Blame, End
from exporter.diagnosis.families import Member
from exporter.diagnosis.history import CHILD_COMPLETED, CHILD_CREATED
from exporter.diagnosis.nodes import Absence
from exporter.diagnosis.waits import Wait, WaitingOn
from exporter.web.instance_pages import InstancePages
from exporter.web.runbook_pages import runbook_names
from tests.ledger.world import NOW, row
from tests.tools import node_package, tool
from tests.web.hubs import (
    empty_hub,
    healthy_hub,
    hostile_hub,
    incident_hub,
    starting_hub,
    three_lines_hub,
    unreachable_hub,
)
from tests.web.looking import serving_hubs

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).parent / "javascript" / "browser.js"
LONGEST_ANSWER = 1 << 24
NARROW, WIDE = 320, 1400
SCENES: Mapping[str, Callable[[], HubSnapshot]] = {
    "healthy": healthy_hub,
    "incident": incident_hub,
    "unreachable": unreachable_hub,
    "empty": empty_hub,
    "starting": starting_hub,
    "three-lines": three_lines_hub,
}


@dataclass(frozen=True, slots=True)
class Browser:
    """A headless Chromium that looks at one page after another."""

    process: Process
    answers: BufferedByteReceiveStream

    async def look(self, url: str, width: int = WIDE, **options: object) -> dict[str, Any]:
        """Return what is to be seen at *url*."""
        job = {"url": url, "width": width, **options}
        assert self.process.stdin is not None
        await self.process.stdin.send(json.dumps(job).encode() + b"\n")
        with anyio.fail_after(60):
            line = await self.answers.receive_until(b"\n", LONGEST_ANSWER)
        found: dict[str, Any] = json.loads(line)
        assert "error" not in found, found
        return found


@asynccontextmanager
async def open_browser(home: Path) -> AsyncGenerator[Browser, None]:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CHROMIUM": str(tool("chromium")),
        "NODE_PATH": str(node_package("playwright-core").parent),
    }
    node_package("axe-core")
    command = [str(tool("node")), str(SCRIPT)]
    async with await anyio.open_process(command, env=environ, stderr=None) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Browser(process, BufferedByteReceiveStream(process.stdout))
        # Its end is the browser's end.
        await process.stdin.aclose()
        with anyio.fail_after(30):
            await process.wait()


@pytest.fixture(scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with open_browser(tmp_path_factory.mktemp("home")) as browser:
        yield browser


def picture_of(scene: str, width: int, *, dark: bool) -> str | None:
    """Return where a picture goes: nowhere, unless somebody asks for pictures to look at."""
    folder = os.environ.get("PAGE_PICTURES")
    name = f"{scene}-{width}-{'dark' if dark else 'light'}.png"
    return str(Path(folder).resolve() / name) if folder else None


def looks(*widths: int) -> list[ParameterSet]:
    """Return each width, light or dark by turns; the proofs look at it in the other way too."""
    return [
        pytest.param(width, dark, marks=() if place % 2 == dark else pytest.mark.proof)
        for place, width in enumerate(widths)
        for dark in (False, True)
    ]


@pytest.mark.parametrize(("width", "dark"), looks(NARROW, WIDE))
@pytest.mark.parametrize("scene", SCENES)
async def test_a_hub_can_be_read_by_everybody_at_any_width(
    browser: Browser, scene: str, width: int, *, dark: bool
) -> None:
    picture = picture_of(scene, width, dark=dark)
    async with serving_hubs(SCENES[scene]()) as client:
        seen = await browser.look(
            str(client.base_url), width, dark=dark, axe=True, screenshot=picture
        )
    assert seen["violations"] == []
    assert seen["checked"] > 30
    assert seen["scrolls"] is False
    assert seen["tooWide"] == []


@pytest.mark.parametrize(("width", "dark"), looks(NARROW, 768, 1240, 1900))
async def test_so_can_all_hubs(browser: Browser, width: int, *, dark: bool) -> None:
    async with serving_hubs(*(make() for make in SCENES.values())) as client:
        seen = await browser.look(
            str(client.base_url),
            width,
            dark=dark,
            axe=True,
            screenshot=picture_of("all", width, dark=dark),
        )
    assert seen["violations"] == []
    assert seen["scrolls"] is False
    assert seen["tooWide"] == []
    assert seen["title"] == "3 of 6 task hubs have errors"


@pytest.mark.parametrize(("width", "dark"), looks(NARROW, WIDE))
@pytest.mark.parametrize("page", ["", "/DurableFunctionsDataStale", "/what-you-can-do"])
async def test_so_can_runbooks(browser: Browser, page: str, width: int, *, dark: bool) -> None:
    async with serving_hubs(healthy_hub()) as client:
        seen = await browser.look(
            f"{client.base_url}/runbooks{page}",
            width,
            dark=dark,
            axe=True,
            screenshot=picture_of(f"runbooks{page.replace('/', '-')}", width, dark=dark),
        )
    assert seen["status"] == 200
    assert seen["violations"] == []
    assert seen["checked"] > 20
    assert seen["scrolls"] is False
    assert seen["tooWide"] == []


@pytest.mark.nightly
async def test_no_runbook_is_cut_off(browser: Browser) -> None:
    async with serving_hubs(healthy_hub()) as client:
        for name in sorted(runbook_names()):
            seen = await browser.look(
                f"{client.base_url}/runbooks/{name}",
                NARROW,
                screenshot=picture_of(f"runbooks-{name}", NARROW, dark=False),
            )
            assert (seen["scrolls"], seen["tooWide"], seen["problems"]) == (False, [], []), name


async def test_dark_is_dark_and_light_is_light(browser: Browser) -> None:
    async with serving_hubs(healthy_hub()) as client:
        light = await browser.look(str(client.base_url), dark=False)
        dark = await browser.look(str(client.base_url), dark=True)
    assert light["background"] == "rgb(242, 244, 248)"
    assert dark["background"] == "rgb(16, 20, 26)"


async def test_names_that_are_markup_do_nothing(browser: Browser) -> None:
    hub = hostile_hub()
    encoded = "".join(f"%{byte:02X}" for byte in hub.identity.name.encode())
    async with serving_hubs(hub, incident_hub()) as client:
        for path in ("", f"hubs/{encoded}"):
            seen = await browser.look(f"{client.base_url}/{path}".replace("//h", "/h"), NARROW)
            assert seen["status"] == 200
            assert (seen["scripts"], seen["inlineStyles"]) == (1, 0)
            assert seen["problems"] == []
            assert seen["scrolls"] is False
            hosts = {link.split("/")[2] for link in seen["links"] if link.startswith("http")}
            assert hosts <= {f"127.0.0.1:{client.base_url.port}", "dfm.example", "logs.example"}
            assert all(link.startswith("http") for link in seen["links"])


async def test_the_longest_names_are_not_cut_off(browser: Browser) -> None:
    long = healthy_hub("h" * 128)
    assert long.active is not None
    samples = [
        msgspec.structs.replace(each, instance_id="i" * 300, orchestrator="o" * 128)
        for each in incident_hub().active.over_limit_samples  # type: ignore[union-attr] # is there
    ]
    active = replace(
        long.active, over_limit_samples=tuple(samples), over_limit={("o" * 128, "idle"): 9}
    )
    known = replace(long.known, orchestrators=("o" * 128, "p" * 128), entities=("e" * 128,))
    async with serving_hubs(replace(long, active=active, known=known)) as client:
        for width in (NARROW, WIDE):
            seen = await browser.look(str(client.base_url), width)
            assert seen["scrolls"] is False
            assert seen["tooWide"] == []


async def test_nothing_needs_a_script_and_no_console_complains(browser: Browser) -> None:
    async with serving_hubs(healthy_hub(), incident_hub()) as client:
        with_scripts = await browser.look(str(client.base_url))
        without = await browser.look(str(client.base_url), noScript=True)
    assert with_scripts["problems"] == without["problems"] == []
    assert with_scripts["title"] == without["title"]


async def test_a_keyboard_reaches_the_content_and_the_worst_hub_first(browser: Browser) -> None:
    async with serving_hubs(healthy_hub(), incident_hub()) as client:
        seen = await browser.look(str(client.base_url), keys=["Tab", "Enter", "Tab"])
        stepping = await browser.look(str(client.base_url), keys=["Tab"] * 4)
    assert seen["focused"][0] == "Skip to content"
    assert seen["focused"][2] == "payments"
    assert stepping["focused"][1:3] == ["Durable Functions exporter", "Pause refreshing"]


@pytest.mark.parametrize(("width", "height"), [(420, 900), (WIDE, 900)])
@pytest.mark.parametrize("no_script", [False, True])
async def test_three_things_are_three_lines_on_the_first_screen(
    browser: Browser, width: int, height: int, *, no_script: bool
) -> None:
    async with serving_hubs(three_lines_hub()) as client:
        seen = await browser.look(
            str(client.base_url),
            width,
            height=height,
            noScript=no_script,
            texts=[".lead", ".groups li p:first-child, .findings > li > div > p:first-child"],
            within=".findings",
        )
    (lead,) = seen["texts"][".lead"]
    assert lead == "30 instances stalled: 30 ProcessOrder: activity ShipParcel for 3 h."
    lines = [each for texts in list(seen["texts"].values())[1:] for each in texts]
    assert "30 ProcessOrder: activity ShipParcel for 3 h" in lines
    assert "40 ApprovalWorkflow: external event for 2 h 30 min" in lines
    assert any("1 entity is permanently locked" in each for each in lines)
    assert seen["bottom"] <= height
    assert seen["problems"] == []


class TestWithScripts:
    async def test_rows_can_be_searched_and_filtered_and_stay_so(self, browser: Browser) -> None:
        rows = "table[aria-labelledby=over] tbody tr th code"
        async with serving_hubs(three_lines_hub()) as client:
            url = str(client.base_url)
            everything = await browser.look(url, texts=[rows])
            searched = await browser.look(
                url,
                steps=[["fill", "input[aria-label='Search in Over a limit']", "order-02"]],
                reload=True,
                texts=[rows],
            )
            filtered = await browser.look(
                url,
                steps=[["selectOption", "select[aria-label='Orchestrator in Over a limit']",
                        "ApprovalWorkflow"]],
                texts=[rows],
            )  # fmt: skip
            linked = await browser.look(
                url, steps=[["click", ".groups a[data-orchestrator=ProcessOrder]"]], texts=[rows]
            )
        assert len(everything["texts"][rows]) == 10
        assert searched["texts"][rows]
        assert all(each.startswith("order-02") for each in searched["texts"][rows])
        assert len(filtered["texts"][rows]) == 5
        assert all(each.startswith("approval-") for each in filtered["texts"][rows])
        assert all(each.startswith("order-") for each in linked["texts"][rows])

    async def test_rows_can_be_sorted(self, browser: Browser) -> None:
        names = "table[aria-labelledby=orchestrators] tbody th"
        order = "select[aria-label='Sort Orchestrators']"
        async with serving_hubs(healthy_hub()) as client:
            seen = await browser.look(
                str(client.base_url), steps=[["selectOption", order, "Running"]], texts=[names]
            )
            by_name = await browser.look(
                str(client.base_url), steps=[["selectOption", order, "Orchestrator"]], texts=[names]
            )
        assert seen["texts"][names][0] == "ProcessOrder"
        assert by_name["texts"][names] == sorted(by_name["texts"][names])

    async def test_an_id_is_copied_whole(self, browser: Browser) -> None:
        async with serving_hubs(three_lines_hub()) as client:
            seen = await browser.look(
                str(client.base_url),
                clipboard=True,
                steps=[["click", "button[aria-label='Copy order-029']"]],
            )
        assert seen["clipboard"] == "order-029"

    async def test_times_are_in_utc_and_local_where_somebody_points(self, browser: Browser) -> None:
        async with serving_hubs(healthy_hub()) as client:
            seen = await browser.look(str(client.base_url), timezone="Asia/Tokyo")
        title = seen["titles"][0]
        assert title.startswith("2026-09-21 14:13:32 UTC, 21 Sept 2026, 23:13:32")


def long_history() -> FoundInstance:
    """Return an instance with a thousand events: activities, children, timers, some of them odd."""
    begin = NOW - 7200.0
    events = [
        HistoryEvent("ExecutionStarted", timestamp=format_shown_time(begin), function_name="Fulfil")
    ]
    for number in range(600):
        start = begin + 10.0 * number
        failed = number % 97 == 0
        events.append(
            HistoryEvent(
                "TaskFailed" if failed else "TaskCompleted",
                timestamp=format_shown_time(start + 8.0 + number % 7),
                scheduled_time=format_shown_time(start),
                function_name=("ShipParcel", "ChargeCard", "SendMail")[number % 3],
                reason="no carrier" if failed else None,
            )
        )
    for number in range(398):
        start = begin + 15.0 * number
        is_open = number > 390
        events.append(
            HistoryEvent(
                CHILD_CREATED if is_open else CHILD_COMPLETED,
                timestamp=format_shown_time(start if is_open else start + 40.0),
                scheduled_time=None if is_open else format_shown_time(start),
                instance_id=f"{number:032x}",
                name="PackBox",
            )
        )
    events.append(
        HistoryEvent("TaskScheduled", timestamp=format_shown_time(NOW - 600.0), name="ShipParcel")
    )
    hangs = Wait(WaitingOn.ACTIVITY, "ShipParcel", NOW - 600.0)
    own = Wait(WaitingOn.SUB_ORCHESTRATION, "PackBox", NOW - 700.0)
    child = f"{395:032x}"
    children = [
        Member(f"{number:032x}", "PackBox", "Running" if number > 390 else "Completed")
        for number in (*range(391, 398), *range(43))
    ]
    return FoundInstance(
        NOW,
        msgspec.structs.replace(row("order-1", created=-7200.0, updated=-600.0), name="Fulfil"),
        Blame(("order-1", child), own, hangs, End.LEAF, child, "PackBox"),
        Absence.UNREADABLE,
        events,
        family=Member("order-1", "Fulfil", "Running", children, {"Completed": 348}),
    )


@pytest.mark.parametrize(("width", "dark"), [(420, False), (420, True), (WIDE, True)])
async def test_an_instance_with_a_thousand_events_can_be_read_at_any_width(
    browser: Browser, width: int, *, dark: bool
) -> None:
    found = long_history()
    reader = Mock(InstanceReader, is_on=True, read=AsyncMock(return_value=found))
    async with serving_hubs(incident_hub(), instances=InstancePages(reader)) as client:
        seen = await browser.look(
            f"{client.base_url}/hubs/payments/instances/order-1",
            width,
            dark=dark,
            axe=True,
            screenshot=picture_of("instance", width, dark=dark),
            texts=[".lanes li p", ".tree title"],
        )
    assert seen["violations"] == seen["problems"] == []
    assert (seen["scrolls"], seen["tooWide"]) == (False, [])
    lanes = seen["texts"][".lanes li p"]
    assert "activity ShipParcel 201, 3 failed, 1 pending" in lanes
    assert "sub-orchestration PackBox 398, 7 pending" in lanes
    assert len(found.events) == 1000
