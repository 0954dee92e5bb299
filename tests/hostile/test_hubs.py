"""Hostile hubs beside a good one: the good one keeps its pace, the process its memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest

from tests.hostile.hubs import (
    Answer,
    Hub,
    circle,
    compressed,
    dripping,
    endless,
    good,
    in_one_page,
    listening,
    paged,
    raw,
    without_end,
)
from tests.hostile.process import Exporter, serving
from tests.metrics.shown import samples
from tests.real.polling import poll

pytestmark = pytest.mark.anyio

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """
    A way to be hostile: what is answered, in a quick and a heavy form, and what is told of it.

    `kind` is None where all is well in the end.
    """

    answer: Callable[[bool], Answer]
    kind: str | None
    most_requests_a_second: float = 12.0


def always(answer: Answer) -> Callable[[bool], Answer]:
    return lambda _heavy: answer


CASES = {
    "codings": Case(lambda heavy: compressed(2000 if heavy else 8, codings=3), "protocol"),
    "bomb": Case(lambda heavy: compressed(1000 if heavy else 32), "too_large"),
    "denied": Case(
        lambda heavy: compressed(1000 if heavy else 32, status=b"401 Unauthorized"), "auth"
    ),
    "rows": Case(lambda heavy: paged(3000 if heavy else 200, 60_000), None, 110.0),
    "page": Case(lambda heavy: in_one_page(100_000 if heavy else 60_000), "too_large"),
    "tokens": Case(always(endless), "too_large", 110.0),
    "circle": Case(always(circle), "protocol"),
    "cut": Case(always(raw(JSON + b"Content-Length: 90\r\n\r\n[{")), "protocol"),
    "short": Case(always(raw(JSON + b"Content-Length: 90\r\n\r\n[]", closes=False)), "timeout"),
    "long": Case(always(raw(JSON + b"Content-Length: 2\r\n\r\n[]" + b"x" * 100_000)), "protocol"),
    "endless": Case(always(without_end), "too_large"),
    "dripping": Case(always(dripping), "timeout"),
    "mute": Case(always(raw(b"", closes=False)), "timeout"),
    "chunks": Case(always(raw(JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")), "protocol"),
    "nothing": Case(always(raw(b"")), "protocol"),
}


class Watched:
    """An exporter that polls hubs, some of them hostile."""

    def __init__(
        self, exporter: Exporter, hubs: Mapping[str, Hub], http: httpx.AsyncClient
    ) -> None:
        self.exporter = exporter
        self.hubs = hubs
        self._http = http

    async def values(self, name: str, **labels: str) -> dict[str, float]:
        """Return a metric by hub, of the samples that have these labels."""
        answer = await self._http.get(f"http://127.0.0.1:{self.exporter.port}/metrics")
        wanted = labels.items()
        return {
            sample.labels["task_hub"]: sample.value
            for sample in samples(answer.content)
            if sample.name == name and wanted <= sample.labels.items()
        }

    async def until(
        self, name: str, done: Callable[[dict[str, float]], bool], **labels: str
    ) -> dict[str, float]:
        """Wait until a metric is as expected."""
        return await poll(lambda: self.values(name, **labels), done, within=120.0)

    async def until_told(self, hub: str, kind: str | None) -> None:
        """Wait until a hub is up, or down for an error of a *kind*."""
        if kind is None:
            await self.until(UP, lambda up: up[hub] == 1.0)
        else:
            labels = {"kind": kind, "operation": "listInstances"}
            await self.until(ERRORS, lambda errors: errors.get(hub, 0) > 0, **labels)

    async def watch(self, seconds: float) -> None:
        """Let time pass; the good hub misses no sweep, and no hostile one is asked too often."""
        asked = {name: hub.requests for name, hub in self.hubs.items()}
        begin = anyio.current_time()
        swept = (await self.values(SWEEPS, result="complete", sweep="active"))["good"]
        await anyio.sleep(seconds)
        passed = anyio.current_time() - begin
        sweeps = (await self.values(SWEEPS, result="complete", sweep="active"))["good"] - swept
        assert sweeps >= 0.8 * passed / INTERVAL - 1
        passed = anyio.current_time() - begin
        for name, hub in self.hubs.items():
            case = CASES.get(name.rstrip("0123456789"))
            most = case.most_requests_a_second if case else 12.0
            # What was not asked for in the second before may come at once.
            assert hub.requests - asked[name] <= most * (passed + 1) + 10, name


SWEEPS = "durable_functions_exporter_sweeps_total"
ERRORS = "durable_functions_exporter_api_errors_total"
UP = "durable_functions_up"


@asynccontextmanager
async def polled(folder: Path, answers: Mapping[str, Answer]) -> AsyncIterator[Watched]:
    """Poll a hub for each answer, and a good one, in a process of 256 MiB."""
    hubs = {name: Hub(answer) for name, answer in {"good": good, **answers}.items()}
    environ = {
        "DURABLE_EXPORTER_INTERVALS__ACTIVE": f"{INTERVAL:g}s",
        "DURABLE_EXPORTER_TIMEOUTS__REQUEST": "1s",
        "DURABLE_EXPORTER_RETRIES__MAX_RETRIES": "1",
        "DURABLE_EXPORTER_TIMEOUTS__SWEEP": "30s",
        "DURABLE_EXPORTER_MAX_PAGES": "400",
    }
    async with AsyncExitStack() as stack:
        for name, hub in hubs.items():
            await stack.enter_async_context(listening(hub))
            environ[f"DURABLE_EXPORTER_HUBS__{name.upper()}__URL"] = hub.url
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=60.0))
        exporter = await stack.enter_async_context(serving(folder, environ))
        watched = Watched(exporter, hubs, http)
        await watched.until(UP, lambda up: up.get("good") == 1.0)
        yield watched


async def test_every_hostile_hub_is_told_apart_while_a_good_one_keeps_its_pace_and_all_recover(
    tmp_path: Path,
) -> None:
    quick = {name: case.answer(False) for name, case in CASES.items()}
    async with polled(tmp_path, quick) as watched:
        for name, case in CASES.items():
            await watched.until_told(name, case.kind)
        up = await watched.values(UP)
        assert {name for name, value in up.items() if value} == {"good", "rows"}
        await watched.watch(4.0)
        for hub in watched.hubs.values():
            hub.answer = good
        await watched.until(UP, lambda up: all(up.values()))


@pytest.mark.nightly
@pytest.mark.parametrize("name", CASES)
async def test_four_hubs_of_the_heaviest_kind_leave_the_good_one_its_pace(
    name: str, tmp_path: Path
) -> None:
    case = CASES[name]
    answers = {f"{name}{number}": case.answer(True) for number in range(4)}
    async with polled(tmp_path, answers) as watched:
        await watched.watch(60.0)


@pytest.mark.nightly
async def test_ten_minutes_of_the_four_worst_at_once_leave_the_good_one_every_sweep(
    tmp_path: Path,
) -> None:
    worst = ("codings", "rows", "endless", "tokens")
    async with polled(tmp_path, {name: CASES[name].answer(True) for name in worst}) as watched:
        for _ in range(10):
            await watched.watch(60.0)
