"""An exporter of 0.1.0, from its sources, is upgraded in place; and what the way back loses."""

from __future__ import annotations

import itertools
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from emulator import Emulator, Instance, RealClock, RuntimeStatus, TaskHub, running
from tests.real.chaos import HASTY, HUB, SCRAPE_INTERVAL
from tests.real.counted import ACCOUNTS, BASELINE, FINISHED, LATE, Counted, Labels, counted, nonzero
from tests.real.daemon import Daemon, reserved_port
from tests.real.program import Program
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.real.traffic import failure_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.proof,
    pytest.mark.usefixtures("prometheus_at_hand"),
]
ROOT = Path(__file__).parents[2]
BEFORE = "85c3d2b1d37cf6a4b957c799b521fde8baa77fb9"
RULES = "prometheus/durable-functions.rules.yaml"
# Names that 0.1.0 knows; today's exporter takes them with a warning.
FORMER_SETTINGS = {
    "RETRIES__BACKOFF_MAX": HASTY["RETRIES__MAX_BACKOFF"],
    "PAGE_SIZE": "100",
    **{name: value for name, value in HASTY.items() if name != "RETRIES__MAX_BACKOFF"},
}
ENDS = (
    ("Order", RuntimeStatus.COMPLETED),
    ("Order", RuntimeStatus.FAILED),
    ("Refund", RuntimeStatus.COMPLETED),
    ("Refund", RuntimeStatus.TERMINATED),
)
# What both releases say of failures, which there are.
OF_FAILURES = {
    f"DurableFunctions{name}"
    for name in ("FailureRatioHigh", "NewFailures", "OrchestrationsFailing")
}
# Where a series began or ended within the time looked at, Prometheus adds up to half an interval.
EXACT = 0.1


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sources of 0.1.0."""
    command = ["git", "-C", str(ROOT), "archive", BEFORE, "exporter", RULES]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("no git, or a clone without the commit of 0.1.0")
    folder = tmp_path_factory.mktemp("release")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@dataclass(frozen=True)
class Upgrade:
    """A hub, the exporters of both releases on one port and one state, and a Prometheus."""

    hub: TaskHub
    before: Daemon
    after: Daemon
    prometheus: Prometheus
    finishes: Counter[Labels] = field(default_factory=Counter)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def finish(self, times: int = 5) -> None:
        """Let instances of each kind end, so many times."""
        now = self.hub.clock.now()
        for name, status in ENDS * times:
            failed = status is RuntimeStatus.FAILED
            self.hub.put(
                Instance(
                    instance_id=f"finished-{next(self._numbers):05d}",
                    name=name,
                    status=status,
                    created=now,
                    updated=now,
                    output=failure_of(name, f"PayFor{name}") if failed else None,
                )
            )
            self.finishes[name, status.value] += 1

    async def contact(self, baseline_after: float = 0.0) -> float:
        """Wait for the first contact with the hub, later than another, and return its time."""
        found = await self.prometheus.wait_until(f"{BASELINE} > {baseline_after} and {LATE}")
        return found[0].value

    async def until_shown(self, finishes: int) -> Counted:
        """Wait until Prometheus has seen so many finishes."""
        await self.prometheus.wait_until(f"sum({FINISHED}) == {finishes}")
        return await counted(self.prometheus, self.after.address)

    async def alerts(self) -> set[str]:
        """Return the alerts that are pending or fire."""
        return {each.labels["alertname"] for each in await self.prometheus.query("ALERTS")}


@asynccontextmanager
async def upgrade(folder: Path, release: Path) -> AsyncIterator[Upgrade]:
    clock = RealClock()
    hub = TaskHub(HUB, clock)
    state = folder / "state"
    state.mkdir()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(running(Emulator(hub, clock=clock)))
        port = stack.enter_context(reserved_port())
        settings = {**FORMER_SETTINGS, "URL": url, "TASK_HUB": HUB, "STATE_DIR": str(state)}
        after = Daemon(folder, port, settings)
        of_release = ("env", "-C", str(release), f"PYTHONPATH={release}")
        (folder / "before").mkdir()
        before = Daemon(folder / "before", port, settings, by=of_release)
        rules = {"rule_files": [str(release / RULES), str(ROOT / RULES)]}
        job = scrape_job("exporter", after.address)
        prometheus = await stack.enter_async_context(
            running_prometheus(folder, job, scrape_interval=SCRAPE_INTERVAL, config=rules)
        )
        yield Upgrade(hub, before, after, prometheus)


def said(program: Program) -> str:
    return program.log(last=1000)


async def test_no_counter_falls_or_jumps_and_the_way_back_takes_a_baseline(
    tmp_path: Path, release: Path
) -> None:
    async with upgrade(tmp_path, release) as scene:
        async with scene.before.alive() as program:
            baseline = await scene.contact()
            scene.finish()
            await scene.until_shown(20)
            await program.stop()
        scene.finish()

        async with scene.after.alive() as program:
            await scene.until_shown(40)
            scene.finish()
            end = await scene.until_shown(60)
            grown = nonzero(await end.increase(FINISHED))
            assert grown == pytest.approx(scene.finishes, abs=EXACT)
            for family in ACCOUNTS:
                assert not nonzero(await end.resets(family)), family
            assert await scene.contact() == baseline
            assert await scene.alerts() <= OF_FAILURES
            await program.stop()
            for name in ("RETRIES__MAX_BACKOFF", "MAX_PAGE_SIZE"):
                assert name in said(program)
        scene.finish()

        # 0.1.0 cannot read what its successor has written: what ended meanwhile is lost, no more.
        async with scene.before.alive() as program:
            assert await scene.contact(baseline_after=baseline) > baseline
            scene.finish()
            await scene.until_shown(20)
            await program.stop()
            assert "state cannot be used" in said(program)
        (aside,) = (tmp_path / "state").glob("*.aside")
        assert aside.read_bytes().startswith(b"SQLite format 3\0")
