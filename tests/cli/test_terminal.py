"""Commands at a real terminal: progress, timeout and Ctrl-C; no progress in a pipe."""

from __future__ import annotations

import re
import shlex
import time

import anyio
import pytest

from emulator import ManualClock, TaskHub
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Latency
from tests.cli.asked import serving_hub
from tests.cli.process import COMMAND, run, serving
from tests.cli.terminal import CTRL_C, Terminal, at_terminal
from tests.diagnosis.stuck_app import VERSIONS, functions, stuck_hub

pytestmark = pytest.mark.anyio

STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SHOW_CURSOR = "\x1b[?25h"
IN_FLIGHT = "1 instance of PollsForEver in flight"


@pytest.fixture
def hub() -> TaskHub:
    return stuck_hub(VERSIONS["v3"], AzureStorage())


def finish(hub: TaskHub) -> None:
    """Keep emulated instances from polling for ever."""
    assert isinstance(hub.clock, ManualClock)
    hub.engine.terminate("polls", "no more", hub.clock.now())
    hub.clock.set(hub.clock.now() + 10)
    hub.advance()


def is_left_clean(terminal: Terminal) -> bool:
    """Return whether the cursor is shown again, without a traceback."""
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


def stalled_hub(*ids: str) -> TaskHub:
    """Return a hub in which an activity of each instance has run for three hours."""
    now = time.time()
    clock = ManualClock(now - 3 * 3600)
    hub = TaskHub("OrdersHub", clock, functions=functions)
    for instance_id in ids:
        hub.engine.start("SlowActivity", instance_id, None, clock.now())
    clock.set(now)
    hub.advance()
    return hub


class TestStuck:
    @pytest.mark.parametrize("columns", [80, 200])
    async def test_no_id_and_no_time_is_folded_or_cut(self, columns: int) -> None:
        ids = [f"{number:032x}" for number in range(20)]
        async with (
            serving_hub(stalled_hub(*ids)) as url,
            at_terminal("stuck", "--url", url, columns=columns) as seen,
        ):
            assert await seen.end() == 0
        lines = [STYLE.sub("", line).rstrip() for line in seen.seen.splitlines()]
        begin = next(at for at, line in enumerate(lines) if line.startswith("instance "))
        table = lines[begin : begin + len(ids) + 1]
        assert sorted(line.split()[0] for line in table[1:]) == ids
        assert all(len(line) <= columns for line in table)
        assert all(bool(TIME.search(line)) == (columns == 200) for line in table[1:])

    async def test_an_id_longer_than_a_line_is_one_word_all_the_same(self) -> None:
        long_id = "order-" + "x" * 150
        async with (
            serving_hub(stalled_hub(long_id)) as url,
            at_terminal("stuck", "--url", url, columns=80) as seen,
        ):
            assert await seen.end() == 0
        assert seen.seen.count(long_id) == 2


@pytest.mark.parametrize("command", ["stuck", "collect", "metrics", "help"])
async def test_a_reader_that_closes_the_pipe_is_no_failure(command: str) -> None:
    async with serving_hub(stalled_hub("slow")) as url:
        asks = ["--url", url] if command in ("stuck", "collect") else []
        words = shlex.join([*COMMAND, command, *asks])
        done = await anyio.run_process(
            ["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"], check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")


class TestLog:
    async def test_it_is_to_be_read_on_a_terminal_and_json_in_a_pipe(self, hub: TaskHub) -> None:
        async with serving_hub(hub) as url:
            options = ("--listen-address", "127.0.0.1:0", "--url", url)
            async with at_terminal("serve", *options) as seen:
                await seen.until("listening")
            async with serving(*options) as daemon:
                assert daemon.events[-1]["event"] == "listening"
        assert '{"' not in seen.seen


class TestEstimate:
    async def test_it_tells_how_far_it_is(self, hub: TaskHub) -> None:
        async with serving_hub(hub) as url, at_terminal("estimate", "--url", url) as seen:
            await seen.until("from 1 hub, ")
            code = await seen.end()
        assert code == 0
        assert "per day about" in seen.seen
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
