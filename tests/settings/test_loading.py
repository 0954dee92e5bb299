"""Sources of settings, and the values they become."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr, ValidationError

from exporter.settings import ListenAddress, load_settings, read_key, suits_azure_storage
from exporter.settings.groups import Tls
from exporter.settings.reference import page as reference_page
from exporter.settings.schema import Document, place_at
from tests.settings.configured import PREFIX, SECRET, URL, load, load_hub, problems, write


class TestPrecedence:
    def test_the_command_line_beats_the_environment_beats_the_file_beats_defaults(
        self, tmp_path: Path
    ) -> None:
        yaml = f"url: {URL}\nintervals: {{active: 1m, census: 2m, entities: 3m}}\noverlap: 4m"
        variables = {"INTERVALS__ACTIVE": "10m", "INTERVALS__CENSUS": "20m"}
        (hub,) = load(variables, yaml, tmp_path, intervals__active="100m").hubs
        assert (hub.intervals.active, hub.intervals.census) == (6000.0, 1200.0)
        assert (hub.intervals.entities, hub.overlap, hub.lookback) == (180.0, 240.0, 7200.0)

    def test_the_command_line_may_name_the_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.yaml", f"url: {URL}")
        settings = load({"CONFIG_FILE": "/does/not/exist"}, config_file=str(path))
        assert settings.config_file == path

    def test_a_hub_beats_the_default_of_all_hubs_whatever_their_places(
        self, tmp_path: Path
    ) -> None:
        yaml = "hubs: {a: {url: https://a, timeouts: {request: 5s}}, b: {url: https://b}}"
        a, b = load({"TIMEOUTS__REQUEST": "9s"}, yaml, tmp_path, timeouts__sweep="1h").hubs
        assert (a.timeouts.request, b.timeouts.request) == (5.0, 9.0)
        assert (a.timeouts.sweep, b.timeouts.sweep) == (3600.0, 3600.0)

    def test_labels_headers_and_limits_merge_and_lists_do_not(self, tmp_path: Path) -> None:
        yaml = """
            labels: {team: all, stage: prod}
            headers: {X-A: default, X-B: default}
            orchestrators: [One, Two]
            limits: {orchestrators: {"*": {idle: 1m}}}
            hubs:
              a:
                url: https://a
                labels: {team: a}
                headers: {x-a: own}
                orchestrators: [Three]
                limits: {orchestrators: {"Process*": {idle: 2m}}}
        """
        (hub,) = load({}, yaml, tmp_path).hubs
        assert hub.labels == {"team": "a", "stage": "prod"}
        assert hub.headers == {"x-a": SecretStr("own"), "x-b": SecretStr("default")}
        assert hub.orchestrators == ("Three",)
        assert hub.limits.for_orchestrator("ProcessOrder")["idle"] == 120.0
        assert hub.limits.for_orchestrator("Other")["idle"] == 60.0

    def test_patterns_of_the_environment_come_before_those_of_the_file(
        self, tmp_path: Path
    ) -> None:
        yaml = f"{{url: {URL}, limits: {{orchestrators: {{'*': {{idle: 1m}}}}}}}}"
        variables = {"LIMITS__ORCHESTRATORS": '{"Process*": {"idle": "2m"}}'}
        (hub,) = load(variables, yaml, tmp_path).hubs
        assert hub.limits.for_orchestrator("ProcessOrder")["idle"] == 120.0

    def test_a_variable_for_a_member_beats_the_json_of_its_group(self) -> None:
        hub = load_hub({"INTERVALS": '{"active": 5, "census": 0}', "INTERVALS__ACTIVE": "7s"})
        assert (hub.intervals.active, hub.intervals.census) == (7.0, 0.0)


class TestHubs:
    @pytest.mark.parametrize("name", ["orders-hub", "sales_app", "1hub", "ab", "a" * 50])
    def test_a_task_hub_of_any_backend_is_taken(self, name: str) -> None:
        assert load_hub({"TASK_HUB": name}).task_hub == name

    @pytest.mark.parametrize(
        ("name", "suits"),
        [("OrdersHub", True), ("orders-hub", False), ("1hub", False), ("ab", False)],
    )
    def test_it_is_known_what_azure_storage_would_refuse(self, name: str, suits: bool) -> None:
        assert suits_azure_storage(name) is suits

    def test_paths_of_the_file_are_relative_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        for folder in ("state", "keys"):
            (tmp_path / folder).mkdir()
        write(tmp_path / "web.yaml", "")
        write(tmp_path / "a.key", "key")
        monkeypatch.chdir(tmp_path / "elsewhere")
        yaml = """
            state_dir: state
            keys_dir: keys
            web_config_file: web.yaml
            hubs: {a: {url: https://a, key_file: a.key}, b: {url: https://b}}
        """
        settings = load({}, yaml, tmp_path)
        a, b = settings.hubs
        assert settings.state_dir == tmp_path / "state"
        assert (a.key_path, b.keys_dir) == (tmp_path / "a.key", tmp_path / "keys")

    def test_every_setting_that_is_a_path_is_known_as_one(self) -> None:
        page = reference_page()
        listed = re.findall(r"^\| `([\w.]+)` \| `[^`]+` \| path of", page, re.MULTILINE)
        typed = {
            f"{group}{name}"
            for group, model in (("", Document), ("tls.", Tls))
            for name, field in model.model_fields.items()
            if re.search(r"\b(Path|WebConfig)\b", repr(field.annotation))
        }
        assert set(listed) == typed
        for name in typed:
            place = place_at(tuple(name.split(".")))
            assert place is not None
            assert place.is_path

    def test_one_flat_hub_is_called_by_name_or_task_hub_or_default(self) -> None:
        assert load_hub({}).name == "default"
        assert load_hub({"TASK_HUB": "Orders"}).name == "Orders"
        assert load_hub({"TASK_HUB": "Orders", "NAME": "o"}).name == "o"

    def test_named_hubs_are_called_in_lower_case_unless_a_name_spells_it(self) -> None:
        hubs = load(
            {"HUBS__A_B__URL": "https://a", "HUBS__B__URL": "https://b", "HUBS__B__NAME": "The B"}
        ).hubs
        assert [hub.name for hub in hubs] == ["a_b", "The B"]

    def test_the_flat_hub_and_named_hubs_are_all_hubs(self) -> None:
        hubs = load({"URL": URL, "HUBS__A__URL": "https://a"}).hubs
        assert [hub.name for hub in hubs] == ["default", "a"]

    def test_a_variable_reaches_the_name_of_the_file_in_any_case(self, tmp_path: Path) -> None:
        yaml = "hubs: {Orders: {url: https://a, limits: {orchestrators: {DoIt: {idle: 1m}}}}}"
        variable = "HUBS__ORDERS__LIMITS__ORCHESTRATORS__DOIT__IDLE"
        (hub,) = load({variable: "2m"}, yaml, tmp_path).hubs
        assert hub.name == "Orders"
        assert hub.limits.for_orchestrator("DoIt")["idle"] == 120.0

    def test_the_name_of_an_orchestrator_in_a_variable_holds_in_any_case(self) -> None:
        hub = load_hub({"LIMITS__ORCHESTRATORS__PROCESSORDER__PENDING": "2m"})
        assert hub.limits.for_orchestrator("ProcessOrder")["pending"] == 120.0

    def test_hubs_of_one_app_differ_by_task_hub_or_connection(self) -> None:
        hubs = load(
            {
                "HUBS__A__URL": URL,
                "HUBS__B__URL": URL,
                "HUBS__B__TASK_HUB": "Other",
                "HUBS__C__URL": URL,
                "HUBS__C__CONNECTION": "OtherStorage",
            }
        ).hubs
        assert len(hubs) == 3

    @pytest.mark.parametrize(
        ("url", "base"),
        [
            (URL, f"{URL}/runtime/webhooks/durabletask"),
            (f"{URL}/", f"{URL}/runtime/webhooks/durabletask"),
            (f"{URL}/runtime/webhooks/durabletask/", f"{URL}/runtime/webhooks/durabletask"),
            ("https://gateway/orders", "https://gateway/orders/runtime/webhooks/durabletask"),
            ("http://localhost:17071/durabletask", "http://localhost:17071/durabletask"),
            ("http://127.1.2.3/DurableTask/", "http://127.1.2.3/DurableTask"),
            ("http://[::1]:7071", "http://[::1]:7071/runtime/webhooks/durabletask"),
            ("HTTPS://Orders:443", "https://orders/runtime/webhooks/durabletask"),
        ],
    )
    def test_any_address_of_the_app_leads_to_its_api(self, url: str, base: str) -> None:
        assert load_hub({"URL": url}).base_url == base

    def test_plain_http_to_other_hosts_must_be_allowed(self) -> None:
        hub = load_hub({"URL": "http://orders", "ALLOW_INSECURE": "true"})
        assert hub.base_url == "http://orders/runtime/webhooks/durabletask"


class TestValues:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            (":10771", ListenAddress("", 10_771)),
            ("127.0.0.1:0", ListenAddress("127.0.0.1", 0)),
            ("[::]:10771", ListenAddress("::", 10_771)),
            ("localhost:80", ListenAddress("localhost", 80)),
        ],
    )
    def test_a_listen_address_is_read_and_spelled_alike(
        self, text: str, address: ListenAddress
    ) -> None:
        found = load({"URL": URL, "LISTEN_ADDRESS": text}).listen_address
        assert (found, str(found)) == (address, text)

    def test_lists_are_separated_by_commas_or_json(self) -> None:
        assert load_hub({"ENTITIES": "counter, cart,"}).entities == ("counter", "cart")
        assert load_hub({"ENTITIES": '["a,b"]'}).entities == ("a,b",)

    def test_bounds_of_buckets_are_durations(self) -> None:
        assert load({"URL": URL, "BUCKETS__AGE": "0.5s,1m,90"}).buckets.age == (0.5, 60.0, 90.0)

    def test_levels_may_be_spelled_in_capitals(self) -> None:
        assert load({"URL": URL, "LOG_LEVEL": "WARNING"}).log_level == "warning"

    def test_an_empty_variable_is_not_set(self, tmp_path: Path) -> None:
        variables = {"URL": URL, "PROXY": "", "INTERVALS__ACTIVE": " ", "CONFIG_FILE": ""}
        (hub,) = load(variables).hubs
        assert (hub.proxy, hub.intervals.active) == (None, 30.0)
        (hub,) = load({"OVERLAP": ""}, f"url: {URL}\noverlap: 3m", tmp_path).hubs
        assert hub.overlap == 180.0

    def test_an_empty_key_of_the_file_is_not_set(self, tmp_path: Path) -> None:
        (hub,) = load({}, f"url: {URL}\nintervals:\noverlap:\nlabels:\nhubs:", tmp_path).hubs
        assert (hub.intervals.active, hub.overlap, hub.labels) == (30.0, 120.0, {})

    def test_an_empty_file_says_nothing(self, tmp_path: Path) -> None:
        assert load({"URL": URL}, "# nothing yet", tmp_path).hubs[0].name == "default"

    def test_anchors_of_the_file_merge(self, tmp_path: Path) -> None:
        yaml = "hubs: {a: &a {url: https://a, overlap: 3m}, b: {<<: *a, url: https://b}}"
        assert [hub.overlap for hub in load({}, yaml, tmp_path).hubs] == [180.0, 180.0]

    def test_variables_that_kubernetes_adds_for_services_are_passed_over(self) -> None:
        load_hub(
            {
                "SERVICE_HOST": "10.0.0.1",
                "SERVICE_PORT": "10771",
                "SERVICE_PORT_HTTP": "10771",
                "PORT": "tcp://10.0.0.1:10771",
                "PORT_10771_TCP": "tcp://10.0.0.1:10771",
                "PORT_10771_TCP_ADDR": "10.0.0.1",
                "METRICS_SERVICE_HOST": "10.0.0.1",
            }
        )
        assert len(problems({"URL": URL, "PORT": "10771"})) == 1

    def test_variables_of_others_are_passed_over(self) -> None:
        environ = {"DURABLE_EXPORTER_URL": URL, "DURABLE_EXPORTERX": "x", "PATH": "/bin"}
        assert load_settings(environ).hubs[0].url == URL

    def test_the_environment_of_the_process_is_not_read(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOG_LEVEL", "error")
        monkeypatch.setenv("DURABLE_EXPORTER_LOG_LEVEL", "error")
        assert load({"URL": URL}).log_level == "info"

    def test_settings_never_change(self) -> None:
        settings = load({"URL": URL})
        with pytest.raises(ValidationError, match="frozen"):
            settings.log_level = "debug"
        with pytest.raises(ValidationError, match="frozen"):
            settings.hubs[0].intervals.active = 1.0


class TestSecrets:
    def test_no_secret_shows_in_what_is_printed(self) -> None:
        settings = load(
            {
                "URL": URL,
                "KEY": SECRET,
                "HEADERS": f'{{"authorization": "{SECRET}"}}',
                "PROXY": f"http://me:{SECRET}@proxy:3128",
            }
        )
        (hub,) = settings.hubs
        for shown in (repr(settings), str(settings), repr(hub), str(hub.model_dump())):
            assert SECRET not in shown
        assert hub.key is not None
        assert hub.key.get_secret_value() == SECRET
        assert hub.headers["authorization"].get_secret_value() == SECRET
        assert hub.proxy is not None
        assert SECRET in hub.proxy.get_secret_value()

    def test_blanks_around_a_key_are_not_part_of_it(self) -> None:
        assert load_hub({"KEY": f" {SECRET}\n"}).key == SecretStr(SECRET)

    @pytest.mark.parametrize(
        "content",
        [
            SECRET.encode(),
            f"  {SECRET}\r\n".encode(),
            f"\ufeff{SECRET}".encode(),
            f'"{SECRET}"\n'.encode(),
            f"'{SECRET}'".encode(),
            SECRET.encode("utf-16"),
            codecs.BOM_UTF16_BE + f"{SECRET}\n".encode("utf-16-be"),
        ],
    )
    def test_what_editors_and_shells_put_around_a_key_is_not_part_of_it(
        self, content: bytes, tmp_path: Path
    ) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        assert read_key(load_hub({"KEY_FILE": str(path)}).key_path or Path()) == SECRET

    def test_quotes_around_a_key_in_a_variable_are_not_part_of_it(self) -> None:
        key = load_hub({"KEY": f'"{SECRET}"'}).key
        assert key is not None
        assert key.get_secret_value() == SECRET

    def test_a_key_at_the_top_is_the_default_of_hubs_without_one(self, tmp_path: Path) -> None:
        own, folder = write(tmp_path / "own.key", "own"), tmp_path / "keys"
        folder.mkdir()
        yaml = f"""
            key: {SECRET}
            hubs:
              a: {{url: https://a}}
              b: {{url: https://b, key_file: own.key}}
              c: {{url: https://c, keys_dir: keys}}
        """
        a, b, c = load({}, yaml, tmp_path).hubs
        assert a.key is not None
        assert a.key.get_secret_value() == SECRET
        assert (b.key, b.key_path) == (None, own)
        assert (c.key, c.keys_dir) == (None, folder)

    def test_a_key_file_at_the_top_is_one_too(self, tmp_path: Path) -> None:
        path = write(tmp_path / "all.key", "key")
        yaml = "key_file: all.key\nhubs: {a: {url: https://a}, b: {url: https://b, key: own}}"
        a, b = load({}, yaml, tmp_path).hubs
        assert (a.key_path, b.key_path) == (path, None)

    def test_a_key_file_is_named_not_kept(self, tmp_path: Path) -> None:
        path = write(tmp_path / "key", f"{SECRET}\n")
        hub = load_hub({"KEY_FILE": str(path)})
        assert (hub.key, hub.key_path) == (None, path)

    def test_the_folder_of_keys_has_a_file_by_the_name_of_the_hub(self, tmp_path: Path) -> None:
        write(tmp_path / "a", SECRET)
        variables = {"HUBS__A__URL": "https://a", "HUBS__B__URL": "https://b"}
        a, b = load({**variables, "KEYS_DIR": str(tmp_path)}).hubs
        assert (a.key_path, b.key_path) == (tmp_path / "a", None)

    def test_a_key_of_the_hub_comes_before_the_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "default", "other")
        hub = load_hub({"KEY": SECRET, "KEYS_DIR": str(tmp_path)})
        assert hub.key_path is None

    def test_a_name_never_leads_out_of_the_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "key", SECRET)
        (tmp_path / "keys").mkdir()
        hub = load_hub({"NAME": "../key", "KEYS_DIR": str(tmp_path / "keys")})
        assert hub.key_path is None


class TestTls:
    def test_authorities_and_a_client_certificate_are_taken(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("client")
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        issued.private_key_pem.write_to_path(tmp_path / "key.pem")
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
        variables = {"TLS__CA_FILE": "ca.pem", "TLS__CLIENT_CERT_FILE": "both.pem"}
        files = {name: str(tmp_path / file) for name, file in variables.items()}
        assert load_hub(files).tls.client_key_file is None
        files["TLS__CLIENT_CERT_FILE"] = str(tmp_path / "cert.pem")
        files["TLS__CLIENT_KEY_FILE"] = str(tmp_path / "key.pem")
        assert load_hub(files).tls.client_key_file == tmp_path / "key.pem"

    def test_a_certificate_needs_the_key_that_belongs_to_it(self, tmp_path: Path) -> None:
        authority = trustme.CA()
        authority.issue_cert("a").cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        authority.issue_cert("b").private_key_pem.write_to_path(tmp_path / "key.pem")
        variables = {"TLS__CLIENT_CERT_FILE": str(tmp_path / "cert.pem")}
        (alone,) = problems({"URL": URL, **variables})
        variables["TLS__CLIENT_KEY_FILE"] = str(tmp_path / "key.pem")
        (mismatched,) = problems({"URL": URL, **variables})
        for line in (alone, mismatched):
            assert "client_cert_file and client_key_file do not match" in line


class TestProfiles:
    def test_a_profile_changes_defaults_and_nothing_that_is_said(self) -> None:
        asleep = load_hub({"PROFILE": "Scale-To-Zero", "INTERVALS__FAILED": "2h"}).intervals
        assert (asleep.active, asleep.failed, asleep.census) == (900.0, 7200.0, 0.0)
        assert load_hub({"PROFILE": "steady"}).intervals == load_hub({}).intervals

    def test_each_hub_may_have_its_own(self) -> None:
        hubs = load(
            {
                "HUBS__A__URL": URL,
                "HUBS__B__URL": f"{URL}/durabletask",
                "HUBS__B__PROFILE": "scale-to-zero",
            }
        ).hubs
        assert [hub.intervals.active for hub in hubs] == [30.0, 900.0]

    def test_an_unknown_one_is_refused(self) -> None:
        (line,) = problems({"URL": URL, "PROFILE": "sleepy"})
        assert line.startswith(f"{PREFIX}PROFILE: ")


class TestIdPrefixes:
    def test_guid_is_every_hexadecimal_digit(self) -> None:
        prefixes = load_hub({"ID_PREFIXES": "guid,order-"}).id_prefixes
        assert prefixes == (*"0123456789abcdef", "order-")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a,ab", "which begins with 'a'"),
            ("a,a", "which begins with 'a'"),
            ("guid,face-", "which begins with 'f'"),
            ("50%", "without %, _ and ["),
            ("x" * 101, "at most 100 characters"),
            ("@counter", "which entities begin with"),
        ],
    )
    def test_prefixes_that_overlap_or_cannot_be_sent_are_refused(
        self, text: str, message: str
    ) -> None:
        (line,) = problems({"URL": URL, "ID_PREFIXES": text})
        assert message in line


def test_hosts_are_names_addresses_and_all_below_a_domain() -> None:
    hosts = "exporter, *.example.com, 10.0.0.1, [::1]"
    assert load({"URL": URL, "ALLOWED_HOSTS": hosts}).allowed_hosts == tuple(hosts.split(", "))
