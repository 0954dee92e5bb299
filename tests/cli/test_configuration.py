"""A wrong configuration: exit code 2, one clear line per problem, no traceback, no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.cli import main
from tests.cli.process import run

P = "DURABLE_EXPORTER_"
GOOD = {f"{P}URL": "https://app.example", f"{P}TASK_HUB": "OrdersHub"}
SECRET = "s3cret-value"

CASES: list[tuple[str, dict[str, str], list[str]]] = [
    ("nothing is configured", {}, [f"{P}URL"]),
    ("an unknown variable", {**GOOD, f"{P}INTERVAL": "5s"}, [f"{P}INTERVAL"]),
    ("an unknown nested one", {**GOOD, f"{P}INTERVALS__ACTVE": "5s"}, [f"{P}INTERVALS__ACTVE"]),
    ("no URL", {f"{P}URL": "app.example"}, [f"{P}URL"]),
    ("another scheme", {f"{P}URL": "ftp://app.example"}, [f"{P}URL"]),
    ("plain http", {f"{P}URL": "http://app.example"}, [f"{P}URL"]),
    ("a key in the URL", {f"{P}URL": f"https://a.example?code={SECRET}"}, [f"{P}URL"]),
    ("user and password in it", {f"{P}URL": f"https://u:{SECRET}@a.example"}, [f"{P}URL"]),
    ("a missing key file", {**GOOD, f"{P}KEY_FILE": "/no/such/file"}, [f"{P}KEY_FILE"]),
    (
        "two keys",
        {**GOOD, f"{P}KEY": SECRET, f"{P}KEY_FILE": __file__},
        [f"{P}KEY_FILE"],
    ),
    ("an empty hub name", {**GOOD, f"{P}NAME": " "}, [f"{P}NAME"]),
    ("an impossible hub", {**GOOD, f"{P}TASK_HUB": "no.dots"}, [f"{P}TASK_HUB"]),
    (
        "a connection string",
        {**GOOD, f"{P}CONNECTION": f"AccountKey={SECRET};"},
        [f"{P}CONNECTION"],
    ),
    (
        "a negative interval",
        {**GOOD, f"{P}INTERVALS__ACTIVE": "-5s"},
        [f"{P}INTERVALS__ACTIVE"],
    ),
    ("no duration", {**GOOD, f"{P}STALE_AFTER": "soon"}, [f"{P}STALE_AFTER"]),
    ("too large a page", {**GOOD, f"{P}MAX_PAGE_SIZE": "5000"}, [f"{P}MAX_PAGE_SIZE"]),
    ("no port", {**GOOD, f"{P}LISTEN_ADDRESS": "localhost"}, [f"{P}LISTEN_ADDRESS"]),
    ("an unknown level", {**GOOD, f"{P}LOG_LEVEL": "chatty"}, [f"{P}LOG_LEVEL"]),
    ("a missing file", {f"{P}CONFIG_FILE": "/no/such.yaml"}, [f"{P}CONFIG_FILE"]),
    (
        "two hubs with one name",
        {
            f"{P}HUBS__A__URL": "https://a.example",
            f"{P}HUBS__B__URL": "https://b.example",
            f"{P}HUBS__B__NAME": "a",
        },
        ["a"],
    ),
    (
        "everything at once",
        {f"{P}URL": "ftp://x", f"{P}MAX_PAGE_SIZE": "0", f"{P}NOPE": "1", f"{P}LOG_FORMAT": "xml"},
        [f"{P}URL", f"{P}MAX_PAGE_SIZE", f"{P}NOPE", f"{P}LOG_FORMAT"],
    ),
]


@pytest.mark.parametrize(
    ("environ", "locations"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_each_problem_has_one_line(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], locations: list[str]
) -> None:
    code = main.run(["check"], environ)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert code == 2
    assert printed.out == ""
    assert len(lines) == len(locations)
    assert all(any(location in line for line in lines) for location in locations)
    assert SECRET not in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.anyio
async def test_the_lines_of_a_file_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text("hubs:\n  orders:\n    url: https://a.example\n    intervals: {active: fast}\n")
    outcome = await run("check", "--config-file", str(path))
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2
    assert "exporter.yaml" in line
    assert "hubs.orders.intervals.active" in line


@pytest.mark.anyio
async def test_the_command_line_wins_over_the_environment() -> None:
    outcome = await run(
        "check", "--set", "max_page_size=0", environ={**GOOD, f"{P}MAX_PAGE_SIZE": "10"}
    )
    (line,) = outcome.err.splitlines()
    assert outcome.code == 2
    assert "max_page_size" in line


@pytest.mark.anyio
async def test_offline_shows_the_hubs_and_asks_none(tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("a-key")
    environ = {
        f"{P}HUBS__ORDERS__URL": "https://orders.invalid",
        f"{P}HUBS__BILLING__URL": "https://billing.invalid/runtime/webhooks/durabletask",
        f"{P}HUBS__BILLING__TASK_HUB": "BillingHub",
        f"{P}KEYS_DIR": str(tmp_path),
    }
    outcome = await run("check", "--offline", environ=environ)
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines()]
    api = "runtime/webhooks/durabletask"
    assert ["orders", f"https://orders.invalid/{api}", "the", "app's", "default", "yes"] in rows
    assert ["billing", f"https://billing.invalid/{api}", "BillingHub", "none"] in rows
    assert "configuration valid: 2 of 2 hubs in shard 0/1; no requests sent" in outcome.out


def test_offline_refuses_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["check", "--offline"], {**GOOD, f"{P}MAX_PAGE_SIZE": "0"}) == 2
    assert f"{P}MAX_PAGE_SIZE" in capsys.readouterr().err


@pytest.mark.anyio
async def test_what_is_set_is_printed_in_todays_names_and_no_hub_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text(
        f"page_budget: 500\nhubs: {{orders: {{url: https://a.invalid, key: {SECRET}}}}}\n"
    )
    outcome = await run("check", "--print", "--config-file", str(path), "--set", "page_size=9")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "max_page_size: '9'  # --set page_size",
        f"max_pages_per_day: 500  # {path}: page_budget",
        "hubs:",
        "  orders:",
        f"    url: https://a.invalid  # {path}: hubs.orders.url",
        f"    key: '********'  # {path}: hubs.orders.key",
    ]
    until = ", as the next minor version refuses this name"
    assert outcome.err.splitlines() == [
        f"warning: --set page_size: was renamed: use --set max_page_size{until}",
        f"warning: {path}: page_budget: was renamed: use max_pages_per_day{until}",
    ]


def test_nothing_is_printed_of_a_configuration_that_is_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["check", "--print"], {**GOOD, f"{P}PAGE_SIZE": "0"}) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"{P}PAGE_SIZE: is too small: give at least 1\n"
