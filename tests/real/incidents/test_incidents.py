"""
Every cause of an alert happens: the expected alerts arrive at a webhook, and no others.

Emulator, exporters, Prometheus and Alertmanager are real, and so is the time; the shipped rules
have their durations divided by one factor. Phases follow one another in one test, since each
begins with what the one before has left.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import rmtree

import anyio
import pytest
import yaml

from emulator import Fault, FaultKind, running
from exporter.alerts.inhibition import inhibition
from exporter.alerts.table import ALERTS, DEFAULTS
from tests.real.daemon import Daemon, reserved_port
from tests.real.incidents import world as w
from tests.real.incidents.alertmanager import Notified, Receiver, receiving, running_alertmanager
from tests.real.incidents.faster import KEPT, OWN_FACTORS, difference, faster, faster_rules
from tests.real.incidents.past import remember
from tests.real.incidents.world import World
from tests.real.polling import poll
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

PATIENCE_SECONDS = 150.0
JOB = "exporter"
SHARDED = "sharded"
TEAM = "payments"
_STALLED_WINDOW = faster(DEFAULTS["hub_stalled_window"], OWN_FACTORS["hub_stalled_window"])

OF_WORK = {
    "PendingStuck", "PendingBacklogGrowing", "OverAge", "OrchestrationStalled", "OrphanedInstances",
    "SuspendedForgotten", "NoSuccess", "NothingStarted", "DurationRegression",
    "OrchestrationsFailing", "DeploymentBroken", "EntityLockOrphaned", "EntityBacklog",
    "PurgeNotKeepingUp",
}  # fmt: skip
OF_HUBS = {
    ("HubUnreachable", w.GONE),
    ("HubUnreachable", w.LOCKED_OUT),
    ("HubUnreachable", w.STOPPED),
    ("HubReplaced", w.REPLACED),
    ("DataStale", w.HALFWAY),
    ("HubEmpty", w.EMPTY),
    ("HubStalled", w.STANDSTILL),
    ("DataStale", w.SLOW),
    ("Throttled", w.THROTTLED),
    ("OrchestrationStalled", w.DYING),
    *((name, w.WORK) for name in OF_WORK),
}
OF_SHARDS = {
    ("DataStale", "Frugal"),
    ("ExporterMisconfigured", "Folded"),
    ("StateNotWritten", "Frugal"),
    ("StateNotWritten", "Folded"),
    ("ShardMissing", ""),
}
DOWN = {("ExporterDown", "")}
OF_FAILURES = {("OrchestrationsFailing", w.CALM)}
# A day is not over by then.
STILL = {("HubReplaced", w.REPLACED)}
MANY = {("ManyHubsUnreachable", "")}

# Quick enough for times that are divided.
QUICK = {
    "INTERVALS__ACTIVE": "1s",
    "INTERVALS__FAILED": "5s",
    "INTERVALS__ENTITIES": "5s",
    # One that an outage interrupts rests for a while before it goes on.
    "INTERVALS__CENSUS": "20s",
    # All hubs are at one address, and one of them is slow.
    "MAX_REQUESTS_PER_HOST": "40",
    "STALE_AFTER": "10s",
    "COUNTER_HOLD": "1s",
    "RETRIES__BACKOFF": "0.05s",
    "RETRIES__MAX_BACKOFF": "0.1s",
    "LABELS": json.dumps({"team": TEAM}),
}

Alerts = set[tuple[str, str]]


def as_they_arrive(alerts: Alerts) -> Alerts:
    """Return alerts with the prefix of all, and hubs as they are configured."""
    return {(f"DurableFunctions{name}", hub.lower()) for name, hub in alerts}


@dataclass
class Scene:
    """What an incident needs: where it happens, who watches, and who is told."""

    folder: Path
    world: World
    receiver: Receiver
    exporter: Daemon
    shards: tuple[Daemon, Daemon]
    watch: Callable[[], AbstractAsyncContextManager[Prometheus]]
    watching: AsyncExitStack
    prometheus: Prometheus = field(init=False)

    async def look(self) -> None:
        """Start Prometheus, or end the one that runs and start another with its data."""
        await self.watching.aclose()
        self.prometheus = await self.watching.enter_async_context(self.watch())

    async def until_fired(self, alerts: Alerts) -> None:
        """Wait until all *alerts* have arrived."""
        expected = as_they_arrive(alerts)

        async def missing() -> Alerts:
            return expected - self.receiver.ever()

        await poll(missing, lambda left: not left, within=PATIENCE_SECONDS)

    async def until_over(self, alerts: Alerts) -> None:
        """Wait until none of *alerts* fires any more for all that is known."""
        ended = as_they_arrive(alerts)

        async def firing() -> Alerts:
            return ended & self.receiver.firing()

        await poll(firing, lambda left: not left, within=PATIENCE_SECONDS)

    async def until_failing(self, orchestrator: str) -> None:
        """Wait until failures of an orchestrator have arrived."""

        async def failing() -> set[str | None]:
            arrived = self.receiver.arrived
            named = (each for each in arrived if each.name.endswith("OrchestrationsFailing"))
            return {each.labels.get("orchestrator") for each in named}

        await poll(failing, lambda names: orchestrator in names, within=PATIENCE_SECONDS)

    def others_than(self, alerts: Alerts) -> list[str]:
        """Return what others than *alerts* that ever fired say."""
        expected = as_they_arrive(alerts)
        return [
            f"{each.name}: {each.annotations['description']}"
            for each in self.receiver.arrived
            if each.status == "firing" and (each.name, each.task_hub) not in expected
        ]

    def alert(self, name: str, hub: str, **labels: str) -> Notified:
        """Return the first arrival of an alert with *labels*."""
        (wanted,) = as_they_arrive({(name, hub)})
        return next(
            each
            for each in self.receiver.arrived
            if (each.name, each.task_hub) == wanted and each.labels.items() >= labels.items()
        )


def hub_settings(url: str, *hubs: str) -> dict[str, str]:
    """Return the settings that say where hubs are."""
    return {
        **{f"HUBS__{hub.upper()}__URL": url for hub in hubs},
        **{f"HUBS__{hub.upper()}__TASK_HUB": hub for hub in hubs},
    }


def own_settings(url: str) -> dict[str, str]:
    """Return the settings of the exporter of most hubs."""
    limits = {
        "Nightly": {"success": "10s"},
        "Slowpoke": {"age": "1h"},
        "Forgotten": {"suspended": "1h"},
    }
    return {
        **QUICK,
        **hub_settings(url, *w.HUBS),
        f"HUBS__{w.WORK.upper()}__LIMITS__ORCHESTRATORS": json.dumps(limits),
        f"HUBS__{w.WORK.upper()}__LIMITS__RETENTION": "1d",
        f"HUBS__{w.THROTTLED.upper()}__RETRIES__MAX_RETRIES": "10",
        f"HUBS__{w.HALFWAY.upper()}__INTERVALS__ENTITIES": "1s",
        # Sweeps that are so rare are not stale when these hubs are well again.
        **{
            f"HUBS__{hub.upper()}__INTERVALS__{sweep}": "40s"
            for hub in (w.SLOW, w.THROTTLED, w.GONE, w.LOCKED_OUT, w.STOPPED, w.DYING)
            for sweep in ("FAILED", "ENTITIES", "CENSUS")
        },
    }


def shard_settings(url: str, shard: str, folder: Path) -> dict[str, str]:
    """Return the settings of one of two exporters, with a budget and a limit that are too low."""
    return {
        **QUICK,
        **hub_settings(url, *w.SHARED_HUBS),
        "SHARD": shard,
        "STATE_DIR": str(folder / f"state-{shard[0]}"),
        "CONFIG_FILE": str(budget_file(folder, 60)),
        "RELOAD_INTERVAL": "1s",
        "HUBS__FOLDED__MAX_LABEL_VALUES": "1",
    }


def budget_file(folder: Path, pages: int) -> Path:
    """Write the configuration file of the shards; it is followed."""
    path = folder / "shards.yaml"
    path.write_text(
        json.dumps({"hubs": {"frugal": {"max_pages_per_day": pages}}})
    )  # YAML reads JSON
    return path


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Set the scene: nothing is wrong yet, and the exporter is not started."""
    world = World()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        url = await enter(running(world.emulator))
        ports = [stack.enter_context(reserved_port()) for _ in range(3)]
        for name in ("state", "state-0", "state-1"):
            (folder / name).mkdir()
        own = {**own_settings(url), "STATE_DIR": str(folder / "state")}
        exporter = Daemon(folder, ports[0], own)
        shards = (
            Daemon(folder, ports[1], shard_settings(url, "0/2", folder)),
            Daemon(folder, ports[2], shard_settings(url, "1/2", folder)),
        )
        receiver = await enter(receiving())
        manager = await enter(running_alertmanager(folder, receiver, yaml.safe_load(inhibition())))
        labels = f'job="{JOB}",instance="{exporter.address}",task_hub="{w.WORK.lower()}"'
        remember(folder / "prometheus-data", labels, world.clock.now())
        watch = partial(watching, folder, manager, exporter, shards)
        looking = await enter(AsyncExitStack())
        scene_ = Scene(folder, world, receiver, exporter, shards, watch, looking)
        await scene_.look()
        yield scene_


