"""Scrapes over real sockets."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import anyio
import httpx
import pytest
from structlog.testing import capture_logs

from exporter.collector.snapshot import HubSnapshot, ProcessView
from exporter.metrics.exposition import Body
from exporter.metrics.lines import Format
from exporter.settings import MetricsSettings
from exporter.web.scrapes import SCRAPE_CUT_OFF, Scrapes, Wanted, accepts_gzip, choose_format
from exporter.web.server import listening
from tests.ledger.world import NOW
from tests.metrics.snapshots import busy_snapshot
from tests.real.polling import poll
from tests.web.looking import app_of

pytestmark = pytest.mark.anyio

OPENMETRICS = {"accept": "application/openmetrics-text;version=1.0.0"}
PLAIN = {"accept-encoding": "identity"}
PLAIN_TEXT = Wanted(frozenset(), Format.CLASSIC, compressed=False)
HUBS = [busy_snapshot(), replace(busy_snapshot("billing"), up=False), busy_snapshot("shipping")]


@asynccontextmanager
async def served(
    snapshots: Sequence[HubSnapshot], **settings: object
) -> AsyncIterator[httpx.AsyncClient]:
    app = app_of(lambda: snapshots, lambda: NOW + 200.0, settings=settings)
    async with (
        listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{server.port}", trust_env=False, timeout=30.0
        ) as connections,
    ):
        yield connections


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with served(HUBS) as connections:
        yield connections


def hub_lines(text: str) -> list[str]:
    """Return the lines that do not tell of the process, which changes while it runs."""
    return [line for line in text.splitlines() if line.startswith("durable_functions_")]


class TestForms:
    async def test_the_format_is_negotiated(self, client: httpx.AsyncClient) -> None:
        classic = await client.get("/metrics")
        openmetrics = await client.get("/metrics", headers=OPENMETRICS)
        assert classic.headers["content-type"] == Format.CLASSIC.value
        assert openmetrics.headers["content-type"] == Format.OPENMETRICS.value
        assert openmetrics.text.endswith("# EOF\n")
        assert "# EOF" not in classic.text
        assert hub_lines(classic.text) == hub_lines(openmetrics.text)

    @pytest.mark.parametrize("accept", [{}, OPENMETRICS], ids=["classic", "openmetrics"])
    async def test_it_is_compressed_for_those_who_take_it(
        self, client: httpx.AsyncClient, accept: dict[str, str]
    ) -> None:
        compressed = await client.get("/metrics", headers={"accept-encoding": "gzip", **accept})
        plain = await client.get("/metrics", headers={**PLAIN, **accept})
        assert compressed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert hub_lines(compressed.text) == hub_lines(plain.text)
        assert "process_resident_memory_bytes" in compressed.text
        assert int(compressed.headers["content-length"]) < len(plain.content) / 5

    async def test_the_compressed_body_is_a_single_stream(self, client: httpx.AsyncClient) -> None:
        request = client.build_request("GET", "/metrics", headers={"accept-encoding": "gzip"})
        answer = await client.send(request, stream=True)
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
        decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
        assert decompressor.decompress(raw) == gzip.decompress(raw)
        assert decompressor.eof

    @pytest.mark.parametrize("accept", [{}, OPENMETRICS], ids=["classic", "openmetrics"])
    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    async def test_every_answer_says_what_it_depends_on(
        self, client: httpx.AsyncClient, accept: dict[str, str], encoding: str
    ) -> None:
        answer = await client.get("/metrics", headers={**accept, "accept-encoding": encoding})
        assert answer.headers["vary"] == "Accept, Accept-Encoding"

    @pytest.mark.parametrize("encoding", ["identity", "gzip"])
    async def test_head_tells_what_get_would_without_a_body(
        self, client: httpx.AsyncClient, encoding: str
    ) -> None:
        head = await client.head("/metrics", headers={**OPENMETRICS, "accept-encoding": encoding})
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == Format.OPENMETRICS.value
        assert head.headers.get("content-encoding", "identity") == encoding
        assert int(head.headers["content-length"]) > 1000
        assert (await client.get("/metrics")).status_code == 200

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
    async def test_other_methods_are_not_allowed(
        self, client: httpx.AsyncClient, method: str
    ) -> None:
        answer = await client.request(method, "/metrics")
        assert answer.status_code == 405
        assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


class TestSelection:
    async def test_hubs_can_be_chosen(self, client: httpx.AsyncClient) -> None:
        chosen = await client.get(
            "/metrics", params={"task_hub": ["shipping", "billing", "shipping"]}
        )
        up = [line for line in chosen.text.splitlines() if line.startswith("durable_functions_up")]
        assert up == [
            'durable_functions_up{task_hub="billing"} 0.0',
            'durable_functions_up{task_hub="shipping"} 1.0',
        ]
        assert 'task_hub="orders"' not in chosen.text
        assert "durable_functions_exporter_build_info" in chosen.text
        assert "process_cpu_seconds_total" in chosen.text

    @pytest.mark.parametrize("names", [["nope"], ["orders", "nope"], [""], ["Orders"]])
    async def test_an_unknown_hub_fails_the_scrape(
        self, client: httpx.AsyncClient, names: list[str]
    ) -> None:
        answer = await client.get("/metrics", params={"task_hub": names})
        assert answer.status_code == 404
        assert answer.text == f"no such task_hub: {names[-1]}\n"
        assert answer.headers["content-type"].startswith("text/plain")

    async def test_a_selection_is_never_answered_with_another_one(
        self, client: httpx.AsyncClient
    ) -> None:
        for name in ("orders", "billing", "orders", "shipping"):
            answer = await client.get("/metrics", params={"task_hub": name})
            assert f'durable_functions_up{{task_hub="{name}"}}' in answer.text
            assert answer.text.count("\ndurable_functions_up{") == 1


class TestPublishing:
    async def test_a_scrape_shows_what_is_published_in_its_moment(self) -> None:
        published = [busy_snapshot()]
        async with served(published) as client:
            before = await client.get("/metrics")
            published[:] = [replace(published[0], up=False), HUBS[1]]
            after = await client.get("/metrics")
            published[:] = published[1:]
            last = await client.get("/metrics")
        assert 'durable_functions_up{task_hub="orders"} 1.0' in before.text
        assert 'durable_functions_up{task_hub="orders"} 0.0' in after.text
        assert 'task_hub="orders"' not in last.text
        assert 'durable_functions_up{task_hub="billing"} 0.0' in last.text

    async def test_hubs_are_written_before_anybody_asks(self) -> None:
        published = [busy_snapshot()]
        scrapes = Scrapes(lambda: published, MetricsSettings, wall=lambda: NOW)
        exposition = scrapes._exposition

        async def all_written() -> bool:
            return all(exposition.is_current(snapshot) for snapshot in published)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scrapes.keep_written)
            await poll(all_written, bool, within=30.0)
            old = published[0]
            published[:] = [replace(old), busy_snapshot("billing")]
            scrapes.note_publication()
            await poll(all_written, bool, within=30.0)
            published[:] = published[1:]
            scrapes.note_publication()
            await poll(lambda: is_current(scrapes, "orders"), lambda found: not found, within=30.0)
            tasks.cancel_scope.cancel()

    async def test_settings_reach_the_answer(self) -> None:
        async with served(HUBS, exclude=("process_*", "*_up")) as client:
            text = (await client.get("/metrics")).text
        assert "process_" not in text
        assert "durable_functions_up" not in text
        assert "durable_functions_instances{" in text


def counting() -> tuple[Scrapes, list[int]]:
    """Return scrapes, and of how many hubs each text was that they made."""
    scrapes = Scrapes(lambda: HUBS, MetricsSettings, wall=lambda: NOW)
    body, made = scrapes._exposition.body, []

    def counted(
        snapshots: Sequence[HubSnapshot],
        now: float,
        form: Format,
        process: ProcessView | None = None,
    ) -> Body:
        made.append(len(snapshots))
        return body(snapshots, now, form, process)

    scrapes._exposition.body = counted  # type: ignore[method-assign] # to look on
    return scrapes, made


async def is_current(scrapes: Scrapes, name: str) -> bool:
    return name in scrapes._exposition._hubs


class TestManyAtOnce:
    async def test_fifty_scrapers_get_the_same(self, client: httpx.AsyncClient) -> None:
        texts: list[list[str]] = []

        async def scrape(place: int) -> None:
            headers = OPENMETRICS if place % 2 else {}
            answer = await client.get("/metrics", headers=headers)
            assert answer.status_code == 200
            texts.append(hub_lines(answer.text))

        async with anyio.create_task_group() as tasks:
            for place in range(50):
                tasks.start_soon(scrape, place)
        assert len(texts) == 50
        assert all(text == texts[0] for text in texts)

    async def test_those_who_wait_for_the_same_share_it(self) -> None:
        scrapes, made = counting()
        got: list[Sequence[bytes]] = []

        async def scrape(wanted: Wanted) -> None:
            got.append(await scrapes._pieces(wanted))

        async with anyio.create_task_group() as tasks, scrapes._texts.turn:
            for _ in range(10):
                tasks.start_soon(scrape, PLAIN_TEXT)
            tasks.start_soon(scrape, replace(PLAIN_TEXT, compressed=True))
            tasks.start_soon(scrape, replace(PLAIN_TEXT, hubs=frozenset({"orders"})))
            await anyio.wait_all_tasks_blocked()
        assert made == [3, 3, 1]
        assert len(got) == 12
        await scrapes._pieces(PLAIN_TEXT)
        assert made == [3, 3, 1, 3]

    async def test_one_that_gives_up_leaves_those_who_wait_with_it_an_answer(self) -> None:
        scrapes, made = counting()
        given_up = anyio.CancelScope()
        got: list[Sequence[bytes]] = []

        async def give_up() -> None:
            with given_up:
                await scrapes._pieces(PLAIN_TEXT)

        async def scrape() -> None:
            got.append(await scrapes._pieces(PLAIN_TEXT))

        async with anyio.create_task_group() as tasks, scrapes._texts.turn:
            tasks.start_soon(give_up)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(scrape)
            tasks.start_soon(scrape)
            await anyio.wait_all_tasks_blocked()
            given_up.cancel()
            await anyio.wait_all_tasks_blocked()
        assert made == [3]
        assert len(got) == 2

    async def test_beyond_the_limit_a_scrape_is_told_to_come_back(self) -> None:
        async with (
            served([HUGE], max_concurrent_scrapes=1) as client,
            slow_reader(client) as reader,
        ):
            refused = await client.get("/metrics")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert (await client.get("/-/healthy")).status_code == 200
            await read_to_end(reader)
            await poll(lambda: status(client), lambda code: code == 200, within=30.0)

    async def test_a_client_that_goes_away_leaves_its_place(self) -> None:
        async with served([HUGE], max_concurrent_scrapes=1) as client:
            async with slow_reader(client):
                assert await status(client) == 503
            await poll(lambda: status(client), lambda code: code == 200, within=30.0)

    async def test_a_client_that_does_not_read_is_cut_off(self) -> None:
        with capture_logs() as logs:
            async with (
                served([HUGE], max_concurrent_scrapes=1, scrape_timeout="500ms") as client,
                slow_reader(client) as reader,
            ):
                await poll(lambda: status(client), lambda code: code == 200, within=30.0)
                assert 0 < len(await read_to_end(reader)) < len(BIG)
        assert [entry["event"] for entry in logs] == [SCRAPE_CUT_OFF]

    async def test_a_slow_reader_holds_up_nobody(self) -> None:
        async with served([HUGE, HUBS[0]]) as client:
            async with slow_reader(client), slow_reader(client), slow_reader(client):
                answer = await client.get("/metrics", params={"task_hub": "orders"})
            assert answer.status_code == 200


# More than sockets of loopback take in by themselves.
BIG = "x" * 16_000_000
HUGE = replace(
    busy_snapshot("huge"), identity=replace(HUBS[0].identity, name="huge", labels={"big": BIG})
)


@asynccontextmanager
async def slow_reader(client: httpx.AsyncClient) -> AsyncIterator[socket.socket]:
    """Begin a scrape of the huge hub, uncompressed, and read no more than its first byte."""
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((client.base_url.host, client.base_url.port))
        connection.setblocking(False)
        connection.send(
            b"GET /metrics?task_hub=huge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        await anyio.wait_readable(connection)
        assert connection.recv(1) == b"H"
        yield connection


async def read_to_end(connection: socket.socket) -> bytes:
    received = bytearray()
    with anyio.fail_after(60.0):
        while True:
            await anyio.wait_readable(connection)
            chunk = connection.recv(1 << 20)
            if not chunk:
                return bytes(received)
            received += chunk


async def status(client: httpx.AsyncClient) -> int:
    return (await client.head("/metrics")).status_code


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.CLASSIC),
        ("*/*", Format.CLASSIC),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.CLASSIC),
        (PROMETHEUS, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        (
            'Application/OpenMetrics-Text; Version="1.0.0"; Q=0.9, text/plain;q=0.1',
            Format.OPENMETRICS,
        ),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.6", Format.CLASSIC),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.5", Format.CLASSIC),
        ("application/openmetrics-text;q=0", Format.CLASSIC),
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format.CLASSIC),
        ("application/openmetrics-text;q=high", Format.CLASSIC),
        (PROMETHEUS_3, Format.OPENMETRICS),
        ("text/plain;q=0, */*", Format.OPENMETRICS),
        ("application/*, text/plain;q=0.9", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0, application/*, text/*;q=0.1", Format.CLASSIC),
        ("application/openmetrics-text;version=1.0.0;q=0.2, text/*;q=0.3", Format.CLASSIC),
        ("application/json", Format.CLASSIC),
        (
            (
                "application/openmetrics-text;version=1.0.0;q=0.2,"
                "application/openmetrics-text;version=0.0.1;q=0.9,text/plain;q=0.5"
            ),
            Format.OPENMETRICS,
        ),
        (",;=,;q", Format.CLASSIC),
    ],
)
def test_the_highest_quality_wins(accept: str, form: Format) -> None:
    assert choose_format(accept) is form


@pytest.mark.parametrize(
    ("accept_encoding", "allowed"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0.1, gzip;q=0", False),
        ("identity", False),
    ],
)
def test_gzip_is_sent_only_to_those_who_take_it(accept_encoding: str, allowed: bool) -> None:
    assert accepts_gzip(accept_encoding) is allowed
