"""Commands that query hubs, run in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from emulator import Emulator, TaskHub, running
from exporter.cli import configured, drain, estimate, failures, stuck, why
from exporter.cli.conventions import ExitCode
from exporter.cli.main import parse
from exporter.settings import Settings, load_settings
from tests.cli.process import Outcome

COMMANDS: dict[str, Callable[..., Awaitable[ExitCode]]] = {
    "stuck": stuck.stuck,
    "why": why.why,
    "failures": failures.failures,
    "drain": drain.drain,
    "estimate": estimate.estimate,
}


def settings_for(*, shard: str = "0/1", **urls: str) -> Settings:
    """Return settings of hubs by their names, with short limits and no retries."""
    return load_settings(
        {},
        {
            **{f"hubs.{name}.url": url for name, url in urls.items()},
            "limits.pending": "10m",
            "limits.idle": "10m",
            "limits.age": "50m",
            "retries.max_retries": "0",
            "shard": shard,
        },
    )


async def ask(capfd: pytest.CaptureFixture[str], settings: Settings, *arguments: str) -> Outcome:
    """Run a command to completion."""
    capfd.readouterr()
    options = parse(arguments)
    # The command itself sends its log elsewhere.
    with capture_logs():
        code = await COMMANDS[arguments[0]](settings, options)
    said = capfd.readouterr()
    return Outcome(int(code), said.out, said.err)


@asynccontextmanager
async def serving_hub(hub: TaskHub) -> AsyncGenerator[str, None]:
    """Serve a hub at its own address; commands that query it use its clock."""
    async with running(Emulator(hub, clock=hub.clock)) as url:
        with clock_of_commands(hub.clock.now):
            yield url


@contextmanager
def clock_of_commands(now: Callable[[], float]) -> Generator[None, None, None]:
    """Give commands the app's clock: one that is years off is not followed."""
    with patch.object(configured, "time", now), patch.object(estimate, "time", now):
        yield
