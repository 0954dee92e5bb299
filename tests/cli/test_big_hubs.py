"""`estimate` of very big hubs: in the memory of a small one, and right."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from dataclasses import dataclass
from urllib.request import urlopen

import pytest

from tests.cli.polled_day import Polled, hold, polled
from tests.cli.process import PATIENCE_SECONDS, Daemon, serving
from tests.cli.served_hub import HUB, served

pytestmark = pytest.mark.anyio

_LOG = logging.getLogger(__name__)
SMALL = 1000
MILLION = 1_000_000
MOST_MEMORY = 1.25
# A whole turn of a ruler of three marks, several times.
RULER = {"overlap": "10s", "lookback": "40s"}
CYCLES = 16
# The histories of what stands still are read by then.
FIRST_CYCLES = 3


@dataclass(frozen=True, slots=True)
class Estimated:
    """The output of `estimate`, and its peak memory in KiB."""

    out: str
    peak: int


def settings_of(url: str, **more: str) -> list[str]:
    settings = {"intervals.active": "2s", **RULER, **more}
    options = [f"--set={name}={value}" for name, value in settings.items()]
    return ["--url", url, "--task-hub", HUB, *options]


def estimate(url: str, **more: str) -> Estimated:
    """Run the command in a separate process."""
    command = [sys.executable, "-m", "tests.cli.peak", "estimate", "--format", "json"]
    done = subprocess.run(
        [*command, *settings_of(url, **more)],
        check=True, env={}, capture_output=True, text=True, timeout=2 * PATIENCE_SECONDS,
    )  # fmt: skip
    # Nothing but that: in a pipe there is no progress to be seen.
    return Estimated(done.stdout, int(done.stderr))


async def hold_against_daemon(url: str, forecast: str, **more: str) -> None:
    """Poll the same hub by a daemon, and compare."""
    async with serving(*settings_of(url, **more)) as daemon:
        await until(daemon, "census", 1)
        await until(daemon, "finished", FIRST_CYCLES)
        begin = scraped(daemon)
        await until(daemon, "finished", CYCLES)
        hold(forecast, begin, scraped(daemon))


async def until(daemon: Daemon, sweep: str, number: int) -> None:
    """Wait for *number* more sweeps of a kind."""
    while number:
        said = await daemon.until("sweep complete")
        number -= said["sweep"] == sweep


def scraped(daemon: Daemon) -> Polled:
    with urlopen(f"http://127.0.0.1:{daemon.port}/metrics") as answer:
        body: bytes = answer.read()
    return polled(body.decode(), time.monotonic())


@pytest.fixture(scope="module")
def small_peak() -> int:
    """The memory that a small hub takes."""
    with served(SMALL) as url:
        return estimate(url).peak


@pytest.mark.parametrize(
    ("rows", "per_second"),
    [
        pytest.param(30_000, 0.0, id="30,000 of last month"),
        pytest.param(SMALL, 0.5, id="43,000 in a day"),
        pytest.param(MILLION, 0.0, id="a million of last month", marks=pytest.mark.nightly),
        pytest.param(SMALL, 16.0, id="over a million in a day", marks=pytest.mark.nightly),
    ],
)
async def test_it_takes_no_more_memory_than_of_a_small_hub(
    small_peak: int, rows: int, per_second: float
) -> None:
    with served(rows, per_second) as url:
        told = estimate(url)
    (forecast,) = json.loads(told.out)
    retained = forecast["finished_instances"] + forecast["active_instances"]
    assert retained >= rows + per_second * 86_400
    _LOG.info("%d instances: %.2f x %d KiB", retained, told.peak / small_peak, small_peak)
    assert told.peak <= MOST_MEMORY * small_peak


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("rows", "per_second", "interval"),
    [
        pytest.param(MILLION, 0.0, "2s", id="a million of last month"),
        # In a cycle so few leave that they are read, also where one comes late, or so many that
        # they are listed, also where one comes early.
        pytest.param(700_000, 4.0, "2s", id="a million, a third in a day, 8 in a cycle"),
        pytest.param(SMALL, 16.0, "15s", id="over a million in a day, 240 in a cycle"),
    ],
)
async def test_of_a_million_the_daemon_takes_what_was_forecast(
    rows: int, per_second: float, interval: str
) -> None:
    with served(rows, per_second) as url:
        told = estimate(url, **{"intervals.active": interval})
        await hold_against_daemon(url, told.out, **{"intervals.active": interval})
