"""The scenario of the recordings, played on an emulator that lives by a clock of its own."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

import anyio
import httpx

from emulator import ManualClock, TaskHub, running
from emulator.times import parse
from tests.emulator import scenario, worker_scenario
from tests.emulator.conftest import OPTIONS
from tests.emulator.hubs import passing
from tests.emulator.recordings import FILES, Exchange, Recording, recorded
from tests.emulator.replay import ask, differences, differing_rows
from tests.emulator.steps import Step

Differences = Mapping[str, tuple[object, object]]

# How long an effect takes to come about, at most.
_SETTLING_SECONDS = 1.0
_BETWEEN_SECONDS = 0.2
# What was read without anything happening in between.
_READ_AT_ONCE = ("list-instances", "paging", "entities", "instance-status", "routing")


@cache
def performance(recording: Recording) -> Mapping[Exchange, Differences]:
    """Play the whole scenario; returns what differs, for each recorded exchange."""
    is_worker = recording in worker_scenario.SCENARIOS
    return anyio.run(_play_worker if is_worker else _play, recording)


async def _play_worker(recording: Recording) -> Mapping[Exchange, Differences]:
    clock = ManualClock(_seconds(worker_scenario.begin(recording)))
    app = worker_scenario.emulator(recording, clock)
    async with (
        running(app) as url,
        httpx.AsyncClient(base_url=url, **OPTIONS) as client,
    ):
        stage = _Stage(clock, client, app.own_hub, worker_scenario.SCENARIOS[recording].different)
        await stage.prepare(worker_scenario.setting_up(recording))
        stage.wait_until(_seconds(worker_scenario.SCENARIOS[recording].read))
        for file in FILES:
            await stage.replay(recorded(recording, file), settling=False)
        return stage.found


async def _play(recording: Recording) -> Mapping[Exchange, Differences]:
    clock = ManualClock(_seconds(scenario.BEGIN[recording]))
    app = scenario.emulator(recording, clock)
    async with (
        running(app) as url,
        httpx.AsyncClient(base_url=url, **OPTIONS) as client,
    ):
        stage = _Stage(clock, client, app.own_hub)
        await stage.prepare(scenario.setting_up(recording))
        stage.wait_until(_seconds(scenario.READ[recording]))
        for file in _READ_AT_ONCE:
            await stage.replay(recorded(recording, file), settling=False)
        await stage.prepare(scenario.before_operations(recording))
        for file in ("operations", "entity-waits", "web-hook"):
            await stage.replay(recorded(recording, file))
        await stage.prepare(scenario.before_times(recording))
        await stage.replay(recorded(recording, "times"))
        await stage.prepare(scenario.before_pending(recording))
        await stage.replay(recorded(recording, "pending"))
        return stage.found


class _Stage:
    """Makes the requests and keeps what differs."""

    def __init__(
        self,
        clock: ManualClock,
        client: httpx.AsyncClient,
        hub: TaskHub,
        different: Collection[str] = (),
    ) -> None:
        self._hub = hub
        self._different = different
        self.found: dict[Exchange, Differences] = {}
        self._clock = clock
        self._client = client

    async def prepare(self, steps: Iterable[Step]) -> None:
        """Make requests of the scenario, each at its time."""
        for step in steps:
            if step.at is not None:
                self.wait_until(step.at)
            if step.later is not None:
                name, instance_id = step.target.split("/")[-2:]
                now = self._clock.now()
                self._hub.engine.start(name, instance_id, None, now, begin=now + step.later)
                continue
            answer = await self._client.request(
                step.method, step.target, content=step.body, headers=_JSON
            )
            assert answer.status_code == 202, (step, answer.text)
            if step.at is None:
                self._clock.advance(_BETWEEN_SECONDS)
        self._settle()

    async def replay(self, exchanges: Iterable[Exchange], *, settling: bool = True) -> None:
        """Make recorded requests again, in their order."""
        for exchange in exchanges:
            if "timeout=" in exchange.target:
                async with passing(self._clock):
                    answer = await ask(self._client, exchange)
            else:
                answer = await ask(self._client, exchange)
            self.found[exchange] = differences(exchange, answer)
            if self.found[exchange] and self._different and answer.text.startswith("["):
                rows = differing_rows(exchange, answer, self._different)
                self.found[exchange] = {f"row {i}": pair for i, pair in enumerate(rows)}
            if settling:
                self._settle()

    def wait_until(self, time: float) -> None:
        """Let time pass, up to a time that may already be over."""
        self._clock.set(max(time, self._clock.now()))

    def _settle(self) -> None:
        self._clock.advance(_SETTLING_SECONDS)


_JSON = {"content-type": "application/json"}


def _seconds(text: str) -> float:
    seconds = parse(text, 0)
    assert seconds is not None
    return seconds
