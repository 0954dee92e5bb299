"""A running exporter follows its files: all of a change, or none."""

from __future__ import annotations

import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from emulator import running
from exporter.cli.reloading import Reloading
from exporter.collector.service import open_collector
from exporter.settings import Settings, load_settings
from tests.certificates import Authority
from tests.cli.process import KEY, Daemon, frozen_emulator, run, serving
from tests.web.test_passwords import hashed

pytestmark = pytest.mark.anyio

HOST = "127.0.0.1"
FORMER = "setting was renamed"
RELOADED = "configuration reloaded"
REFUSED = "configuration refused, keeping the previous one"
SUCCESSFUL = "durable_functions_exporter_config_last_reload_successful"
TIMESTAMP = "durable_functions_exporter_config_last_reload_timestamp_seconds"


class Configured:
    """A configuration file with hubs of one emulator, and the files beside it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.path = folder / "exporter.yaml"
        self.url = url

    def say(self, *hubs: str, more: str = "") -> None:
        """Rewrite the file, as an editor does."""
        lines = [f"  {hub}: {{url: {self.url}, task_hub: {hub}}}" for hub in hubs]
        text = "\n".join([f"keys_dir: {self.folder / 'keys'}", "hubs:", *lines, more, ""])
        temporary = self.folder / "exporter.yaml.tmp"
        temporary.write_text(text)
        temporary.replace(self.path)

    def say_one_hub(self, key_file: Path) -> dict[str, str]:
        """Write the file for one hub; returns the environment that names the rest."""
        self.path.write_text(f"key_file: {key_file}\n")
        return {"URL": self.url, "NAME": "mounted"}

    def environ(self, **more: str) -> dict[str, str]:
        return {
            f"DURABLE_EXPORTER_{name}": value
            for name, value in {
                "CONFIG_FILE": str(self.path),
                "RELOAD_INTERVAL": "0.1s",
                "INTERVALS__ACTIVE": "0.2s",
                "RETRIES__MAX_RETRIES": "0",
                **more,
            }.items()
        }


@pytest.fixture
async def configured(tmp_path: Path) -> AsyncIterator[Configured]:
    async with running(frozen_emulator(hub_names=("OrdersHub", "BillingHub"))) as url:
        keys = tmp_path / "keys"
        keys.mkdir()
        for hub in ("OrdersHub", "BillingHub", "Another"):
            (keys / hub).write_text(KEY)
        yield Configured(tmp_path, url)


def base(daemon: Daemon, scheme: str = "http") -> str:
    return f"{scheme}://{HOST}:{daemon.port}"


async def metrics(daemon: Daemon) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{base(daemon)}/metrics")).text


def value(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def hubs_in(text: str) -> set[str]:
    start = 'durable_functions_up{task_hub="'
    return {
        line.removeprefix(start).partition('"')[0]
        for line in text.splitlines()
        if line.startswith(start)
    }


class TestTheFile:
    async def test_hubs_come_and_go_without_a_restart(self, configured: Configured) -> None:
        configured.say("OrdersHub", "BillingHub")
        async with serving(environ=configured.environ()) as daemon:
            await daemon.until("hub is up")
            before = await metrics(daemon)
            assert hubs_in(before) == {"OrdersHub", "BillingHub"}
            assert value(before, SUCCESSFUL) == 1.0
            configured.say("OrdersHub", "Another")
            event = await daemon.until(RELOADED)
            assert (event["added"], event["removed"], event["changed"]) == (
                ["Another"], ["BillingHub"], [],
            )  # fmt: skip
            after = await metrics(daemon)
            assert hubs_in(after) == {"OrdersHub", "Another"}
            assert "BillingHub" not in after
            assert value(after, TIMESTAMP) > value(before, TIMESTAMP)

    async def test_whatever_stands_in_it_polling_goes_on_and_the_log_does_not_show_it(
        self, configured: Configured
    ) -> None:
        tag, alias, list_as_key = "hubs: !!map q7Jw", "hubs: *q7Jw", "? [q7Jw]\n: b"
        no_text, unknown_tag = "\0q7Jw", "hubs: !q7Jw {}"
        configured.say("OrdersHub")
        async with serving(environ=configured.environ()) as daemon:
            await daemon.until("hub is up")
            for text in (tag, alias, list_as_key, no_text, unknown_tag):
                configured.path.write_text(text)
                await daemon.until(REFUSED)
                assert hubs_in(await metrics(daemon)) == {"OrdersHub"}
                configured.say("OrdersHub", "Another")
                await daemon.until(RELOADED)
                configured.say("OrdersHub")
                await daemon.until(RELOADED)
            assert "q7Jw" not in daemon.log

    async def test_a_former_name_is_a_warning_once_also_where_a_reload_brings_it(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        async with serving(environ=configured.environ(PAGE_SIZE="100")) as daemon:
            configured.say("OrdersHub", "Another", more="label_limit: 100")
            await daemon.until(RELOADED)
            configured.say("OrdersHub", more="label_limit: 100")
            await daemon.until(RELOADED)
        warnings = [each for each in daemon.events if each["event"] == FORMER]
        assert [(each["level"], each["setting"]) for each in warnings] == [
            ("warning", "DURABLE_EXPORTER_PAGE_SIZE"),
            ("warning", f"{configured.path}: label_limit"),
        ]

    async def test_one_that_cannot_be_used_changes_nothing_and_is_said_once(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        async with serving(environ=configured.environ()) as daemon:
            loaded = value(await metrics(daemon), TIMESTAMP)
            configured.say("OrdersHub", "Another", more="log_level: chatty\nmax_page_size: 0")
            event = await daemon.until(REFUSED)
            problems = str(event["problems"])
            assert f"{configured.path}: log_level: is not known" in problems
            assert f"{configured.path}: max_page_size: is too small" in problems
            text = await metrics(daemon)
            assert hubs_in(text) == {"OrdersHub"}
            assert (value(text, SUCCESSFUL), value(text, TIMESTAMP)) == (0.0, loaded)
            configured.say("OrdersHub", "Another")
            await daemon.until(RELOADED)
            text = await metrics(daemon)
            assert hubs_in(text) == {"OrdersHub", "Another"}
            assert value(text, SUCCESSFUL) == 1.0
            assert daemon.log.count(REFUSED) == 1

    async def test_a_missing_part_is_waited_for(self, configured: Configured) -> None:
        """A configuration refused for a missing file is applied once the file exists."""
        configured.say("OrdersHub")
        async with serving(environ=configured.environ()) as daemon:
            late = configured.folder / "late.pem"
            configured.say("OrdersHub", more=f"tls: {{ca_file: {late}}}")
            await daemon.until(REFUSED)
            late.write_bytes(Authority(configured.folder).pem)
            event = await daemon.until(RELOADED)
            assert event["changed"] == ["OrdersHub"]

    async def test_what_a_running_process_cannot_change_is_refused(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        async with serving(environ=configured.environ()) as daemon:
            configured.say("Another", more=f"state_dir: {configured.folder}")
            event = await daemon.until(REFUSED)
            assert event["problems"] == [
                "state_dir: needs a restart: restart the exporter, or restore the previous value"
            ]
            assert hubs_in(await metrics(daemon)) == {"OrdersHub"}


class TestOnDemand:
    async def test_a_signal_reloads_at_once(self, configured: Configured) -> None:
        configured.say("OrdersHub")
        environ = configured.environ(RELOAD_INTERVAL="30s")
        async with serving(environ=environ) as daemon:
            await daemon.until("hub is up")
            configured.say("OrdersHub", "Another")
            daemon.process.send_signal(signal.SIGHUP)
            assert (await daemon.until(RELOADED))["added"] == ["Another"]
            configured.path.write_text("hubs: [")
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.until(REFUSED)
            assert hubs_in(await metrics(daemon)) == {"OrdersHub", "Another"}
            daemon.process.send_signal(signal.SIGTERM)
            assert await daemon.process.wait() == 0

    async def test_a_request_reloads_only_where_that_is_allowed(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        environ = configured.environ(RELOAD_INTERVAL="30s")
        async with (
            serving(environ=environ) as daemon,
            httpx.AsyncClient(base_url=base(daemon), trust_env=False) as client,
        ):
            refusal = await client.post("/-/reload")
            assert (refusal.status_code, "allow_reload" in refusal.text) == (403, True)
            assert (await client.get("/-/reload")).status_code == 405
            configured.say("OrdersHub", more="allow_reload: true")
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.until(RELOADED)
            configured.say("OrdersHub", "Another", more="allow_reload: true")
            done = await client.post("/-/reload")
            assert (done.status_code, done.text) == (200, "reloaded\n")
            assert hubs_in((await client.get("/metrics")).text) == {"OrdersHub", "Another"}
            configured.say("OrdersHub", more="allow_reload: perhaps")
            wrong = await client.post("/-/reload")
            assert wrong.status_code == 500
            assert wrong.text == (
                f"{configured.path}: allow_reload: is not true or false: write one of them\n"
            )


def mount(folder: Path, number: int, **contents: str | bytes) -> None:
    """Mount a secret, or a new version of it, as Kubernetes does: by swapping `..data`."""
    version = folder / f"..version_{number}"
    version.mkdir(parents=True)
    for name, content in contents.items():
        data = content.encode() if isinstance(content, str) else content
        (version / name.replace("_", ".")).write_bytes(data)
        link = folder / name.replace("_", ".")
        if not link.is_symlink():
            link.symlink_to(Path("..data") / link.name)
    (folder / "..data_tmp").symlink_to(version.name)
    (folder / "..data_tmp").replace(folder / "..data")
    for old in folder.glob("..version_*"):
        if old != version:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


class TestSecrets:
    async def test_a_rotated_key_is_taken_up(self, configured: Configured) -> None:
        secret = configured.folder / "secret"
        mount(secret, 1, key="wrong")
        one_hub = configured.say_one_hub(secret / "key")
        environ = configured.environ(RELOAD_INTERVAL="30s", **one_hub)
        async with serving(environ=environ) as daemon:
            down = await daemon.until("hub is down")
            assert down["kind"] == "auth"
            mount(secret, 2, key=KEY)
            # The API refuses what there is, so that the file is read again at once.
            await daemon.until("hub is up")

    async def test_a_rotated_key_is_taken_up_before_the_old_one_is_refused(
        self, configured: Configured
    ) -> None:
        secret = configured.folder / "secret"
        mount(secret, 1, key=KEY)
        environ = configured.environ(**configured.say_one_hub(secret / "key"))
        async with serving(environ=environ) as daemon:
            await daemon.until("hub is up")
            mount(secret, 2, key="not-yet-valid")
            event = await daemon.until(RELOADED)
            assert (event["keys"], event["changed"]) == (["mounted"], [])
            assert (await daemon.until("hub is down"))["kind"] == "auth"
            mount(secret, 3, key=KEY)
            await daemon.until("hub is up")
            assert "not-yet-valid" not in daemon.log
            assert KEY not in daemon.log

    async def test_a_key_that_is_none_is_refused_and_the_old_one_goes_on(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        async with serving(environ=configured.environ()) as daemon:
            await daemon.until("hub is up")
            (configured.folder / "keys" / "OrdersHub").write_text("")
            await daemon.until(REFUSED)
            await daemon.until("sweep complete")
            assert 'durable_functions_up{task_hub="OrdersHub"} 1.0' in await metrics(daemon)


def users_with(password: str) -> str:
    return f"basic_auth_users: {{alice: {hashed(password)}}}\n"


class TestWebConfig:
    @asynccontextmanager
    async def served(
        self, configured: Configured, text: str, **more: str
    ) -> AsyncIterator[tuple[Daemon, Path]]:
        configured.say("OrdersHub")
        path = configured.folder / "web.yml"
        path.write_text(text)
        async with serving(environ=configured.environ(WEB_CONFIG_FILE=str(path), **more)) as daemon:
            yield daemon, path

    async def test_another_password_holds_without_a_restart(self, configured: Configured) -> None:
        users = users_with("one")
        async with (
            self.served(configured, users) as (daemon, path),
            httpx.AsyncClient(base_url=base(daemon), trust_env=False) as client,
        ):
            assert (await client.get("/metrics", auth=("alice", "one"))).status_code == 200
            path.write_text(users_with("two"))
            await daemon.until(RELOADED)
            assert (await client.get("/metrics", auth=("alice", "one"))).status_code == 401
            assert (await client.get("/metrics", auth=("alice", "two"))).status_code == 200

    async def test_a_broken_one_is_refused_as_a_whole(self, configured: Configured) -> None:
        users = users_with("one")
        async with (
            self.served(configured, users) as (daemon, path),
            httpx.AsyncClient(base_url=base(daemon), trust_env=False) as client,
        ):
            path.write_text("basic_auth_users: {}\ntls_server_config: {cert_file: none}\n")
            configured.say("OrdersHub", "Another")
            event = await daemon.until(REFUSED)
            assert "tls_server_config.cert_file cannot be read" in str(event["problems"])
            assert (await client.get("/metrics")).status_code == 401
            answer = await client.get("/metrics", auth=("alice", "one"))
            assert hubs_in(answer.text) == {"OrdersHub"}
            assert value(answer.text, SUCCESSFUL) == 0.0

    async def test_a_broken_one_at_the_start_is_a_wrong_configuration(
        self, configured: Configured
    ) -> None:
        configured.say("OrdersHub")
        path = configured.folder / "web.yml"
        path.write_text("tls_server_config: {min_version: TLS1}\n")
        for command in ("serve", "check"):
            outcome = await run(command, environ=configured.environ(WEB_CONFIG_FILE=str(path)))
            assert outcome.code == 2
            (line,) = outcome.err.splitlines()
            assert line.startswith(f"DURABLE_EXPORTER_WEB_CONFIG_FILE: names '{path}', where ")

    async def test_a_rotated_certificate_is_shown_without_a_restart(
        self, configured: Configured
    ) -> None:
        secret, pems = configured.folder / "tls", configured.folder / "pems"
        pems.mkdir()
        authorities = [Authority(pems, f"ca{number}") for number in range(2)]
        pairs = [each.sign(f"s{number}", HOST) for number, each in enumerate(authorities)]

        def mounted(number: int) -> None:
            cert, key = pairs[number].cert.read_bytes(), pairs[number].key.read_bytes()
            mount(secret, number, tls_crt=cert, tls_key=key)

        def client(number: int) -> httpx.AsyncClient:
            trust = ssl.create_default_context(cafile=authorities[number].file)
            return httpx.AsyncClient(base_url=base(daemon, "https"), verify=trust, trust_env=False)

        mounted(0)
        text = "tls_server_config: {cert_file: tls/tls.crt, key_file: tls/tls.key}\n"
        async with self.served(configured, text) as (daemon, _):
            async with client(0) as first, client(1) as second:
                assert (await first.get("/-/ready")).status_code == 200
                mounted(1)
                await daemon.until(RELOADED)
                assert (await second.get("/-/ready")).status_code == 200
                # Whoever is connected stays so.
                assert (await first.get("/-/ready")).status_code == 200
            async with client(0) as late:
                with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                    await late.get("/-/ready")


async def test_a_defect_in_reading_refuses_the_file_and_does_not_show_it() -> None:
    def load() -> Settings:
        raise TypeError(KEY)

    settings = load_settings({"DURABLE_EXPORTER_URL": "http://localhost:7071"})
    async with open_collector(settings) as collector:
        reloading = Reloading(settings, load, collector)
        with capture_logs() as logs:
            (problem,) = await reloading.reload()
    assert str(problem) == (
        "configuration: cannot be read (TypeError): please report this as a defect"
    )
    assert [entry["event"] for entry in logs] == [REFUSED]
    assert KEY not in str(logs)