@asynccontextmanager
async def watching(
    folder: Path, manager: str, exporter: Daemon, shards: tuple[Daemon, Daemon]
) -> AsyncIterator[Prometheus]:
    """Run a Prometheus with the rules; it restores what fired, as docs/alerts.md has it."""
    rules = folder / "rules.yaml"
    rules.write_text(faster_rules())
    config = {
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager]}]}]},
    }
    jobs = (
        scrape_job(JOB, exporter.address),
        scrape_job(SHARDED, *(shard.address for shard in shards)),
    )
    flags = (f"--rules.alert.for-grace-period={faster('1m')}",)
    async with running_prometheus(
        folder, *jobs, scrape_interval="500ms", config=config, flags=flags
    ) as prometheus:
        yield prometheus


def test_what_differs_from_the_shipped_rules_is_their_durations_alone() -> None:
    assert difference() == KEPT.read_text(encoding="utf-8")


def test_every_alert_has_its_incident() -> None:
    played = OF_HUBS | OF_SHARDS | DOWN | OF_FAILURES | MANY
    assert {name for name, _ in played} == {alert.name for alert in ALERTS}


@pytest.mark.incident
async def test_every_cause_raises_its_alert_and_no_other(tmp_path: Path) -> None:
    async with (
        scene(tmp_path) as scene_,
        anyio.create_task_group() as tasks,
        AsyncExitStack() as until_the_end,
    ):
        tasks.start_soon(scene_.world.beat)
        program = await until_the_end.enter_async_context(scene_.exporter.alive())
        await quiet_before(scene_)
        async with scene_.shards[0].alive():
            await everything_goes_wrong(scene_)
            await a_budget_is_raised(scene_)
        await an_exporter_is_missed(scene_)
        for shard in scene_.shards:
            await until_the_end.enter_async_context(shard.alive())
        scene_.world.trouble_ends()
        await a_hub_dies_in_the_middle(scene_)
        await failures_that_were_never_seen_before(scene_)
        await many_hubs_fail_at_once(scene_)
        await all_is_well_again(scene_)
        await program.kill()
        await failures_while_nobody_looked(scene_)
        tasks.cancel_scope.cancel()


