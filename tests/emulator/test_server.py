import socket

import anyio
import anyio.abc
import httpx
import pytest

from emulator import (
    Emulator,
    Fault,
    FaultKind,
    ManualClock,
    RealClock,
    TaskHub,
    running,
    sample_emulator,
    serve,
)

pytestmark = pytest.mark.anyio


async def test_it_listens_as_soon_as_it_is_running_and_not_after(emulator: Emulator) -> None:
    async with running(emulator) as url, httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/durabletask/instances")).status_code == 200
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/durabletask/instances")


async def is_closed(stream: anyio.abc.ByteReceiveStream) -> bool:
    try:
        while True:
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return True


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.HUGE, FaultKind.SLOW])
async def test_it_stops_with_a_request_under_way(
    emulator: Emulator, hub: TaskHub, capfd: pytest.CaptureFixture[str], kind: FaultKind
) -> None:
    hub.faults.set(Fault(kind=kind, seconds=60))
    async with running(emulator) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        stream = await anyio.connect_tcp(host, int(port))
        await stream.send(b"GET /durabletask/instances HTTP/1.1\r\nhost: x\r\n\r\n")
        while not hub.faults.struck:
            await anyio.lowlevel.checkpoint()
    async with stream:
        assert await is_closed(stream)
    assert capfd.readouterr().err == ""


async def test_two_do_not_share_a_port(emulator: Emulator) -> None:
    async with running(emulator) as url:
        with pytest.raises(OSError, match="in use"):
            async with running(emulator, port=int(url.rpartition(":")[2])):
                pass


async def test_it_serves_until_cancelled(emulator: Emulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with anyio.create_task_group() as group:
        group.start_soon(serve, emulator, "127.0.0.1", port)
        transport = httpx.AsyncHTTPTransport(retries=5)
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/durabletask/instances")
        group.cancel_scope.cancel()
    assert answer.status_code == 200


async def test_a_sample_lives_by_its_clock(clock: ManualClock) -> None:
    emulator = sample_emulator(clock=clock, seed=1, history=600.0)
    async with running(emulator) as url, httpx.AsyncClient(base_url=url) as client:
        path = "/durabletask/instances?top=1000"
        first, again = (await client.get(path)).json(), (await client.get(path)).json()
        clock.advance(60)
        later = (await client.get(path)).json()
    assert first == again
    assert first != later


class TestClocks:
    def test_a_real_clock_can_run_faster(self) -> None:
        slow, fast = RealClock(), RealClock(speed=1e9)
        assert slow.now() < fast.now()

    def test_a_clock_does_not_stand_still_or_run_back(self) -> None:
        with pytest.raises(ValueError, match="above 0"):
            RealClock(speed=0)

    def test_a_manual_clock_advances_and_jumps(self, clock: ManualClock) -> None:
        clock.set(10)
        clock.advance(5)
        assert clock.now() == 15
        with pytest.raises(ValueError, match="forward"):
            clock.advance(-1)
