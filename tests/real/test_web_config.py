"""The web configuration before real clients: curl and a Prometheus that scrapes all the while."""

from __future__ import annotations

import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx
import pytest

from emulator import running
from tests.certificates import EXPIRED, Authority
from tests.cli.process import KEY, Daemon, frozen_emulator, serving
from tests.real.polling import poll
from tests.real.prometheus import Prometheus, running_prometheus, scrape_job
from tests.tools import tool
from tests.web.test_passwords import hashed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prometheus_at_hand")]

HOST = "127.0.0.1"
ALICE = {"username": "alice", "password": "wonderland"}
RELOADED = "configuration reloaded"
REFUSED = "configuration refused, keeping the previous one"


@dataclass
class Scene:
    """An exporter over TLS that wants to see certificates and passwords, and who comes to it."""

    folder: Path
    daemon: Daemon
    authority: Authority

    @property
    def address(self) -> str:
        return f"{HOST}:{self.daemon.port}"

    def job(
        self, name: str, client: str | None = "client", auth: Mapping[str, str] | None = ALICE
    ) -> dict[str, object]:
        """Return a scrape job that shows a certificate and a password, or neither."""
        tls = {"ca_file": str(self.folder / "ca.pem")}
        if client is not None:
            tls |= {
                "cert_file": str(self.folder / f"{client}.crt"),
                "key_file": str(self.folder / f"{client}.key"),
            }
        more = {} if auth is None else {"basic_auth": auth}
        return scrape_job(name, self.address, scheme="https", tls_config=tls, **more)


def web_config(password: str = "wonderland") -> str:
    return (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
        "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
        "http_server_config:\n  headers: {X-Frame-Options: deny}\n"
        f"basic_auth_users:\n  alice: {hashed(password)}\n"
    )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    authority = Authority(tmp_path)
    authority.sign("server", HOST)
    authority.sign("client", "prometheus.example")
    authority.sign("expired", "prometheus.example", expires=EXPIRED)
    (tmp_path / "web.yml").write_text(web_config())
    (tmp_path / "exporter.yaml").write_text("{}")
    async with running(frozen_emulator()) as url:
        environ = {
            "DURABLE_EXPORTER_URL": url,
            "DURABLE_EXPORTER_TASK_HUB": "OrdersHub",
            "DURABLE_EXPORTER_KEY": KEY,
            "DURABLE_EXPORTER_WEB_CONFIG_FILE": str(tmp_path / "web.yml"),
            "DURABLE_EXPORTER_CONFIG_FILE": str(tmp_path / "exporter.yaml"),
            "DURABLE_EXPORTER_RELOAD_INTERVAL": "30s",
        }
        async with serving(environ=environ) as daemon:
            yield Scene(tmp_path, daemon, authority)


@dataclass(frozen=True)
class Answer:
    """What curl printed, and how it ended."""

    exit_code: int
    status: int
    text: str


async def curl(scene: Scene, path: str, *options: str, client: str | None = "client") -> Answer:
    """Ask with curl; the exit code is 0 for any answer."""
    shown = [] if client is None else ["--cert", f"{client}.crt", "--key", f"{client}.key"]
    done = await anyio.run_process(
        [
            str(tool("curl")), "--silent", "--include", "--max-time", "20", "--cacert", "ca.pem",
            *shown, *options, "--write-out", "\n%{http_code}", f"https://{scene.address}{path}",
        ],
        check=False,
        cwd=scene.folder,
        env={},
    )  # fmt: skip
    text, _, status = done.stdout.decode().rpartition("\n")
    return Answer(done.returncode, int(status), text)