async def quiet_before(scene_: Scene) -> None:
    """Nothing fires for as long as most alerts take."""
    up = f'count(durable_functions_up{{job="{JOB}"}} == 1) == {len(w.HUBS)}'
    await scene_.prometheus.wait_until(up)
    first_contact = "max(durable_functions_exporter_baseline_timestamp_seconds)"
    await scene_.prometheus.wait_until(f"time() - {first_contact} > 15")
    # A hub that was empty all the time; and Prometheus looks seconds before it scrapes.
    early = as_they_arrive({("HubEmpty", w.EMPTY), ("ExporterDown", "")})
    assert not scene_.receiver.ever() - early
    await scene_.until_over({("ExporterDown", "")})
    scene_.receiver.forget("DurableFunctionsExporterDown")


async def everything_goes_wrong(scene_: Scene) -> None:
    """Every cause raises its alert; what it explains as well is held back."""
    shard = f'durable_functions_up{{job="{SHARDED}"}} == 1'
    await scene_.prometheus.wait_until(f"count({shard}) == {len(w.SHARED_HUBS) - 1}")
    # That nothing moves is known once as much was scraped without a gap.
    moved = (
        f'durable_functions_last_progress_timestamp_seconds{{task_hub="{w.STANDSTILL.lower()}"}}'
    )
    await scene_.prometheus.wait_until(f"{moved} offset {_STALLED_WINDOW}")
    rmtree(scene_.folder / "state-0")
    scene_.world.trouble_begins()
    await scene_.until_fired(OF_HUBS | OF_SHARDS)
    assert not scene_.others_than(OF_HUBS | OF_SHARDS)
    for alert in scene_.receiver.arrived:
        assert not any("$" in text or "<no value>" in text for text in alert.annotations.values())
        assert alert.annotations["runbook_url"].endswith(f"/runbooks/{alert.name}")
        assert alert.labels.get("team") == (TEAM if alert.task_hub else None)
    stalled = scene_.alert("OrchestrationStalled", w.WORK, orchestrator="Checkout")
    assert stalled.labels["severity"] == "warning"
    assert "target" not in stalled.labels
    assert ": waiting on activity ChargeCard." in stalled.annotations["description"]
    assert stalled.annotations["page_url"].endswith("/hubs/work")
    assert (
        "/d/durable-functions-orchestrator?var-task_hub=work&var-orchestrator=Checkout&var-job="
        in stalled.annotations["dashboard_url"]
    )
    assert scene_.alert("OverAge", w.WORK).labels["severity"] == "critical"
    stopped = scene_.alert("HubUnreachable", w.STOPPED)
    assert stopped.labels["severity"] == "warning"
    assert "its app is stopped" in stopped.annotations["summary"]
    refused = scene_.alert("HubUnreachable", w.LOCKED_OUT)
    assert refused.labels["severity"] == "critical"
    assert "cause: auth" in refused.annotations["description"]


