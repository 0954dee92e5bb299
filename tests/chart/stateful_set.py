"""A StatefulSet's pods as processes: each with its host name, its volume and the rendered files."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx

from emulator import (
    Emulator,
    Functions,
    Instance,
    RealClock,
    RuntimeStatus,
    TaskHub,
    running,
)
from tests.chart.chart import Rendered, render
from tests.chart.pods import laid_out
from tests.cli.process import Daemon, serving
from tests.real.polling import poll
from tests.tools import tool

PATIENCE_SECONDS = 120.0
# A parser of everything would take more processor time than the exporters do.
FINISHED = re.compile(
    r'^durable_functions_instances_finished_total{orchestrator="ProcessOrder",'
    r'runtime_status="Completed",task_hub="([^"]+)"} (\d+)',
    re.MULTILINE,
)
SWEEPS = re.compile(
    r'^durable_functions_exporter_sweeps_total{result="complete",'
    r'sweep="finished",task_hub="([^"]+)"} (\d+)',
    re.MULTILINE,
)

# Shard and hub, and what the one counted of the other.
Counted = dict[tuple[int, str], int]


@asynccontextmanager
async def serving_hubs(names: Sequence[str]) -> AsyncIterator[tuple[str, Sequence[TaskHub]]]:
    """Serve hubs without traffic; yield their URL and them."""
    clock = RealClock()
    hubs = [TaskHub(name, clock, functions=Functions()) for name in names]
    async with running(Emulator(*hubs, clock=clock)) as url:
        yield url, hubs


def finish(hubs: Sequence[TaskHub], count: int) -> None:
    """Finish *count* instances in every hub."""
    for hub in hubs:
        at = hub.clock.now()
        for _ in range(count):
            row = Instance(
                instance_id=f"order-{len(hub.finishes)}",
                name="ProcessOrder",
                status=RuntimeStatus.COMPLETED,
                created=at,
                updated=at,
            )
            hub.put(row, at=at)


@dataclass(slots=True)
class StatefulSet:
    """
    What the chart makes of many hubs: shards, or one pod. Volumes of pods outlive the pods.

    *state* are values of the chart.
    """

    folder: Path
    url: str
    hubs: Sequence[str]
    state: Mapping[str, object] = field(default_factory=dict)
    starts: int = 0
    before: Rendered | None = None

    @asynccontextmanager
    async def scaled_to(self, shards: int) -> AsyncIterator[Pods]:
        """Run a pod per shard, started and stopped together, until the block ends."""
        release = self._render(shards)
        self._delete_claims_with_their_owner(release)
        ordinals = range(release.workload["spec"]["replicas"])
        listening = {ordinal: anyio.Event() for ordinal in ordinals}
        daemons: dict[int, Daemon] = {}
        stopping = anyio.Event()

        async def live(ordinal: int) -> None:
            async with self._pod(release, ordinal) as daemon:
                daemons[ordinal] = daemon
                listening[ordinal].set()
                await stopping.wait()
                daemon.process.terminate()
                with anyio.fail_after(PATIENCE_SECONDS):
                    assert await daemon.process.wait() == 0

        async with (
            httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http,
            anyio.create_task_group() as tasks,
        ):
            for ordinal in ordinals:
                tasks.start_soon(live, ordinal)
            for event in listening.values():
                await event.wait()
            yield Pods([daemons[ordinal] for ordinal in ordinals], http, len(self.hubs))
            stopping.set()

    def delete_volume(self, ordinal: int) -> None:
        """Delete the volume of a removed pod, as `whenScaled: Delete` does."""
        shutil.rmtree(self._volume(ordinal))

    def _delete_claims_with_their_owner(self, release: Rendered) -> None:
        """Treat the claims of removed objects as Kubernetes and Helm do."""
        before, self.before = self.before, release
        if before is None or before.workload["kind"] == release.workload["kind"]:
            return
        retention = before.workload["spec"].get("persistentVolumeClaimRetentionPolicy", {})
        if retention.get("whenDeleted", "Delete") == "Delete":
            for volume in self.folder.glob(f"volume-{before.workload['kind']}-*"):
                shutil.rmtree(volume)

    def _render(self, shards: int) -> Rendered:
        off = dict.fromkeys(("census", "failed", "entities"), 0)
        return render(
            {
                "shards": shards,
                "state": {"type": "claim", **self.state},
                "settings": {"counter_hold": 0, "intervals": {"active": "0.5s", **off}},
                "hubs": {name.lower(): {"url": self.url, "task_hub": name} for name in self.hubs},
            }
        )

    @asynccontextmanager
    async def _pod(self, release: Rendered, ordinal: int) -> AsyncIterator[Daemon]:
        self.starts += 1
        name = f"{release.workload['metadata']['name']}-{ordinal}"
        specification = release.workload["spec"]["template"]["spec"]
        pod = laid_out(release, specification, self._fresh(f"start-{self.starts}"))
        volume = self._volume(ordinal, release.workload["kind"])
        volume.mkdir(exist_ok=True)
        environ = {**pod.environ, "DURABLE_EXPORTER_STATE_DIR": str(volume)}
        del environ["DURABLE_EXPORTER_LISTEN_ADDRESS"]
        async with serving(environ=environ, by=on_host(name)) as daemon:
            yield daemon

    def _fresh(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _volume(self, ordinal: int, kind: str = "StatefulSet") -> Path:
        return self.folder / f"volume-{kind}-{ordinal}"


def on_host(name: str) -> Sequence[str]:
    """Return the command that runs another under this host name."""
    as_root = () if os.geteuid() == 0 else ("--map-root-user",)
    unshare = (str(tool("unshare")), *as_root, "--uts")
    return (*unshare, "sh", "-c", 'hostname "$0" && exec "$@"', name)


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that run now."""

    daemons: Sequence[Daemon]
    http: httpx.AsyncClient
    hubs: int

    async def counted(self, total: int) -> Counted:
        """
        Return what each shard has counted of its hubs, once that is *total* in all.

        Each hub is swept twice more before that, so that whatever is counted twice is seen.
        """
        await poll(
            self._finished, lambda found: sum(found.values()) >= total, within=PATIENCE_SECONDS
        )
        await self.swept(2)
        return await self._finished()

    async def swept(self, count: int) -> None:
        """Wait until every hub has been swept *count* more times."""
        before = await self._sweeps()

        def enough(now: Counter[tuple[int, str]]) -> bool:
            swept = [place for place in now if now[place] >= before[place] + count]
            return len(swept) == self.hubs

        await poll(self._sweeps, enough, within=PATIENCE_SECONDS)

    async def _finished(self) -> Counted:
        return dict(await self._sum_of(FINISHED))

    async def _sweeps(self) -> Counter[tuple[int, str]]:
        return await self._sum_of(SWEEPS)

    async def _sum_of(self, family: re.Pattern[str]) -> Counter[tuple[int, str]]:
        """Add up what each shard shows of its hubs; shards without data are left out."""
        found: Counter[tuple[int, str]] = Counter()
        for shard, daemon in enumerate(self.daemons):
            answer = await self.http.get(f"http://127.0.0.1:{daemon.port}/metrics")
            for hub, value in family.findall(answer.text):
                found[shard, hub] += int(value)
        return found
