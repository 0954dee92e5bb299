"""What a client does to its connection rather than with it."""

from collections.abc import Iterator

import anyio
import anyio.abc
import httpx
import pytest

from emulator import Emulator, Keys, ManualClock, TaskHub, running
from emulator.backends.backend import Latency
from emulator.samples.recorded import functions
from tests.emulator.conftest import OPTIONS

pytestmark = pytest.mark.anyio


@pytest.fixture
def hub(clock: ManualClock) -> TaskHub:
    return TaskHub("RecHub", clock, functions=functions)


@pytest.fixture
def emulator(hub: TaskHub, clock: ManualClock) -> Emulator:
    return Emulator(hub, clock=clock, keys=Keys(system="the-system-key"))


@pytest.fixture(autouse=True)
def server_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where the server logs anything: it logs the tracebacks of the app."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


class TestConnections:
    async def test_a_body_that_breaks_off_starts_nothing(self, base_url: str, hub: TaskHub) -> None:
        stream = await connect(base_url)
        await stream.send(
            b"POST /durabletask/orchestrators/WaitsForever/it HTTP/1.1\r\n"
            b"host: x\r\ncontent-length: 10\r\n\r\n"
        )
        await stream.aclose()
        await answered(base_url)
        assert hub.get("it") is None

    async def test_a_client_that_goes_away_is_waited_for_no_longer(
        self, emulator: Emulator, hub: TaskHub
    ) -> None:
        with anyio.fail_after(60):
            async with running(emulator) as base_url:
                stream = await connect(base_url)
                path = b"/durabletask/orchestrators/WaitsForever/it?timeout=9999&pollingInterval=1"
                await stream.send(b"POST " + path + b" HTTP/1.1\r\nhost: x\r\n\r\n")
                while hub.get("it") is None:
                    await answered(base_url)
                await stream.aclose()

    async def test_it_stops_while_somebody_waits(self, emulator: Emulator, hub: TaskHub) -> None:
        async def wait(base_url: str) -> None:
            path = "/durabletask/orchestrators/WaitsForever/it?timeout=9999&pollingInterval=1"
            async with httpx.AsyncClient(**OPTIONS) as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.post(f"{base_url}{path}")

        with anyio.fail_after(60):
            async with anyio.create_task_group() as group, running(emulator) as base_url:
                group.start_soon(wait, base_url)
                while hub.get("it") is None:
                    await answered(base_url)

    async def test_it_stops_while_its_storage_takes_its_time(
        self, emulator: Emulator, hub: TaskHub
    ) -> None:
        hub.latency = Latency(request=9999)
        with anyio.fail_after(60):
            async with running(emulator) as base_url:
                stream = await connect(base_url)
                await stream.send(b"GET /durabletask/instances HTTP/1.1\r\nhost: x\r\n\r\n")
                async with httpx.AsyncClient(**OPTIONS) as client:
                    await client.get(f"{base_url}/nothing")
            await stream.aclose()

    @pytest.mark.parametrize("body", [b"", b"1", b"{"])
    async def test_an_old_client_is_answered(self, base_url: str, body: bytes) -> None:
        stream = await connect(base_url)
        head = (
            f"POST /durabletask/entities/Counter/x HTTP/1.0\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        await stream.send(head.encode() + body)
        assert (await stream.receive()).startswith(b"HTTP/1.1 202 ")
        await stream.aclose()


async def connect(base_url: str) -> anyio.abc.SocketStream:
    host, _, port = base_url.removeprefix("http://").partition(":")
    return await anyio.connect_tcp(host, int(port))


async def answered(base_url: str) -> None:
    """Wait until the server has had the time to answer something else."""
    async with httpx.AsyncClient(**OPTIONS) as client:
        await client.get(f"{base_url}/durabletask/instances")
