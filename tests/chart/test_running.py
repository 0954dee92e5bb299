"""Rendered pods, run: probes succeed, and `helm test` finds problems."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from emulator import running
from tests.chart.chart import INSTALLED, VALUES, Rendered, render, values_of
from tests.chart.pods import laid_out
from tests.chart.stateful_set import on_host
from tests.cli.process import (
    COMMAND,
    KEY,
    PATIENCE_SECONDS,
    Daemon,
    frozen_emulator,
    run,
    serving,
)

pytestmark = pytest.mark.anyio

# Nothing listens there: what is asked here is the exporter alone.
NOBODY = "http://127.0.0.1:1"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def release_of(name: str, **hub: Any) -> Rendered:  # noqa: ANN401 - they are any YAML
    """Render a file of the matrix with another hub."""
    own = {"url": NOBODY, **hub}
    return render({**values_of(VALUES[0].parent / f"{name}.yaml"), "hubs": {"orders": own}})


@asynccontextmanager
async def started(release: Rendered, folder: Path) -> AsyncIterator[Daemon]:
    """Run the exporter's container on a free port of loopback."""
    pod = laid_out(release, release.workload["spec"]["template"]["spec"], folder)
    environ = dict(pod.environ)
    del environ["DURABLE_EXPORTER_LISTEN_ADDRESS"]
    workload = release.workload
    # A pod of a StatefulSet knows its shard by its name.
    name = workload["metadata"]["name"]
    by = on_host(f"{name}-0") if workload["kind"] == "StatefulSet" else ()
    async with serving(*pod.arguments[1:], environ=environ, by=by) as daemon:
        yield daemon


@asynccontextmanager
async def demo(environ: Mapping[str, str]) -> AsyncIterator[str]:
    """Run the demo on a free port of loopback; yield its page's address."""
    command = [*COMMAND, "demo", "--listen-address", "127.0.0.1:0"]
    process = await anyio.open_process(command, env=dict(environ))
    try:
        said = ""
        assert process.stdout is not None
        with anyio.fail_after(PATIENCE_SECONDS):
            while not (found := re.search(r"status page +(http://\S+)/\n", said)):
                said += (await process.stdout.receive()).decode()
        yield found[1]
    finally:
        process.terminate()
        with anyio.CancelScope(shield=True):
            await process.aclose()


async def ask(daemon: Daemon, scheme: str, path: str) -> int:
    """Request as a kubelet does: without a certificate, and without verifying one."""
    async with httpx.AsyncClient(verify=False, timeout=60) as http:
        return (await http.get(f"{scheme}://127.0.0.1:{daemon.port}{path}")).status_code


@pytest.mark.parametrize("name", ["one-hub", "tls-and-passwords", "no-state"])
async def test_a_kubelet_gets_its_probes_answered(name: str, tmp_path: Path) -> None:
    release = release_of(name)
    async with started(release, tmp_path) as daemon:
        for probe in PROBES:
            request = release.exporter[probe]["httpGet"]
            assert await ask(daemon, request["scheme"].lower(), request["path"]) == 200


async def test_a_kubelet_without_a_certificate_looks_at_the_port_alone(tmp_path: Path) -> None:
    release = release_of("client-certificates")
    async with started(release, tmp_path) as daemon:
        for probe in PROBES:
            assert release.exporter[probe]["tcpSocket"] == {"port": "https"}
        async with await anyio.connect_tcp("127.0.0.1", daemon.port):
            pass
        with pytest.raises(httpx.TransportError):
            await ask(daemon, "https", "/-/healthy")


async def test_whoever_scrapes_needs_the_password_of_the_web_configuration(tmp_path: Path) -> None:
    release = release_of("tls-and-passwords")
    (endpoint,) = release.one("ServiceMonitor")["spec"]["endpoints"]
    async with started(release, tmp_path) as daemon:
        assert await ask(daemon, endpoint["scheme"], endpoint["path"]) == 401


