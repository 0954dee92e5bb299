"""The image at work, with no rights, nothing to write and as much memory as the chart gives it."""

from __future__ import annotations

import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest
import yaml

from exporter import __version__
from tests.image.base import ROOT
from tests.image.building import Image, podman
from tests.image.containers import (
    MEMORY_LIMIT,
    MIB,
    PATIENCE_SECONDS,
    READ_ONLY,
    RESTRICTED,
    STATE_DIR,
    Container,
    emulator_url,
    logged,
    running,
)
from tests.real.daemon import reserved_port
from tests.real.polling import poll

pytestmark = [pytest.mark.anyio, pytest.mark.image]

SYNTHETIC = "Large=200k,active=100k"
ACTIVE = 100_000
EMULATOR_LIMIT = 2048 * MIB
STOPPED_WITHIN = 2.0
SWEEPS, SCRAPES = 5, 20
MOST_USUALLY, MOST_WITH_MANY = 112 * MIB, 200 * MIB
"""Resident: the rest of its limit is left to the health check."""
CHART = ROOT / "helm/durable-functions-exporter/values.yaml"
# Where podman mounts the names of hosts.
OF_THE_ENGINE = {"C /etc"}
STOPPED_WHILE_LOADING = 128 + signal.SIGTERM


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as number:
        yield number


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"durable-exporter-test-{uuid.uuid4().hex}"
    podman("volume", "create", name)
    yield name
    podman("volume", "rm", "--force", name)


@pytest.fixture(scope="module")
async def emulator(image: Image) -> AsyncIterator[str]:
    serving = ("emulator", "--port=0", f"--synthetic={SYNTHETIC}")
    async with running(image, *serving, limit=EMULATOR_LIMIT) as container:
        yield emulator_url(await logged(container, "Status and usage: "))


@dataclass(frozen=True, slots=True)
class Polling:
    """How to run an exporter that polls the emulator."""

    image: Image
    url: str
    port: int

    @asynccontextmanager
    async def exporter(
        self, hub: str, *, how: tuple[str, ...] = READ_ONLY, **settings: str
    ) -> AsyncIterator[Container]:
        """Run it from its first words about its hub until the block is left."""
        environ = {
            "URL": self.url,
            "TASK_HUB": hub,
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "INTERVALS__ACTIVE": "1s",
            **settings,
        }
        async with running(self.image, environ=environ, how=how) as container:
            await metrics(self.port, 'durable_functions_up{task_hub="')
            yield container


@pytest.fixture
def polling(image: Image, emulator: str, port: int) -> Polling:
    return Polling(image, emulator, port)


async def metrics(port: int, wanted: str) -> str:
    """Scrape until a sample is there that starts like this, and return all."""

    async def scrape() -> str:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            try:
                return (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            except httpx.TransportError:
                return ""

    return await poll(scrape, lambda text: f"\n{wanted}" in text, within=PATIENCE_SECONDS)


def sample(text: str, name: str) -> float:
    """Return the sum of the samples whose name and labels start like this."""
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


async def swept_and_scraped(port: int) -> str:
    """Let it sweep some times while it is being scraped, and return the last scrape."""
    swept = 'durable_functions_exporter_sweeps_total{result="complete",sweep="active"'
    text = await metrics(port, swept)
    enough = sample(text, swept) + SWEEPS
    for _ in range(SCRAPES):
        text = await metrics(port, swept)
    with anyio.fail_after(PATIENCE_SECONDS):
        while sample(text, swept) < enough:
            text = await metrics(port, swept)
    return text


def assert_it_stops(container: Container) -> None:
    seconds = container.stop()
    state = container.state()
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False), container.log()
    assert seconds < STOPPED_WITHIN


async def test_it_has_no_rights_and_says_that_it_is_healthy(polling: Polling) -> None:
    async with polling.exporter("OrdersHub") as exporter:
        process = exporter.process()
        assert process["Uid"].split() == ["65532"] * 4
        assert process["CapEff"] == process["CapBnd"] == "0" * 16
        assert process["NoNewPrivs"] == "1"
        podman("healthcheck", "run", exporter.name)
        assert exporter.state()["Health"]["Status"] == "healthy"
        await swept_and_scraped(polling.port)
        assert exporter.peak_bytes() < MOST_USUALLY
        assert_it_stops(exporter)


async def test_a_hundred_thousand_active_instances_fit_into_its_memory(polling: Polling) -> None:
    async with polling.exporter("Large") as exporter:
        text = await swept_and_scraped(polling.port)
        assert sample(text, "durable_functions_exporter_tracked_instances") == ACTIVE
        assert exporter.peak_bytes() < MOST_WITH_MANY
        assert_it_stops(exporter)


async def test_a_state_directory_is_the_one_place_that_it_writes_to(
    polling: Polling, volume: str
) -> None:
    how = (*READ_ONLY, f"--volume={volume}:{STATE_DIR}")
    async with polling.exporter("Large", how=how, STATE_DIR=STATE_DIR) as exporter:
        written = "durable_functions_exporter_state_last_write_timestamp_seconds"
        await metrics(polling.port, written)
        text = await swept_and_scraped(polling.port)
        assert sample(text, "durable_functions_exporter_state_errors_total") == 0
        assert exporter.peak_bytes() < MOST_WITH_MANY
        assert_it_stops(exporter)
    kept = Path(podman("volume", "inspect", "--format={{.Mountpoint}}", volume).strip())
    found = {path.suffix for path in kept.iterdir()}
    # A commit leaves its journal behind, emptied.
    assert found - {".state-journal"} == {".state", ".lock"}


async def test_it_writes_nowhere_even_where_it_could(polling: Polling) -> None:
    # Else podman writes a user of this number into the image.
    async with polling.exporter("OrdersHub", how=("--passwd=false",)) as exporter:
        await swept_and_scraped(polling.port)
        podman("healthcheck", "run", exporter.name)
        changed = set(podman("diff", exporter.name).splitlines())
        assert changed <= OF_THE_ENGINE


async def test_it_can_be_stopped_before_it_has_loaded(image: Image, port: int) -> None:
    environ = {"URL": "http://127.0.0.1:9", "LISTEN_ADDRESS": f"127.0.0.1:{port}"}
    async with running(image, environ=environ) as exporter:

        async def stoppable() -> bool:
            return exporter.handles(signal.SIGTERM)

        await poll(stoppable, bool, within=PATIENCE_SECONDS)
        assert exporter.stop() < STOPPED_WITHIN
        assert exporter.state()["ExitCode"] in (0, STOPPED_WHILE_LOADING)


async def test_a_wrong_configuration_ends_it_with_the_code_for_that(image: Image) -> None:
    async with running(image, environ={"URL": "nonsense"}) as exporter:
        podman("wait", exporter.name)
        assert exporter.state()["ExitCode"] == 2


def test_the_commands_of_people_work_in_it(image: Image) -> None:
    said = podman("run", "--rm", *READ_ONLY, *RESTRICTED, image.name, "--version")
    assert said.strip() == __version__


@pytest.mark.skipif(not CHART.exists(), reason="the chart is not in this checkout")
def test_the_memory_is_what_the_chart_gives_it() -> None:
    limits = yaml.safe_load(CHART.read_text(encoding="utf-8"))["resources"]["limits"]
    assert limits["memory"] == f"{MEMORY_LIMIT // MIB}Mi"
