"""`healthy` against servers with each configuration of TLS."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from exporter.cli.conventions import ExitCode
from exporter.cli.healthy import healthy
from exporter.settings import ListenAddress, load_listen_address
from exporter.web.server import listening
from tests.certificates import Authority
from tests.cli.process import run, serving
from tests.web.test_passwords import hashed

pytestmark = pytest.mark.anyio

MINIMAL = {"DURABLE_EXPORTER_URL": "http://127.0.0.1:9", "DURABLE_EXPORTER_LOG_LEVEL": "info"}


async def health(port: int, host: str = "127.0.0.1", **more: str) -> ExitCode:
    environ = {"DURABLE_EXPORTER_LISTEN_ADDRESS": f"{host}:{port}", **more}
    return await anyio.to_thread.run_sync(healthy, environ, {})


@contextmanager
def hanging() -> Iterator[int]:
    """Listen on a port without accepting connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def web_config(folder: Path, **more: object) -> dict[str, str]:
    authority = Authority(folder)
    certificate = authority.sign("server", "exporter.example")
    tls = {"cert_file": certificate.cert, "key_file": certificate.key, **more}
    lines = [f"  {name}: {value}" for name, value in tls.items()]
    file = folder / "web.yaml"
    users = f"basic_auth_users:\n  alice: {hashed('wonderland')}\n"
    file.write_text("\n".join(["tls_server_config:", *lines, users]))
    return {"DURABLE_EXPORTER_WEB_CONFIG_FILE": str(file)}


async def health_of_daemon(environ: Mapping[str, str]) -> ExitCode:
    async with serving(environ={**MINIMAL, **environ}) as daemon:
        return await health(daemon.port)


async def test_an_exporter_that_runs_is_healthy_though_its_hub_is_not() -> None:
    assert await health_of_daemon({}) is ExitCode.OK


async def test_neither_tls_nor_a_password_keeps_it_from_being_seen(tmp_path: Path) -> None:
    assert await health_of_daemon(web_config(tmp_path)) is ExitCode.OK


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
async def test_who_is_turned_away_for_want_of_a_certificate_has_been_answered(
    tmp_path: Path, version: str
) -> None:
    wanted = {
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": tmp_path / "ca.pem",
        "min_version": version,
        "max_version": version,
    }
    assert await health_of_daemon(web_config(tmp_path, **wanted)) is ExitCode.OK


async def test_where_nobody_listens_nothing_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert await health(taken.getsockname()[1]) is ExitCode.HUB_FAILED
    assert "refused" in capsys.readouterr().err


async def test_a_process_that_hangs_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("exporter.cli.healthy._PATIENCE_SECONDS", 0.05)
    with hanging() as port:
        assert await health(port) is ExitCode.HUB_FAILED
    assert "timed out" in capsys.readouterr().err


async def test_a_server_that_says_so_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    async def ill(_request: object) -> PlainTextResponse:
        return PlainTextResponse("ill", status_code=503)

    app = Starlette(routes=[Route("/-/healthy", ill)])
    async with listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server:
        assert await health(server.port) is ExitCode.HUB_FAILED
    assert "503" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1", "localhost"])
async def test_it_asks_where_the_exporter_listens(host: str) -> None:
    async with serving("--listen-address", f"{host}:0", environ=MINIMAL) as daemon:
        assert await health(daemon.port, host) is ExitCode.OK


async def test_a_configuration_that_was_refused_while_it_runs_does_not_matter(
    tmp_path: Path,
) -> None:
    file = tmp_path / "config.yaml"
    async with serving(environ=MINIMAL) as daemon:
        file.write_text(f"listen_address: 127.0.0.1:{daemon.port}\nlimits: nonsense\n")
        environ = {"DURABLE_EXPORTER_CONFIG_FILE": str(file)}
        assert await anyio.to_thread.run_sync(healthy, environ, {}) is ExitCode.OK


async def test_the_command_says_what_is_wrong_with_the_address() -> None:
    outcome = await run("healthy", "--listen-address", "nowhere")
    assert outcome.code == ExitCode.CONFIGURATION
    assert outcome.err.startswith("listen_address is not host:port")


def test_without_anything_said_it_asks_the_default_port() -> None:
    assert load_listen_address({}) == ListenAddress("", 10771)