async def test_a_monitor_finds_metrics_where_it_looks(tmp_path: Path) -> None:
    release = release_of("two-hubs-existing-secrets")
    (endpoint,) = release.one("ServiceMonitor")["spec"]["endpoints"]
    async with started(release, tmp_path) as daemon:
        assert await ask(daemon, endpoint["scheme"], endpoint["path"]) == 200


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [(KEY, 0, "all hubs answer"), ("wrong-key", 1, "1 of 1 hubs failed")],
)
async def test_the_pod_of_helm_test_says_whether_every_hub_answers(
    key: str, code: int, words: str, tmp_path: Path
) -> None:
    async with running(frozen_emulator()) as url:
        release = release_of("keys-in-values", url=url, task_hub="OrdersHub", key=key)
        pod = laid_out(release, release.one("Pod")["spec"], tmp_path)
        outcome = await run(*pod.arguments, environ=pod.environ)
    assert outcome.code == code, outcome.out + outcome.err
    assert words in outcome.out


@pytest.mark.parametrize("path", INSTALLED, ids=lambda path: path.stem)
async def test_a_pod_that_is_installed_to_try_the_chart_is_ready(
    path: Path, tmp_path: Path
) -> None:
    release = render(values_of(path))
    probe = release.exporter["readinessProbe"]["httpGet"]
    if values_of(path) == {}:
        async with demo({}) as url, httpx.AsyncClient(timeout=60) as http:
            assert (await http.get(f"{url}{probe['path']}")).status_code == 200
        return
    async with started(release, tmp_path) as daemon:
        assert await ask(daemon, probe["scheme"].lower(), probe["path"]) == 200


async def test_without_values_the_demo_runs_and_its_service_answers(tmp_path: Path) -> None:
    release = render({})
    pod = laid_out(release, release.workload["spec"]["template"]["spec"], tmp_path)
    command, option, address = pod.arguments
    assert (command, option, address) == ("demo", "--listen-address", ":10771")
    # It writes where it may: the rest of the file system is read-only.
    assert Path(pod.environ["TMPDIR"]).is_relative_to(tmp_path)
    (check,) = release.of_kind("Pod")
    asked = check["spec"]["containers"][0]["args"]
    service = release.one("Service")["metadata"]
    port = release.one("Service")["spec"]["ports"][0]["port"]
    host = f"{service['name']}.{service['namespace']}.svc"
    assert asked == ["healthy", "--listen-address", f"{host}:{port}"]
    async with demo(pod.environ) as url, httpx.AsyncClient(timeout=60) as http:
        assert "durable_functions_up" in (await http.get(f"{url}/metrics")).text
        place = url.removeprefix("http://").replace("127.0.0.1", "localhost")
        outcome = await run(*asked[:-1], place, environ={})
        assert outcome.code == 0, outcome.out + outcome.err


async def test_a_hub_more_is_polled_by_the_pod_that_runs(tmp_path: Path) -> None:
    def release(*names: str) -> Rendered:
        hubs = {name: {"url": f"{NOBODY}/{name}", "key": f"key-of-{name}"} for name in names}
        return render({"hubs": hubs, "settings": {"reload_interval": "0.1s"}})

    before, after = release("orders"), release("orders", "billing")
    assert before.workload == after.workload
    pod, new = tmp_path / "pod", tmp_path / "new"
    for folder in (pod, new):
        folder.mkdir()
    async with started(before, pod) as daemon:
        laid_out(after, after.workload["spec"]["template"]["spec"], new)
        # As the kubelet would, sooner or later, and in any order.
        for path in sorted(new.rglob("*")):
            if path.is_file() and path.parent != new:
                text = path.read_text(encoding="utf-8").replace(str(new), str(pod))
                (pod / path.relative_to(new)).write_text(text, encoding="utf-8")
        reloaded = await daemon.until("configuration reloaded")
        assert reloaded["added"] == ["billing"]
        assert daemon.process.returncode is None
