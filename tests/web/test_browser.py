"""The pages in a real browser: nothing is cut off, nothing runs, everybody can use them."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from _pytest.mark import ParameterSet
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from exporter.collector.snapshot import HubSnapshot
from exporter.web.runbook_pages import runbook_names
from tests.tools import node_package, tool
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

SCRIPT = Path(__file__).parent / "javascript" / "browser.js"
LONGEST_ANSWER = 1 << 24
NARROW, WIDE = 320, 1280
SCENES: Mapping[str, Callable[[], HubSnapshot]] = {
    "healthy": healthy_hub,
    "incident": incident_hub,
    "unreachable": unreachable_hub,
    "empty": empty_hub,
    "starting": starting_hub,
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
    assert seen["title"] == "2 of 5 task hubs need attention"


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
            assert seen["scripts"] == seen["inlineStyles"] == 0
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
    assert seen["focused"][0] == "Skip to the content"
    assert seen["focused"][2] == "payments"
    assert stepping["focused"][1:3] == ["Durable Functions exporter", "Pause refreshing"]
