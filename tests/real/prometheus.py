"""A real Prometheus on loopback, and its HTTP API as far as tests ask it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import httpx
import msgspec

from tests.real.polling import NeverHappened, poll
from tests.real.program import START_SECONDS, Program, running_program
from tests.tools import tool

# The flag with which exemplars are kept.
EXEMPLAR_STORAGE = "--enable-feature=exemplar-storage"

T = TypeVar("T")


class Sample(NamedTuple):
    """One element of an instant vector; a scalar has no labels."""

    labels: dict[str, str]
    value: float


class StoredExemplar(NamedTuple):
    """An exemplar, and the series that it belongs to."""

    series: dict[str, str]
    labels: dict[str, str]
    value: float
    at: float


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """A scrape target as Prometheus sees it; `health` is `up`, `down` or `unknown`."""

    labels: dict[str, str]
    health: str
    last_error: str


class QueryRefused(AssertionError):
    """Prometheus did not understand or could not answer a request."""


class _Answer(msgspec.Struct):
    data: msgspec.Raw


class _Result(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _SampleStatistics(msgspec.Struct, rename="camel"):
    total_queryable_samples: int


class _Statistics(msgspec.Struct):
    samples: _SampleStatistics


class _WithStatistics(msgspec.Struct):
    stats: _Statistics


class _Element(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class Series(msgspec.Struct, frozen=True):
    """The samples of one series: when, and the value as text."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Exemplar(msgspec.Struct):
    labels: dict[str, str]
    value: str
    timestamp: float


class _Exemplars(msgspec.Struct, rename="camel"):
    series_labels: dict[str, str]
    exemplars: list[_Exemplar]


class _Targets(msgspec.Struct, rename="camel"):
    active_targets: list[Target]


class _Metadata(msgspec.Struct):
    metric: str
    type: str


class Prometheus:
    """A client of one running Prometheus."""

    def __init__(self, program: Program, client: httpx.AsyncClient) -> None:
        self.program = program
        self._client = client

    @property
    def url(self) -> str:
        return str(self._client.base_url).rstrip("/")

    async def query(self, expr: str, time: float | None = None) -> list[Sample]:
        """
        Evaluate an instant query, now or at `time` in seconds since the epoch.

        Raises `QueryRefused` where the expression is wrong or its result a matrix or a string.
        """
        params = {"query": expr} if time is None else {"query": expr, "time": repr(time)}
        answer = await self._get("query", params, _Result)
        match answer.result_type:
            case "vector":
                elements = msgspec.json.decode(answer.result, type=list[_Element])
                return [Sample(each.metric, float(each.value[1])) for each in elements]
            case "scalar":
                _, value = msgspec.json.decode(answer.result, type=tuple[float, str])
                return [Sample({}, float(value))]
            case other:
                raise QueryRefused(f"{expr}: gives a {other}, not a vector or a scalar")

    async def samples_read(self, expr: str, time: float) -> int:
        """Return how many samples an instant query loads, each step of a subquery included."""
        params = {"query": expr, "time": repr(time), "stats": "all"}
        answer = await self._get("query", params, _WithStatistics)
        return answer.stats.samples.total_queryable_samples

    async def samples(self, selector: str, window: str) -> list[Series]:
        """Return the samples of some series within the last *window*, as they were stored."""
        answer = await self._get("query", {"query": f"{selector}[{window}]"}, _Result)
        return msgspec.json.decode(answer.result, type=list[Series])

    async def label_values(self, selector: str, label: str) -> list[str]:
        """Return the values that a label has in some series."""
        return await self._get(f"label/{label}/values", {"match[]": selector}, list[str])

    async def wait_until(
        self, expr: str, done: Callable[[list[Sample]], bool] = bool, *, within: float = 60.0
    ) -> list[Sample]:
        """
        Query until `done` accepts the result; by default until there is any.

        The first scrape comes 5 s after the start. Raises `NeverHappened` after `within` seconds.
        """
        try:
            return await poll(lambda: self.query(expr), done, within=within)
        except NeverHappened as error:
            error.add_note(f"query: {expr}\ntargets: {await self.targets()}")
            raise

    async def targets(self) -> list[Target]:
        """Return the active targets of all jobs."""
        return (await self._get("targets", {"state": "active"}, _Targets)).active_targets

    async def metadata(self, job: str) -> dict[str, str]:
        """Return the types of a job's families under the names that its format gives them."""
        params = {"match_target": f'{{job="{job}"}}'}
        families = await self._get("targets/metadata", params, list[_Metadata])
        return {family.metric: family.type for family in families}

    async def exemplars(self, selector: str, start: float, end: float) -> list[StoredExemplar]:
        """Return what is stored behind the series of a selector; needs `EXEMPLAR_STORAGE`."""
        params = {"query": selector, "start": repr(start), "end": repr(end)}
        found = await self._get("query_exemplars", params, list[_Exemplars])
        return [
            StoredExemplar(series.series_labels, each.labels, float(each.value), each.timestamp)
            for series in found
            for each in series.exemplars
        ]

    async def ready(self) -> None:
        """Wait until requests are answered, which is shortly after the port is open."""

        async def status() -> int:
            return (await self._client.get("/-/ready")).status_code

        await poll(status, lambda code: code == httpx.codes.OK, within=START_SECONDS)

    async def _get(self, path: str, params: Mapping[str, str], data: type[T]) -> T:
        response = await self._client.get(f"/api/v1/{path}", params=params)
        if response.status_code != httpx.codes.OK:
            raise QueryRefused(f"{path} {dict(params)}: {response.text}")
        answer = msgspec.json.decode(response.content, type=_Answer)
        return msgspec.json.decode(answer.data, type=data)


def scrape_job(name: str, *addresses: str, **fields: object) -> dict[str, object]:
    """Return a scrape_config for `host:port` addresses; `fields` are its further keys."""
    return {"job_name": name, "static_configs": [{"targets": addresses}], **fields}


@asynccontextmanager
async def running_prometheus(
    directory: Path,
    *jobs: Mapping[str, object],
    scrape_interval: str = "200ms",
    config: Mapping[str, object] | None = None,
    flags: Sequence[str] = (),
) -> AsyncIterator[Prometheus]:
    """
    Run Prometheus with its data and log in `directory` until the block is left.

    `config` adds top-level keys (`rule_files`, `alerting`), `flags` command line arguments.
    Rules are evaluated at the scrape interval.
    """
    intervals = {"scrape_interval": scrape_interval, "evaluation_interval": scrape_interval}
    content = {"global": intervals, "scrape_configs": jobs, **(config or {})}
    file = directory / "prometheus.json"
    file.write_text(json.dumps(content))  # YAML reads JSON
    command = [
        str(tool("prometheus")),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'prometheus-data'}",
        "--web.listen-address=127.0.0.1:0",
        *flags,
    ]
    async with running_program(command, directory / "prometheus.log") as program:
        url = f"http://{await program.listening()}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30.0) as client:
            prometheus = Prometheus(program, client)
            await prometheus.ready()
            yield prometheus