class TestCurl:
    async def test_it_comes_in_with_certificate_and_password(self, scene: Scene) -> None:
        answer = await curl(scene, "/metrics", "--user", "alice:wonderland")
        assert (answer.exit_code, answer.status) == (0, 200)
        assert "durable_functions_up{" in answer.text
        assert "x-frame-options: deny" in answer.text.lower()

    async def test_a_wrong_password_or_none_is_refused(self, scene: Scene) -> None:
        for options in ((), ("--user", "alice:wrong"), ("--user", "bob:wonderland")):
            assert (await curl(scene, "/metrics", *options)).status == 401
        assert (await curl(scene, "/-/healthy")).status == 200

    @pytest.mark.parametrize("client", [None, "expired"])
    async def test_without_a_valid_certificate_nothing_is_answered(
        self, scene: Scene, client: str | None
    ) -> None:
        for path in ("/metrics", "/-/healthy"):
            answer = await curl(scene, path, "--user", "alice:wonderland", client=client)
            assert answer.exit_code != 0
            assert answer.status == 0

    async def test_versions_that_are_no_longer_safe_are_refused(self, scene: Scene) -> None:
        old = await curl(scene, "/-/healthy", "--tls-max", "1.1")
        new = await curl(scene, "/-/healthy", "--tlsv1.3")
        assert (old.exit_code != 0, new.status) == (True, 200)

    async def test_it_refuses_an_expired_certificate_that_was_rotated_in(
        self, scene: Scene
    ) -> None:
        scene.authority.sign("server", HOST, expires=EXPIRED)
        scene.daemon.process.send_signal(signal.SIGHUP)
        await scene.daemon.until(RELOADED)
        refused = await curl(scene, "/-/healthy")
        assert refused.exit_code == 60
        scene.authority.sign("server", HOST)
        scene.daemon.process.send_signal(signal.SIGHUP)
        await poll(
            lambda: curl(scene, "/-/healthy"), lambda answer: answer.status == 200, within=60
        )

    async def test_an_oversized_request_gets_an_answer(self, scene: Scene) -> None:
        user = ("--user", "alice:wonderland")
        long_path = await curl(scene, "/" + "a" * 50_000, *user)
        long_header = await curl(scene, "/", *user, "--header", "x: " + "a" * 50_000)
        assert 400 <= long_path.status < 500
        assert 400 <= long_header.status < 500


class TestPrometheus:
    async def test_it_scrapes_with_certificate_and_password_and_not_without(
        self, scene: Scene, tmp_path: Path
    ) -> None:
        jobs = [
            scene.job("right"),
            scene.job("wrong-password", auth={**ALICE, "password": "wrong"}),
            scene.job("no-password", auth=None),
            scene.job("no-certificate", client=None),
            scene.job("expired", client="expired"),
        ]
        async with running_prometheus(tmp_path, *jobs) as prometheus:
            await prometheus.wait_until("count(scrape_duration_seconds) == 5")
            await prometheus.wait_until('durable_functions_up{job="right"} == 1')
            targets = {target.labels["job"]: target for target in await prometheus.targets()}
        assert {name for name, each in targets.items() if each.health == "up"} == {"right"}
        assert "401" in targets["wrong-password"].last_error
        assert "401" in targets["no-password"].last_error

    async def test_no_scrape_fails_while_everything_is_reloaded(
        self, scene: Scene, tmp_path: Path
    ) -> None:
        # Many scrapers, since each waits for an answer no longer than until its next scrape.
        jobs = [scene.job(f"scraper{number}") for number in range(12)]
        async with running_prometheus(tmp_path, *jobs, scrape_interval="3s") as there:
            await there.wait_until("count(up == 1) == 12")
            for turn in range(30):
                await change(scene, turn)
            await there.wait_until("sum(count_over_time(up[10m])) > 30")
            await no_scrape_failed(there)
            await there.wait_until('count(durable_functions_up{task_hub="hub29"}) == 12')
            await there.wait_until('absent(durable_functions_up{task_hub="hub28"})')


async def change(scene: Scene, turn: int) -> None:
    """Rotate the certificate, replace a hub, or break the file."""
    if turn % 5 == 4:
        (scene.folder / "exporter.yaml").write_text("hubs: [")
    elif turn % 5 == 2:
        scene.authority.sign("server", HOST)
    hub = f"hubs: {{hub{turn}: {{url: 'http://127.0.0.1:9'}}}}\n"
    if turn % 5 != 4:
        (scene.folder / "exporter.yaml").write_text(hub)
    scene.daemon.process.send_signal(signal.SIGHUP)
    await scene.daemon.until(REFUSED if turn % 5 == 4 else RELOADED)
    if turn % 5 == 4:
        (scene.folder / "exporter.yaml").write_text(hub)
        scene.daemon.process.send_signal(signal.SIGHUP)
        await scene.daemon.until(RELOADED)


async def no_scrape_failed(prometheus: Prometheus) -> None:
    assert await prometheus.query("min_over_time(up[10m]) < 1") == []


async def test_httpx_comes_in_too(scene: Scene) -> None:
    trust = ssl.create_default_context(cafile=scene.folder / "ca.pem")
    trust.load_cert_chain(scene.folder / "client.crt", scene.folder / "client.key")
    async with httpx.AsyncClient(
        base_url=f"https://{scene.address}", verify=trust, trust_env=False
    ) as client:
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/metrics", auth=("alice", "wonderland"))).status_code == 200
