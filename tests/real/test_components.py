"""The real components work here, and refuse what they should."""

import gzip
import os
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from tests import tools
from tests.real.classic_format import classic_format
from tests.real.polling import NeverHappened
from tests.real.program import GRACE_SECONDS, ProgramEnded, running_program
from tests.real.prometheus import (
    Prometheus,
    QueryRefused,
    Sample,
    running_prometheus,
    scrape_job,
)
from tests.real.promtool import Findings, check_metrics

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a target with a gauge of 42 and a counter of 7 listens."""
    registry = CollectorRegistry()
    Gauge("queue_length", "Jobs that wait.", ["queue"], registry=registry).labels("a").set(42)
    Counter("jobs", "Jobs that are done.", registry=registry).inc(7)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
async def prometheus(
    address: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """One that scrapes the target in both formats."""
    with classic_format(address) as classic_address:
        jobs = [scrape_job("openmetrics", address), scrape_job("classic", classic_address)]
        async with running_prometheus(tmp_path_factory.mktemp("real"), *jobs) as running:
            yield running


class TestPrometheus:
    @pytest.mark.parametrize("job", ["openmetrics", "classic"])
    async def test_scrapes_the_target(self, prometheus: Prometheus, job: str) -> None:
        [(labels, value)] = await prometheus.wait_until(f'queue_length{{job="{job}"}}')

        assert value == 42
        assert labels["queue"] == "a"

    @pytest.mark.parametrize(
        ("job", "counter"), [("openmetrics", "jobs"), ("classic", "jobs_total")]
    )
    async def test_reads_the_format_that_was_asked_for(
        self, prometheus: Prometheus, job: str, counter: str
    ) -> None:
        await prometheus.wait_until(f'jobs_total{{job="{job}"}} == 7')

        families = await prometheus.metadata(job)

        assert families[counter] == "counter"
        assert len({"jobs", "jobs_total"} & families.keys()) == 1

    async def test_knows_its_targets(self, prometheus: Prometheus) -> None:
        await prometheus.wait_until("count(up == 1) == 2")

        targets = await prometheus.targets()

        assert {target.labels["job"]: target.health for target in targets} == {
            "openmetrics": "up",
            "classic": "up",
        }

    async def test_evaluates_at_a_given_time(self, prometheus: Prometheus) -> None:
        assert await prometheus.query("time()", time=1000.5) == [Sample({}, 1000.5)]
        assert await prometheus.query("vector(time())", time=1000.5) == [Sample({}, 1000.5)]
        assert await prometheus.query("up", time=1000.5) == []

    @pytest.mark.parametrize("expr", ["sum(", '"text"', "up[1m]"])
    async def test_refuses_what_is_no_instant_query(
        self, prometheus: Prometheus, expr: str
    ) -> None:
        with pytest.raises(QueryRefused):
            await prometheus.query(expr)

    async def test_says_what_it_last_saw_when_nothing_happens(self, prometheus: Prometheus) -> None:
        with pytest.raises(NeverHappened, match="last reading") as caught:
            await prometheus.wait_until("vector(1) == 2", within=0.2)

        assert "vector(1) == 2" in caught.value.__notes__[0]

    async def test_shows_its_log_when_it_does_not_start(self, tmp_path: Path) -> None:
        with pytest.raises(ProgramEnded) as caught:
            async with running_prometheus(tmp_path, {"no_such_field": 1}):
                pass

        assert "no_such_field" in caught.value.__notes__[0]

    async def test_is_gone_when_the_block_is_left(self, tmp_path: Path) -> None:
        async with running_prometheus(tmp_path) as prometheus:
            pid = prometheus.program.pid
            os.kill(pid, 0)

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    async def test_sees_that_a_target_is_down(self, tmp_path: Path) -> None:
        with classic_format("127.0.0.1:1") as nobody:
            async with running_prometheus(tmp_path, scrape_job("down", nobody)) as prometheus:
                await prometheus.wait_until('up{job="down"} == 0')
                [target] = await prometheus.targets()

        assert "502" in target.last_error


class TestProgram:
    async def test_is_killed_when_it_ignores_the_request_to_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tests.real.program.GRACE_SECONDS", GRACE_SECONDS / 100)
        announce = (
            'trap "" TERM; echo msg=\\"Listening on\\" address=here; while :; do read x; done'
        )
        with (tmp_path / "stubborn").open("w") as script:
            script.write(announce)
        async with running_program(["sh", script.name], tmp_path / "stubborn.log") as program:
            assert await program.listening() == "here"
            assert program.name == "stubborn"

        with pytest.raises(ProcessLookupError):
            os.kill(program.pid, 0)


class TestClassicFormat:
    def test_changes_nothing_but_the_accept_header(self, address: str) -> None:
        wants = {"Accept": "application/openmetrics-text", "Accept-Encoding": "gzip"}
        with classic_format(address) as classic_address:
            request = urllib.request.Request(f"http://{classic_address}/metrics", headers=wants)
            with urllib.request.urlopen(request, timeout=10) as answer:
                content_type, body = answer.headers["Content-Type"], answer.read()

        assert content_type.startswith("text/plain; version=0.0.4")
        assert b"# EOF" not in gzip.decompress(body)


class TestPromtool:
    def test_accepts_what_follows_the_conventions(self) -> None:
        check_metrics(b"# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\njobs_total 7\n")

    @pytest.mark.parametrize(
        ("text", "finding"),
        [
            (b"# HELP jobs Jobs done.\n# TYPE jobs counter\njobs 7\n", "_total"),
            (b"# TYPE queue_length gauge\nqueue_length 7\n", "help"),
            (b"queue_length{ 7\n", "parsing"),
        ],
    )
    def test_refuses_what_does_not(self, text: bytes, finding: str) -> None:
        with pytest.raises(Findings, match=finding):
            check_metrics(text)


class TestMissingTools:
    @pytest.fixture(autouse=True)
    def _nothing_is_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tools, "UNPACKED", tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv(tools.REQUIRE_TOOLS, raising=False)

    @pytest.mark.parametrize("name", tools.PACKAGES)
    def test_skip_with_the_name_of_the_package(self, name: str) -> None:
        with pytest.raises(pytest.skip.Exception, match=f"package {tools.PACKAGES[name]}"):
            tools.tool(name)

    def test_fail_where_they_are_required(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(tools.REQUIRE_TOOLS, "1")

        with pytest.raises(pytest.fail.Exception, match="package prometheus"):
            tools.tool("promtool")
