"""Commands at a real terminal: their progress, their time-out, and Ctrl-C; none of it in a pipe."""

from __future__ import annotations

import pytest

from emulator import ManualClock, TaskHub
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.latency import Latency
from tests.cli.asked import serving_hub
from tests.cli.process import run
from tests.cli.terminal import CTRL_C, Terminal, at_terminal
from tests.diagnosis.stuck_app import VERSIONS, stuck_hub

pytestmark = pytest.mark.anyio

SHOW_CURSOR = "\x1b[?25h"
IN_FLIGHT = "1 instance of PollsForEver in flight"


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


def finish(hub: TaskHub) -> None:
    """Let what polls for ever end."""
    assert isinstance(hub.clock, ManualClock)
    hub.engine.terminate("polls", "no more", hub.clock.now())
    hub.clock.set(hub.clock.now() + 10)
    hub.advance()


def is_left_clean(terminal: Terminal) -> bool:
    """Tell whether the cursor is shown again, and nothing came that only developers read."""
    return terminal.seen.rfind(SHOW_CURSOR) > terminal.seen.rfind("\x1b[?25l") and (
        "Traceback" not in terminal.seen
    )


class TestDrain:
    async def test_it_tells_how_far_it_is_and_ends_when_all_is_gone(self, hub: TaskHub) -> None:
        async with (
            serving_hub(hub) as url,
            at_terminal("drain", "PollsForEver", "--wait", "--every", "0.1s", "--url", url) as seen,
        ):
            await seen.until(f"{IN_FLIGHT}; gives up in ")
            finish(hub)
            code = await seen.end()
        assert code == 0
        assert "0 instances of PollsForEver in flight" in seen.seen
        assert is_left_clean(seen)

    async def test_it_gives_up_in_time_and_says_what_is_left(self, hub: TaskHub) -> None:
        options = ("--wait", "--timeout", "0.5s", "--every", "0.1s")
        async with (
            serving_hub(hub) as url,
            at_terminal("drain", "PollsForEver", *options, "--url", url) as seen,
        ):
            await seen.until("gives up in ")
            code = await seen.end()
        assert code == 3
        assert f"default: {IN_FLIGHT} (1 Running)" in seen.seen
        assert is_left_clean(seen)

    async def test_ctrl_c_ends_it_at_once_without_a_traceback(self, hub: TaskHub) -> None:
        async with (
            serving_hub(hub) as url,
            at_terminal("drain", "PollsForEver", "--wait", "--every", "1h", "--url", url) as seen,
        ):
            await seen.until(f"{IN_FLIGHT}; gives up in ")
            seen.press(CTRL_C)
            code = await seen.end()
        assert code == 130
        assert is_left_clean(seen)

    async def test_in_a_pipe_there_is_no_progress(self, hub: TaskHub) -> None:
        options = ("--wait", "--timeout", "0.3s", "--every", "0.1s")
        async with serving_hub(hub) as url:
            told = await run("drain", "PollsForEver", *options, "--url", url)
        assert (told.code, told.err) == (3, "")
        assert told.out == f"default: {IN_FLIGHT} (1 Running)\n"


class TestEstimate:
    async def test_it_tells_how_far_it_is(self, hub: TaskHub) -> None:
        async with serving_hub(hub) as url, at_terminal("estimate", "--url", url) as seen:
            await seen.until("from 1 hub, ")
            code = await seen.end()
        assert code == 0
        assert "in a day about" in seen.seen
        assert is_left_clean(seen)

    async def test_ctrl_c_ends_it_at_once_without_a_traceback(self, hub: TaskHub) -> None:
        hub.latency = Latency(request=3600.0)
        async with serving_hub(hub) as url, at_terminal("estimate", "--url", url) as seen:
            await seen.until("0 answers from 1 hub, ")
            seen.press(CTRL_C)
            code = await seen.end()
        assert code == 130
        assert is_left_clean(seen)

    async def test_in_a_pipe_there_is_no_progress(self, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            told = await run("estimate", "--url", url)
        assert (told.code, told.err) == (0, "")
        assert "\x1b" not in told.out
