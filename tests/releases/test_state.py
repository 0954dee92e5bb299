"""The state that a release left is gone on with: nothing is doubled, nothing lost or refused."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from emulator import Emulator, ManualClock, running
from exporter import __version__
from exporter.metrics import catalogue as c
from tests.releases.hub import (
    BACK,
    TOOK_SECONDS,
    Series,
    counters,
    hub_after_the_upgrade,
    scraped_with,
    series,
    served,
)
from tests.releases.release import Release, lead_to, number_of, releases

pytestmark = pytest.mark.anyio

STATE_ERRORS = re.compile(rf"^{c.STATE_ERRORS.name}\{{.*\}} (\S+)", re.MULTILINE)


def that_must_be_read() -> list[Release]:
    """Return the releases of this minor version and of the one before, as is promised."""
    present = number_of(__version__)[:2]
    older = [each for each in releases() if each.number[:2] < present]
    before = older[-1].number[:2] if older else present
    return [each for each in releases() if before <= each.number[:2] <= present]


def differences(before: str, after: str) -> dict[Series, float]:
    """Return by how much each series differs from what was scraped before; a new one was 0."""
    was, is_now = counters(before), counters(after)
    changes = {each: is_now.get(each, 0.0) - was.get(each, 0.0) for each in {*was, *is_now}}
    return {each: n for each, n in changes.items() if n and not was_by_status(each)}


def was_by_status(each: Series) -> bool:
    """Tell whether a series is one of durations by status, as version 0.1 had them."""
    name, labels = each
    return name.startswith(c.DURATION.name) and "runtime_status" in dict(labels)


@pytest.mark.parametrize("release", that_must_be_read(), ids=str)
async def test_an_upgrade_goes_on_counting(release: Release, tmp_path: Path) -> None:
    clock = ManualClock(BACK)
    async with running(Emulator(hub_after_the_upgrade(clock), clock=clock)) as url:
        left = Path(shutil.copy(release.state, tmp_path))
        lead_to(left, url, time.time())
        async with served(url, tmp_path) as daemon:
            text = await scraped_with(daemon, Completed=2, Failed=1)
            await daemon.until("state restored")
    assert differences(release.scraped, text) == {
        series(c.FINISHED.name, runtime_status="Completed"): 1,
        series(f"{c.DURATION.name}_count"): 1,
        series(f"{c.DURATION.name}_sum"): TOOK_SECONDS,
    }
    assert not list(tmp_path.glob("*.aside"))
    assert {*STATE_ERRORS.findall(text)} == {"0.0"}


async def test_without_the_state_the_same_hub_would_begin_anew(tmp_path: Path) -> None:
    """Or else the test above would show nothing."""
    clock = ManualClock(BACK)
    async with (
        running(Emulator(hub_after_the_upgrade(clock), clock=clock)) as url,
        served(url, tmp_path) as daemon,
    ):
        await scraped_with(daemon, Completed=0, Failed=0)
