"""Our own parts of `compose.yaml` as containers, with the rights, files and places that it says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.compose.specification import Service, read_compose
from tests.image.base import ROOT
from tests.image.building import Image, podman
from tests.image.containers import MIB, Container, running
from tests.real.compose.stack import Addresses, addresses_of
from tests.real.polling import poll

pytestmark = [pytest.mark.anyio, pytest.mark.image]

COMPOSE = read_compose(environ={})
PATIENCE_SECONDS = 120.0
UP = 'durable_functions_up{task_hub="demo"} 1.0'
WRITTEN = "durable_functions_exporter_state_last_write_timestamp_seconds{"


@dataclass(frozen=True, slots=True)
class Containers:
    """How a service of the file is run by podman, with its files in *folder*."""

    image: Image
    folder: Path
    addresses: Addresses

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[Container]:
        """Run it until the block is left; all containers share the network of this machine."""
        service = COMPOSE.services[name]
        memory = int(service.mem_limit.removesuffix("m")) or 1024
        how = (*_rights(service), *self._environment(service), *self._mounts(name, service))
        words = map(self.addresses.moved, service.command)
        async with running(self.image, *words, limit=memory * MIB, how=how) as container:
            yield container

    def is_well(self, name: str, container: Container) -> bool:
        """Run the check of the file within the container; raises while it fails."""
        check = COMPOSE.services[name].healthcheck
        assert check is not None
        podman("exec", container.name, *map(self.addresses.moved, check.test[1:]))
        return True

    def _environment(self, service: Service) -> Iterator[str]:
        for name, value in service.environment.items():
            yield f"--env={name}={self.addresses.moved(value)}"

    def _mounts(self, name: str, service: Service) -> Iterator[str]:
        for mount in service.volumes:
            if mount.type == "volume":
                # Goes with its container, since it has no name.
                yield f"--mount=type=volume,target={mount.target}"
            else:
                yield self._file(name, ROOT / mount.source, mount.target)
        for secret in service.secrets:
            source = ROOT / COMPOSE.secrets[secret].file
            yield self._file(name, source, f"/run/secrets/{secret}")

    def _file(self, name: str, source: Path, target: str) -> str:
        copy = self.folder / f"{name}-{uuid.uuid4().hex}"
        copy.write_text(self.addresses.moved(source.read_text(encoding="utf-8")), encoding="utf-8")
        return f"--volume={copy}:{target}:ro"


def _rights(service: Service) -> Iterator[str]:
    assert service.read_only
    yield from ("--read-only", "--read-only-tmpfs=false", f"--user={service.user}")
    yield from (f"--cap-drop={each}" for each in service.cap_drop)
    yield from (f"--security-opt={each.removesuffix(':true')}" for each in service.security_opt)


async def test_emulator_and_exporter_work_with_no_more_than_it_gives_them(
    image: Image, tmp_path: Path
) -> None:
    # Whoever is in a container must be able to read what is mounted.
    tmp_path.chmod(0o755)
    with addresses_of(COMPOSE) as addresses:
        containers = Containers(image, tmp_path, addresses)
        async with (
            containers.running("emulator") as emulator,
            containers.running("exporter") as exporter,
        ):
            metrics = addresses.moved("http://exporter:10771/metrics")
            text = await scraped(metrics)
            assert 'state_errors_total{reason="write",task_hub="demo"} 0.0' in text
            for name, container in (("emulator", emulator), ("exporter", exporter)):
                assert containers.is_well(name, container)
                assert container.process()["Uid"].split() == ["65532"] * 4
                assert container.process()["CapEff"] == "0" * 16


async def scraped(url: str) -> str:
    """Scrape until the hub is up and its state has been written."""

    async def scrape() -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(url)).text
            except httpx.TransportError:
                return ""

    return await poll(scrape, lambda text: UP in text and WRITTEN in text, within=PATIENCE_SECONDS)
