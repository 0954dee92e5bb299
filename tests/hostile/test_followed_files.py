"""Files that are followed while the exporter runs: whatever stands in them, it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.settings import SettingsError, fingerprint, load_settings, watched_files
from tests.certificates import Authority

KEY = "q7Jw4The+5System/6Key-9zXvPk4Lm2Rt=="
HEADER = "Hd8Kx2Secret9WvQz5Rt3Lm"
PROXY = "Pr4Xy7Secret3BnMk8Vb2Qw"
HASH = "$2y$04$abc4efghi7klmnop2stuuuhU5zdHVq8WFhL8Ds1K/9rd6nJIBVb2u"
CONFIGURATION = f"""\
# of the team
intervals: {{active: 30s}}
headers:
  x-team: {HEADER}
hubs:
  orders:
    url: https://orders.azurewebsites.net
    key: {KEY}
    labels: {{owner: shop}}
    proxy: http://user:{PROXY}@proxy.example:3128
    tls: {{ca_file: FOLDER/ca.pem}}
  billing:
    url: https://billing.azurewebsites.net
    key_file: FOLDER/billing.key
"""
WEB = f"""\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
http_server_config:
  headers: {{X-Frame-Options: deny}}
basic_auth_users:
  prometheus: {HASH}
rate_limit: {{interval: 100ms, burst: 20}}
"""
FILES = ("exporter.yaml", "web.yaml", "billing.key", "server.crt", "server.key", "ca.pem")
# No part of a secret of this length may be anywhere.
LEAST = 16
TROUBLE = (
    "!!python/object:os.system ", "!secret ", "!!binary ", "!!set ", "!!omap ", "!!timestamp ",
    "!!int ", "!!float ", "!!bool ", "!!null ", "&a ", "*a ", "<<: ", "<<: *a\n", "? [a]: b\n",
    "? {a: b}\n", "? ", ": ", "- ", "[", "]", "{", "}", ",", "|\n", ">\n", "'", '"', "\\", "#",
    "%YAML 9.9\n", "---\n", "...\n", "@", "`", "\t", "\n", "\r", "\0", "\x1b[31m", "\ufeff",
    "\x85", "\u2028", "\ud800", "2024-13-45", "1_000:99", ".inf", "~", "=", "0o9", "1e999",
)  # fmt: skip

Edit = tuple[int, int, bytes]


def edits() -> st.SearchStrategy[list[Edit]]:
    """Return places, how much is cut there, and what comes instead."""
    pieces = st.one_of(
        st.sampled_from(TROUBLE).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=6),
        st.just(b""),
    )
    return st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40), pieces), max_size=4)


def edited(content: bytes, edit: Edit) -> bytes:
    place, length, piece = edit
    place %= len(content) + 1
    return content[:place] + piece + content[place + length :]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with every kind of file that is followed, each of them right."""
    folder = tmp_path_factory.mktemp("followed")
    authority = Authority(folder)
    authority.sign("server", "localhost")
    (folder / "exporter.yaml").write_text(CONFIGURATION.replace("FOLDER", str(folder)))
    (folder / "web.yaml").write_text(WEB)
    (folder / "billing.key").write_text(KEY)
    return folder


def environ(folder: Path) -> Mapping[str, str]:
    return {
        "DURABLE_EXPORTER_CONFIG_FILE": str(folder / "exporter.yaml"),
        "DURABLE_EXPORTER_WEB_CONFIG_FILE": str(folder / "web.yaml"),
    }


def told(folder: Path) -> str:
    """Return what is said of the files, empty where they can be used."""
    try:
        read = load_settings(environ(folder))
    except SettingsError as error:
        return "\n".join(map(str, error.problems))
    fingerprint(watched_files(read))
    return ""


def secrets_of(folder: Path) -> Sequence[str]:
    pem = (folder / "server.key").read_text().splitlines()[1:-1]
    return (KEY, HEADER, PROXY, HASH, *pem)


def without_content(text: str, secrets: Sequence[str]) -> None:
    for secret in secrets:
        for start in range(len(secret) - LEAST + 1):
            assert secret[start : start + LEAST] not in text


def test_they_can_be_used_as_they_are(original: Path) -> None:
    assert told(original) == ""


def check(original: Path, name: str, changes: Sequence[Edit]) -> None:
    path, secrets = original / name, secrets_of(original)
    content = path.read_bytes()
    try:
        path.write_bytes(reduce(edited, changes, content))
        without_content(told(original), secrets)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_no_mutation_ends_the_exporter_or_shows_what_is_in_a_file(
    original: Path, name: str
) -> None:
    given(edits())(settings(max_examples=60)(lambda changes: check(original, name, changes)))()


@pytest.mark.nightly
@pytest.mark.parametrize("name", FILES)
def test_no_mutation_of_thousands_ends_the_exporter_or_shows_what_is_in_a_file(
    original: Path, name: str
) -> None:
    given(edits())(settings(max_examples=1_700)(lambda changes: check(original, name, changes)))()


@pytest.mark.parametrize(
    "text",
    [
        f"key: !{KEY} x", f"key: *{KEY}", f"key: &a {KEY}\nkey_file: &a x", f"? [{KEY}]\n: b",
        f"? {{{KEY}: 1}}\n: b", f"{KEY}: 1\n{KEY}: 2", f"<<: {KEY}", f"<<: [{KEY}]",
        f"key: !!binary {KEY}", f"key: !!int {KEY}", f'key: "\\{KEY}"', f"key: '{KEY}",
        f"%{KEY} 1\n---\n", f"{KEY}: {{}}", f"hubs: {{orders: {{{KEY}: x}}}}", f"[{KEY}]: x",
        f"hubs: {{{KEY}: {{}}}}", f"url: {KEY}", f"intervals: {{active: {KEY}}}",
        f"hubs: [{KEY}]", f"hubs: {{orders: {KEY}}}", f"labels: {{{KEY}: x}}", f"log_level: {KEY}",
        f"headers: {{'{KEY}': x}}", f"listen_address: {KEY}", f"shard: {KEY}",
        f"limits: {{{KEY}: 1}}", f"orchestrators: {{'{KEY}': {{{KEY}: 1}}}}",
        f"id_prefixes: ['{KEY}%', '@{KEY}', '{KEY}', '{KEY}x']", f"metrics: {{{KEY}: 1}}",
        f"http_server_config: {{headers: {{'{KEY}': x}}}}", f"rate_limit: {{interval: {KEY}}}",
        f"tls_server_config: {{cipher_suites: ['{KEY}'], min_version: '{KEY}'}}",
        f"tls_server_config: {{cert_file: '{KEY}', key_file: '{KEY}', client_auth_type: '{KEY}'}}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["exporter.yaml", "web.yaml"])
def test_a_secret_in_a_wrong_place_is_not_shown(original: Path, name: str, text: str) -> None:
    path = original / name
    content = path.read_bytes()
    try:
        path.write_text(text)
        without_content(told(original), [KEY])
    finally:
        path.write_bytes(content)
