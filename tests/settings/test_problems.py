"""Each problem is one line with its place, without a secret."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from exporter.settings.schema import document
from tests.settings.configured import PREFIX, SECRET, URL, problems, write

BAD_VALUES = [
    ("LISTEN_ADDRESS", "10771", "is not host:port: write it as :10771"),
    ("LISTEN_ADDRESS", "::1:10771", "is not host:port"),
    ("LISTEN_ADDRESS", ":99999", "has no port: end it in a number"),
    ("LISTEN_ADDRESS", ":http", "has no port"),
    ("LOG_LEVEL", "loud", "is not known: give one of 'debug', 'info', 'warning' or 'error'"),
    ("LOG_FORMAT", "xml", "is not known: give one of 'auto', 'json' or 'console'"),
    ("GRACE_PERIOD", "soon", "'soon' is not a duration: write it as 30s"),
    ("BUCKETS__AGE", "5m,1m", "is not ascending"),
    ("BUCKETS__AGE", "1m,1m", "is not ascending"),
    ("BUCKETS__AGE", "0,1m", "starts at 0"),
    ("BUCKETS__DURATION", "[]", "is empty"),
    ("BUCKETS__DURATION", '["1s", ', "is not a JSON list"),
    ("URL", "", "is empty"),
    ("URL", "orders.azurewebsites.net", "does not start with https://"),
    ("URL", "ftp://orders", "does not start with https://"),
    ("URL", "https://", "has no host"),
    ("URL", "https://a:port", "has an impossible host or port"),
    ("URL", "https://[::1", "has an impossible host or port"),
    ("URL", "https://a b", "has blanks or control characters"),
    ("URL", "https://a\n", "has blanks or control characters"),
    ("URL", f"{URL}?code={SECRET}", "has a query or a fragment: cut it before the ? or #"),
    ("URL", f"{URL}#{SECRET}", "has a query or a fragment"),
    ("URL", f"https://me:{SECRET}@orders", "has a user or password in it"),
    ("URL", "http://orders.azurewebsites.net", "is not encrypted: use https://"),
    ("URL", "http://127.0.0.1.example.com", "is not encrypted"),
    ("URL", f"{URL}/runtime/webhooks/durabletask/instances", "has extra path after /durabletask"),
    ("NAME", "", "is empty"),
    ("NAME", " orders", "has blanks around it"),
    ("NAME", "or\tders", "has blanks around it or control characters"),
    ("NAME", "x" * 129, "is longer than 128 characters"),
    ("TASK_HUB", "", "is empty"),
    ("TASK_HUB", "my hub", "is not the name of a task hub: give 1 to 50 letters, digits, - and _"),
    ("TASK_HUB", "-hub", "is not the name of a task hub"),
    ("TASK_HUB", "a" * 51, "is not the name of a task hub"),
    ("TASK_HUB", "Überhub", "is not the name of a task hub"),
    ("CONNECTION", "", "is empty"),
    ("CONNECTION", f"AccountKey={SECRET};", "is not the name of an app setting"),
    ("KEY", "", "is empty"),
    ("KEY", f"{SECRET}\r\nX: y", "contains characters that no key has"),
    ("KEY", f"{SECRET}✓", "contains characters that no key has"),
    ("KEYS_DIR", "/does/not/exist", "names no folder"),
    ("KEYS_DIR", "x" * 300, "cannot be reached (File name too long)"),
    ("KEY_FILE", "/does/not/exist", "cannot be read (No such file or"),
    ("KEY_FILE", SECRET, "cannot be read"),
    ("ALLOWED_HOSTS", "https://exporter.example.com", "has an item that is not a host"),
    ("ALLOWED_HOSTS", "exporter:10771", "has an item that is not a host"),
    ("ALLOWED_HOSTS", "exporter.*", "has an item that is not a host"),
    ("LABELS", "team", "is not JSON (Expecting value at character 1): correct it, or set each"),
    ("LABELS", '["team"]', "is not a JSON object"),
    ("LABELS", '{"le": "x"}', "le: is a reserved label name"),
    ("LABELS", '{"namespace": "x"}', "namespace: is a reserved label name"),
    ("LABELS", '{"__x": "x"}', "__x: is a reserved label name"),
    ("LABELS", '{"my-team": "x"}', "my-team: is not a label name"),
    ("LABELS", '{"team": 7}', "team: is not text"),
    ("LABELS__TASK_HUB", "x", "is a reserved label name"),
    ("INTERVALS__ACTIVE", "0", "is too short: give at least 0.1s"),
    ("INTERVALS__ACTIVE", "-30s", "is negative"),
    ("INTERVALS__CENSUS", "10ms", "is too short: give at least 0.1s, or 0 for off"),
    ("INTERVALS", "30s", "is not JSON"),
    ("INTERVALS", "30", "is not a JSON object: write one, or set DURABLE_EXPORTER_INTERVALS__"),
    ("INTERVALS", '{"actve": 30}', "is not a setting: did you mean DURABLE_EXPORTER_INTERVALS__A"),
    ("LIMITS__IDLE", "0", "is 0: write none for no limit"),
    ("LIMITS__ORCHESTRATORS", '{"A": {"idle": "x"}}', "A.idle: 'x' is not a duration"),
    ("LIMITS__ORCHESTRATORS", '{"": {"idle": "1h"}}', "has an empty name"),
    ("LIMITS__ORCHESTRATORS", '{"A": "1h"}', "A: is not a group of settings"),
    ("TIMEOUTS__REQUEST", "0", "is 0: give a duration above 0"),
    ("MAX_PAGE_SIZE", "1001", "is too large: give at most 1000"),
    ("MAX_PAGE_SIZE", "0", "is too small: give at least 1"),
    ("MAX_PAGE_SIZE", "many", "is not a whole number"),
    ("MAX_RESPONSE_BYTES", "1024", "is too small: give at least 65536"),
    ("RETRIES__MAX_RETRIES", "11", "is too large: give at most 10"),
    ("RETRIES__MAX_BACKOFF", "0.1s", "is shorter than retries.backoff"),
    ("MAX_SERIES", "999", "is too small: give at least 1000"),
    ("LOOKBACK", "1m", "is shorter than overlap"),
    ("ALLOW_INSECURE", "perhaps", "is not true or false"),
    ("ORCHESTRATORS", '["A", 7]', "has an item that is not a name"),
    ("PROXY", SECRET, "does not start with https:// or http://"),
    ("PROXY", f"socks5://me:{SECRET}@proxy", "does not start with https:// or http://"),
    ("HEADERS", f'{{"x-functions-key": "{SECRET}"}}', "is a header that the exporter sets itself"),
    ("HEADERS", f'{{"X-Functions-Key": "{SECRET}"}}', "is a header that the exporter sets itself"),
    ("HEADERS", f'{{"a b": "{SECRET}"}}', "a b: is not the name of a header"),
    ("HEADERS", f'{{"x-a": "{SECRET}\\r\\n"}}', "x-a: has characters that no header may have"),
    ("HEADERS", f'{{"x-a": "{SECRET}"', "is not JSON"),
    ("TLS__CA_FILE", "/does/not/exist", "cannot be read (No such file or"),
    ("TLS__CA_FILE", "/", "cannot be read (Is a directory)"),
    ("TLS__CA_FILE", SECRET, "cannot be read"),
    ("TLS__CLIENT_KEY_FILE", __file__, "has no certificate"),
    ("TLS__CA_FILE", __file__, "has no certificate in PEM form"),
    ("STATE_DIR", "/nowhere/state", "names no folder"),
    (
        "INTERVAL__ACTIVE",
        "5s",
        "is not a setting: did you mean DURABLE_EXPORTER_INTERVALS__ACTIVE?",
    ),
    (
        "INTERVALS_ACTIVE",
        "5s",
        "is not a setting: did you mean DURABLE_EXPORTER_INTERVALS__ACTIVE?",
    ),
    ("HUBS__A__BUCKETS__AGE", "1s", "of the whole exporter: use DURABLE_EXPORTER_BUCKETS__AGE"),
    ("HUBS__A__LOG_LEVEL", "info", "of the whole exporter: use DURABLE_EXPORTER_LOG_LEVEL"),
    ("HUBS", SECRET, "is not JSON"),
    ("URL__X", SECRET, "is not a setting"),
    ("KEYFILE", SECRET, "is not a setting: did you mean DURABLE_EXPORTER_KEY_FILE?"),
    ("CONFIG_FILE", "/does/not/exist", "names '/does/not/exist', which cannot be read"),
]

BAD_FILES = [
    ("intervals: {finished: 5s}", "is not a setting; known: active, failed, census, entities"),
    ("frequency: 5s", "frequency: is not a setting; known: see the reference of settings"),
    ("urls: x", "urls: is not a setting: did you mean url?"),
    (
        "hubs: {a: {url: https://a, interval: 5}}",
        "hubs.a.interval: is not a setting: did you mean hubs.a.intervals?",
    ),
    ("hubs: {a: {url: https://a, intervals: {active: true}}}", "active: is not a duration"),
    ("hubs: [a]", "hubs: is not a mapping: give each hub's settings below its name"),
    ("hubs: {a: https://a}", "hubs.a: is not a group of settings"),
    ("intervals: 5s", "intervals: is not a group of settings"),
    ("labels: [a]", "labels: is not a mapping"),
    ("labels: {prod: yes}", "labels.prod: is not text: put it in quotes"),
    ("task_hub: 123", "task_hub: is not text"),
    ("task_hub:", "task_hub: is empty"),
    ("connection:", "connection: is empty"),
    ("max_page_size: true", "max_page_size: is not a whole number"),
    ("max_page_size: 1.5", "max_page_size: is not a whole number"),
    ("buckets: {age: 5}", "buckets.age: is not a list"),
    ("config_file: other.yaml", "config_file: is this file itself"),
    ("- a", "is not a mapping: write settings as name: value"),
    (f"a: b: {SECRET}", "is not YAML (line 1: mapping values are not allowed here)"),
    ("labels: {a: x, a: y}", "line 1: duplicate key"),
    ("proxy: https://a\nproxy: https://b", "line 2: duplicate key"),
    ("labels:\n  1: x", "line 2: a key is not text: put it in quotes"),
    ("labels: {on: x}", "line 1: a key is not text"),
    ("log_level: !!python/object:os.system x", "is not YAML (line 1: could not determine"),
    ("labels: {day: 2024-13-45}", "is not YAML (line 1: a value does not fit its type)"),
    ("labels: {n: !!int ''}", "is not YAML (line 1: a value does not fit its type)"),
    ("hubs: !!map x", "is not YAML (line 1: expected a mapping node, but found scalar)"),
    ("hubs: !!set {a}", "is not YAML (line 1: could not determine a constructor for the tag ...)"),
    ("log_level: !secret x", "is not YAML (line 1: could not determine a constructor for the tag"),
    ("labels: *secret", "is not YAML (line 1: found undefined alias ...)"),
    ("? [a]\n: b", "line 1: a key is not text"),
    (
        "a: &a {x: 1, y: 2}\n"
        + "".join(
            f"{y}: &{y} {{x: *{x}, y: *{x}}}\n" for x, y in pairwise("abcdefghijklmnopqrstu")
        ),
        "has more than 100000 values, aliases included: shorten it",
    ),
    ("labels: &a {x: *a}", "is nested too deeply, or in itself"),
    (f"labels: {'[' * 2000}", "is nested too deeply"),
    ("a: \x01", "is not YAML (it holds characters that YAML does not allow)"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_VALUES)
def test_a_bad_variable_gives_one_line_that_names_it(name: str, value: str, message: str) -> None:
    (line,) = problems({"URL": URL, name: value})
    assert line.startswith(f"{PREFIX}{name}: ")
    assert message in line


@pytest.mark.parametrize(("yaml", "message"), BAD_FILES)
def test_a_bad_file_gives_one_line_that_names_it(yaml: str, message: str, tmp_path: Path) -> None:
    (line,) = problems({"URL": URL}, yaml, tmp_path)
    assert line.startswith(str(tmp_path / "exporter.yaml"))
    assert message in line


def test_a_bad_option_gives_one_line_that_names_it() -> None:
    assert problems({"URL": URL}, intervals__active="x") == [
        "--set intervals.active: 'x' is not a duration: write it as 30s, 5m, 1h30m or 7d"
    ]
    (line,) = problems({"URL": URL}, interval__active="5s")
    assert line == "--set interval.active: is not a setting: did you mean --set intervals.active?"


def test_a_setting_with_an_option_of_its_own_is_named_as_that() -> None:
    assert problems({}, url="orders.azurewebsites.net") == [
        "--url: does not start with https:// or http://: give the whole URL"
    ]
    (line,) = problems({"URL": URL}, keyfile="x")
    assert line == "--set keyfile: is not a setting: did you mean --key-file?"


def test_without_a_hub_the_line_says_how_to_configure_one() -> None:
    (line,) = problems({})
    assert line == (
        "DURABLE_EXPORTER_URL: is missing, so there is no hub: set it to the address of the "
        "function app, or set DURABLE_EXPORTER_HUBS__<NAME>__URL"
    )


def test_a_hub_without_a_url_is_said_where_it_stands(tmp_path: Path) -> None:
    assert problems({"HUBS__ORDERS__TASK_HUB": "Orders"}) == [
        "DURABLE_EXPORTER_HUBS__ORDERS__URL: is missing: set it to the address of the function app"
    ]
    (line,) = problems({}, "hubs: {orders: }", tmp_path)
    assert line.endswith(
        "exporter.yaml: hubs.orders.url: is missing: set it, or DURABLE_EXPORTER_HUBS__ORDERS__URL,"
        " to the address of the function app"
    )


def test_a_task_hub_beside_named_hubs_is_said_to_make_a_hub_of_its_own() -> None:
    (line,) = problems({"HUBS__ORDERS__URL": URL, "TASK_HUB": "OrdersHub"})
    assert "DURABLE_EXPORTER_URL: is missing, though DURABLE_EXPORTER_TASK_HUB makes a hub" in line


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    lines = problems(
        {
            "URL": "x",
            "HUBS__A__URL": "https://a?x",
            "HUBS__B__KEY": SECRET,
            "LOG_LEVEL": "loud",
            "LIMTS__IDLE": "1h",
        },
        "timeouts: {connect: 0}\nhubs: {c: {url: https://c, max_page_size: 0}}",
        tmp_path,
        grace_period="x",
    )
    places = [line.removeprefix(f"{tmp_path}/").split(": ")[0:2] for line in lines]
    assert sorted(place[0].removeprefix(PREFIX) for place in places) == [
        "--set grace_period", "HUBS__A__URL", "HUBS__B__URL", "LIMTS__IDLE", "LOG_LEVEL", "URL",
        "exporter.yaml", "exporter.yaml",
    ]  # fmt: skip


def test_a_bad_default_is_said_once_for_all_hubs() -> None:
    hubs = {"HUBS__A__URL": "https://a", "HUBS__B__URL": "https://b"}
    assert len(problems({**hubs, "INTERVALS__ACTIVE": "x"})) == 1


def test_a_bad_name_is_said_at_the_hub(tmp_path: Path) -> None:
    (line,) = problems({}, 'hubs: {" a": {url: https://a}}', tmp_path)
    assert "exporter.yaml: hubs. a: has blanks around it" in line


class TestKeys:
    def test_key_and_key_file_exclude_each_other(self, tmp_path: Path) -> None:
        path = write(tmp_path / "key", SECRET)
        (line,) = problems({"URL": URL, "KEY": SECRET, "KEY_FILE": str(path)})
        assert (
            line == "DURABLE_EXPORTER_KEY_FILE: cannot be combined with key: remove one of the two"
        )

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b" \n", "file content is empty"),
            (b"a\nb", "file content contains characters that no key has"),
            (b"\xff\xfe", "file content is empty"),
            (b'""', "file content is empty"),
            (b"\xe9\xff", "file content is not text: save the key as UTF-8"),
            (b"k\0e\0y\0", "file content looks like UTF-16 without its mark"),
            (b"k" * 70_000, "file content is too long for a key"),
        ],
    )
    def test_a_key_file_must_hold_a_key(self, content: bytes, message: str, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        (line,) = problems({"URL": URL, "KEY_FILE": str(path)})
        assert line.startswith(f"DURABLE_EXPORTER_KEY_FILE: {message}")

    def test_a_missing_key_file_is_said_with_the_path_looked_for(self, tmp_path: Path) -> None:
        missing = tmp_path / "orders.key"
        (line,) = problems({"URL": URL, "KEY_FILE": str(missing)})
        assert f"looked at {missing}): check the path" in line
        (line,) = problems({}, f"url: {URL}\nkey_file: orders.key", tmp_path)
        assert f"looked at {missing}): check the path" in line

    def test_a_key_that_was_given_as_its_file_does_not_show(self, tmp_path: Path) -> None:
        key = "q7JwhushhushhushhushhushhushhushhushhushAzFuzZx9zX=="
        for said in (key, f"a/{key}", str(tmp_path / key)):
            (line,) = problems({"URL": URL, "KEY_FILE": said})
            assert "q7Jw" not in line
            assert "cannot be read (No such file or directory; looked in" in line
        (line,) = problems({}, f"url: {URL}\nkey_file: {key}", tmp_path)
        assert f"looked in {tmp_path})" in line

    def test_a_file_in_the_folder_in_another_case_is_named(self, tmp_path: Path) -> None:
        write(tmp_path / "Orders", "key")
        (line,) = problems({"URL": URL, "NAME": "orders", "KEYS_DIR": str(tmp_path)})
        assert line == (
            "DURABLE_EXPORTER_KEYS_DIR: has no file 'orders' but one called 'Orders': "
            "rename the file or the hub"
        )

    def test_a_key_file_in_the_folder_must_hold_a_key(self, tmp_path: Path) -> None:
        write(tmp_path / "orders", "")
        (line,) = problems({"URL": URL, "NAME": "orders", "KEYS_DIR": str(tmp_path)})
        assert line.startswith(
            "DURABLE_EXPORTER_KEYS_DIR: is searched for 'orders', and file content"
        )

    def test_a_name_too_long_for_a_file_is_said(self, tmp_path: Path) -> None:
        (line,) = problems({"URL": URL, "NAME": "é" * 128, "KEYS_DIR": str(tmp_path)})
        assert "cannot be searched for" in line


class TestDoubles:
    def test_two_hubs_may_not_share_a_name(self) -> None:
        (line,) = problems(
            {"HUBS__A__URL": "https://a", "HUBS__B__URL": "https://b", "HUBS__B__NAME": "a"}
        )
        assert line == (
            "DURABLE_EXPORTER_HUBS__B__NAME: is the name of two hubs: give one of them another"
        )

    @pytest.mark.parametrize(
        "url", ["https://A/", "https://a:443", "https://a/runtime/webhooks/durabletask/"]
    )
    def test_two_names_may_not_lead_to_the_same_hub(self, url: str) -> None:
        (line,) = problems({"HUBS__A__URL": "https://a", "HUBS__B__URL": url})
        assert line == (
            "DURABLE_EXPORTER_HUBS__B__URL: leads to the same task hub as the hub a: "
            "remove one of the two"
        )

    def test_a_variable_may_not_come_in_two_spellings(self) -> None:
        (line,) = problems({"HUBS__A__URL": "https://a", "HUBS__a__URL": "https://b"})
        assert "duplicates DURABLE_EXPORTER_HUBS__A__URL" in line


@pytest.mark.parametrize("name", sorted(document().members or ()))
@pytest.mark.parametrize("content", [f"[{SECRET}]", f"{{x: {SECRET}}}", f"{{x: {{y: {SECRET}}}}}"])
def test_a_value_of_a_wrong_shape_never_shows(name: str, content: str, tmp_path: Path) -> None:
    lines = problems({"LOG_LEVEL": "loud"}, f"{name}: {content}", tmp_path)
    assert len(lines) > 1