async def a_hub_dies_in_the_middle(scene_: Scene) -> None:
    """What fired goes on, beyond the withdrawal of what it was told of, until it is known."""
    world = scene_.world
    world.hubs[w.DYING].faults.set(Fault(kind=FaultKind.UNAVAILABLE))
    await scene_.until_fired({("HubUnreachable", w.DYING)})
    hub = f'task_hub="{w.DYING.lower()}"'
    await scene_.prometheus.wait_until(f"absent(durable_functions_stalled_instances{{{hub}}})")
    last = f'durable_functions_exporter_last_sweep_timestamp_seconds{{{hub},sweep="active"}}'
    await scene_.prometheus.wait_until(f"time() - {last} > 15")
    stalled = {("OrchestrationStalled", w.DYING)}
    assert not as_they_arrive(stalled) & scene_.receiver.resolved()
    firing = f'alertname="DurableFunctionsOrchestrationStalled",alertstate="firing",{hub}'
    assert await scene_.prometheus.query(f"ALERTS{{{firing}}}")
    # Prometheus says nothing more of what ends while it is away: Alertmanager waits for minutes.
    await scene_.until_over({(name, w.WORK) for name in OF_WORK})
    await scene_.look()
    restarted = await scene_.prometheus.query("time()")
    # It has nothing but its data to know it from.
    again = f"timestamp(ALERTS{{{firing}}}) > {restarted[0].value + 2}"
    await scene_.prometheus.wait_until(again)
    assert not as_they_arrive(stalled) & scene_.receiver.resolved()
    world.hubs[w.DYING].faults.clear()
    world.remove(w.DYING, "Checkout")
    await scene_.until_over(stalled | {("HubUnreachable", w.DYING)})


async def a_budget_is_raised(scene_: Scene) -> None:
    """The alert ends without a restart, and what it held back is not told of in the end."""
    # Without its folder no configuration is taken.
    (scene_.folder / "state-0").mkdir()
    budget_file(scene_.folder, 1_000_000)
    written = {alert for alert in OF_SHARDS if alert[0] == "StateNotWritten"}
    await scene_.until_over({("DataStale", "Frugal"), *written})


async def an_exporter_is_missed(scene_: Scene) -> None:
    """It is gone, and its state with it."""
    await scene_.until_fired(DOWN)
    rmtree(scene_.folder / "state-0")
    (scene_.folder / "state-0").mkdir()
    for shard in scene_.shards:
        shard.change({"HUBS__FOLDED__MAX_LABEL_VALUES": "10"})


async def all_is_well_again(scene_: Scene) -> None:
    """Nothing fires once no cause is left."""
    expected = OF_HUBS | OF_SHARDS | DOWN | OF_FAILURES | MANY
    expected |= {("HubUnreachable", w.DYING)}
    await scene_.until_over(expected - STILL)
    assert not scene_.others_than(expected)


async def failures_that_were_never_seen_before(scene_: Scene) -> None:
    """Fifty failures of a kind without a series come within one sweep."""
    for _ in range(50):
        scene_.world.failed(w.CALM, "Unheard")
    await scene_.until_failing("Unheard")
    # Nobody waits for an hour to pass, nor cleans up: others end well, and the failures are purged.
    scene_.world.remove(w.CALM, "Unheard")
    for _ in range(1200):
        scene_.world.ended(w.CALM, "Unheard")


async def many_hubs_fail_at_once(scene_: Scene) -> None:
    """One alert tells of what they share, none of each."""
    before = scene_.receiver.ever()
    hubs = [scene_.world.hubs[name] for name in w.HUBS]
    for hub in hubs:
        hub.faults.set(Fault(kind=FaultKind.UNAVAILABLE))
    await scene_.until_fired(MANY)
    for hub in hubs:
        hub.faults.clear()
    await scene_.until_over(MANY)
    assert scene_.receiver.ever() - before == as_they_arrive(MANY)


async def failures_while_nobody_looked(scene_: Scene) -> None:
    """Fifty failures come while the exporter is down, and are told of when it is back."""
    await scene_.prometheus.wait_until(f'up{{job="{JOB}"}} == 0')
    before = scene_.receiver.ever()
    for _ in range(50):
        scene_.world.failed(w.CALM, "Unseen")
    async with scene_.exporter.alive():
        await scene_.until_failing("Unseen")
        scene_.world.remove(w.CALM, "Unseen")
        for _ in range(1200):
            scene_.world.ended(w.CALM, "Unseen")
        await scene_.until_over(DOWN | OF_FAILURES)
    assert scene_.receiver.ever() == before
