"""The web configuration file: read as other exporters do, or refused with a clear message."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from exporter.settings import RateLimit, Settings, WebConfig, server_context
from tests.certificates import Authority
from tests.settings.configured import SECRET, URL, load, problems, write

# As htpasswd writes it.
HASH = "$2y$04$abcdefghijklmnopqrstuuhUCzdHVqUWFhL8Ds1K/9rd6nJIBVbnu"
BASE = {"URL": URL}
PAIR = "cert_file: server.crt\n  key_file: server.key\n"
TLS = f"tls_server_config:\n  {PAIR}"
MUTUAL = f"{TLS}  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web")
    authority = Authority(folder)
    authority.sign("server", "localhost")
    authority.sign("other", "localhost")
    (folder / "junk.pem").write_text("junk")
    (folder / "secret.txt").write_text(SECRET)
    return folder


def read(folder: Path, text: str) -> WebConfig:
    return settings_with(folder, text).web_config


def settings_with(folder: Path, text: str) -> Settings:
    return load(BASE | {"WEB_CONFIG_FILE": str(write(folder / "web.yml", text))})


def refusals(folder: Path, text: str) -> list[str]:
    path = write(folder / "web.yml", text)
    lines = problems(BASE | {"WEB_CONFIG_FILE": str(path)})
    start = f"DURABLE_EXPORTER_WEB_CONFIG_FILE: names '{path}', "
    assert all(line.startswith(start) for line in lines)
    return [line.removeprefix(start) for line in lines]


class TestWhatIsTaken:
    @pytest.mark.parametrize(
        "text", ["", "tls_server_config:\nbasic_auth_users:\n", "rate_limit: {interval: 0}\n"]
    )
    def test_a_file_that_asks_for_nothing_changes_nothing(self, folder: Path, text: str) -> None:
        config = read(folder, text)
        assert (config.tls, config.users, config.headers, config.rate_limit) == (None, {}, {}, None)

    def test_without_a_file_the_server_is_open(self) -> None:
        assert load(BASE).web_config == WebConfig()

    def test_a_certificate_is_found_beside_the_file(self, folder: Path) -> None:
        config = read(folder, TLS)
        assert config.tls is not None
        assert config.tls.certificate == (folder / "server.crt").read_bytes()
        assert {path.name for path in config.files} == {"web.yml", "server.crt", "server.key"}

    def test_the_defaults_are_those_of_the_format(self, folder: Path) -> None:
        config = read(folder, TLS)
        assert config.tls is not None
        context = server_context(config.tls)
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_NONE
        assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE

    def test_everything_that_can_be_said_is_done(self, folder: Path) -> None:
        config = read(
            folder,
            MUTUAL + "  client_allowed_sans: [prometheus.example, 'FE80::1']\n"
            "  min_version: TLS12\n  max_version: TLS12\n  prefer_server_cipher_suites: false\n"
            "  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]\n"
            "  curve_preferences: [CurveP384]\n"
            "http_server_config:\n  http2: false\n"
            "  headers: {X-Frame-Options: deny, X-XSS-Protection: ''}\n"
            f"basic_auth_users:\n  alice: {HASH}\n"
            "rate_limit:\n  interval: 1m0.5s\n  burst: 20\n",
        )
        assert config.tls is not None
        context = server_context(config.tls)
        assert context.maximum_version is ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert not context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
        below = [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
        assert below == ["ECDHE-RSA-AES256-GCM-SHA384"]
        assert config.tls.client_names == {"prometheus.example", "fe80::1"}
        assert config.headers == {"X-Frame-Options": "deny"}
        assert config.users == {"alice": HASH}
        assert config.rate_limit == RateLimit(60.5, 20)

    def test_certificates_may_stand_in_the_file_itself(self, folder: Path) -> None:
        def block(key: str, path: str) -> str:
            lines = (folder / path).read_text().splitlines()
            return f"  {key}: |\n" + "".join(f"    {line}\n" for line in lines)

        text = block("cert", "server.crt") + block("key", "server.key")
        text += block("client_ca", "ca.pem") + "  client_auth_type: VerifyClientCertIfGiven\n"
        config = read(folder, f"tls_server_config:\n{text}")
        assert config.tls is not None
        context = server_context(config.tls)
        assert context.verify_mode is ssl.CERT_OPTIONAL
        assert context.cert_store_stats()["x509_ca"] == 1

    def test_all_suites_of_tls_1_3_may_be_named_since_all_are_offered(self, folder: Path) -> None:
        suites = "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256"
        config = read(folder, TLS + f"  min_version: TLS13\n  cipher_suites: [{suites}]\n")
        assert config.tls is not None
        assert config.tls.ciphers == ()

    def test_a_rotated_certificate_makes_other_settings(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        authority.sign("server", "localhost")
        before, again = settings_with(tmp_path, TLS), settings_with(tmp_path, TLS)
        authority.sign("server", "localhost")
        assert before == again
        assert before != settings_with(tmp_path, TLS)

    def test_neither_key_nor_hash_is_shown(self, folder: Path) -> None:
        settings = settings_with(folder, TLS + f"basic_auth_users: {{alice: {HASH}}}\n")
        shown = repr(settings) + repr(settings.web_config)
        assert HASH not in shown
        assert "PRIVATE KEY" not in shown


def test_the_example_of_the_documentation_is_taken(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    example = "tls_server_config:" + page.partition("\ntls_server_config:")[2].partition("```")[0]
    authority = Authority(tmp_path, "clients-ca")
    authority.file.rename(tmp_path / "clients-ca.crt")
    authority.sign("tls", "localhost")
    config = read(tmp_path, example.replace("$2y$10$...", HASH))
    assert config.tls is not None
    assert config.tls.client_names == {"prometheus.monitoring.svc"}
    assert config.users == {"prometheus": HASH}
    assert config.rate_limit == RateLimit(0.1, 20)


REFUSED: list[tuple[str, str]] = [
    ("- a list", "which is not a group of settings"),
    ("a: [", "which is not YAML (line 1: "),
    ("rate_limit: {}\nrate_limit: {}", "where in line 2 duplicate key"),
    ("tls_config: {}", "where tls_config is not known: remove it"),
    ("tls_server_config: {cert: a, crt: b}", "where tls_server_config.crt is not known"),
    ("tls_server_config: {min_version: TLS13}", "where tls_server_config lacks a certificate"),
    ("tls_server_config: {cert_file: server.crt}", "where tls_server_config lacks a certificate"),
    (
        "tls_server_config: {cert_file: none.crt, key_file: server.key}",
        "where tls_server_config.cert_file cannot be read (No such file",
    ),
    (
        "tls_server_config: {cert_file: server.crt, key_file: other.key}",
        "where tls_server_config has a certificate and a key that do not match",
    ),
    (
        "tls_server_config: {cert_file: junk.pem, key_file: secret.txt}",
        "where tls_server_config has a certificate and a key that do not match",
    ),
    (TLS + "  cert: text", "where tls_server_config has both cert and cert_file"),
    (TLS + "  min_version: TLS10", "where tls_server_config.min_version is no longer safe"),
    (TLS + "  min_version: SSL3", "where tls_server_config.min_version is not known: give one of"),
    (TLS + "  min_version: TLS13\n  max_version: TLS12", "has a max_version below min_version"),
    (TLS + "  client_auth_type: Maybe", "where tls_server_config.client_auth_type is not known"),
    (TLS + "  client_auth_type: RequestClientCert", "asks for certificates that nobody verifies"),
    (TLS + "  client_auth_type: RequireAnyClientCert", "asks for certificates that nobody"),
    (TLS + "  client_auth_type: RequireAndVerifyClientCert", "has no client_ca_file"),
    (TLS + "  client_ca_file: ca.pem", "has a client CA but asks for no certificate"),
    (MUTUAL.replace("ca.pem", "junk.pem"), "has a client CA without a certificate in PEM form"),
    (TLS + "  client_allowed_sans: [a]", "accepts clients without a certificate"),
    (MUTUAL + "  client_allowed_sans: []", "has an empty client_allowed_sans"),
    (TLS + "  cipher_suites: [TLS_MADE_UP]", "names 'TLS_MADE_UP', which is not offered"),
    (TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256]", "which has all or none"),
    (
        TLS + "  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
        "TLS_CHACHA20_POLY1305_SHA256]",
        "has no suite for TLS 1.2",
    ),
    (TLS + "  curve_preferences: [CurveP257]", "is not known: give one of CurveP256"),
    (TLS + "  curve_preferences: [X25519, CurveP256]", "has several curves"),
    ("http_server_config: {http2: true}", "asks for HTTP/2, which is not offered"),
    ("http_server_config: {headers: {Server: me}}", "has 'Server', which cannot be set"),
    ("http_server_config: {headers: {X-Frame-Options: no}}", "is not text: put it in quotes"),
    ("http_server_config: {headers: {X-Frame-Options: maybe}}", "has an unknown X-Frame-Options"),
    (
        'http_server_config: {headers: {X-XSS-Protection: "0\\r\\nSet-Cookie: a"}}',
        "has characters in X-XSS-Protection that no header may have",
    ),
    (f"basic_auth_users: {{alice: {SECRET}}}", "where basic_auth_users.alice is not a bcrypt hash"),
    (
        f"basic_auth_users: {{alice: {HASH.replace('uuhU', 'uxhU')}}}",
        "where basic_auth_users.alice is not a bcrypt hash",
    ),
    (f"basic_auth_users: {{'a:b': {HASH}}}", "where basic_auth_users.a:b is a name that cannot"),
    (f"basic_auth_users: {{alice: {HASH.replace('04', '31')}}}", "has a cost that is not from"),
    ("rate_limit: {interval: 1s}", "where rate_limit has no burst"),
    ("rate_limit: {interval: 5, burst: 1}", "where rate_limit.interval is not a duration"),
    ("rate_limit: {interval: -1s, burst: 1}", "where rate_limit.interval is not a duration"),
]


class TestWhatIsRefused:
    @pytest.mark.parametrize(("text", "words"), REFUSED, ids=[text for text, _ in REFUSED])
    def test_what_cannot_be_done_is_said_with_the_remedy(
        self, folder: Path, text: str, words: str
    ) -> None:
        (line,) = refusals(folder, text)
        assert words in line
        assert ":" in line.replace(str(folder), "")

    def test_all_that_is_wrong_is_said_at_once(self, folder: Path) -> None:
        lines = refusals(
            folder,
            "tls_server_config: {min_version: SSL3}\nhttp_server_config: {http2: true}\n"
            f"basic_auth_users: {{alice: {SECRET}, bob: {SECRET}}}\nrate_limit: {{interval: 1}}\n",
        )
        assert len(lines) == 5

    def test_a_file_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        (line,) = problems(BASE | {"WEB_CONFIG_FILE": str(tmp_path / "none.yml")})
        assert "none.yml', which cannot be read (No such file or directory)" in line

    def test_it_is_said_beside_whatever_else_is_wrong(self, folder: Path) -> None:
        path = write(folder / "web.yml", "http_server_config: {http2: true}")
        lines = problems({"URL": "ftp://x", "WEB_CONFIG_FILE": str(path)})
        assert len(lines) == 2
