"""`emulator`: what it serves, and messages for files that it cannot serve."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from exporter.cli.emulator import _emulator
from exporter.cli.main import parse
from exporter.settings import SettingsError
from tests.cli.process import emulator_at, run

pytestmark = pytest.mark.anyio

GREETING = """\
from emulator import Functions, OrchestrationContext

functions = Functions()


@functions.orchestrator
def Greet(context: OrchestrationContext):
    return (yield context.call_activity("Say", context.get_input()))


@functions.activity
def Say(name, context):
    return f"Hello {name}!"
"""
WAIT = {"timeout": "60", "pollingInterval": "0.1"}


@pytest.fixture
def greeting(tmp_path: Path) -> Path:
    path = tmp_path / "greeting.py"
    path.write_text(GREETING)
    return path


@asynccontextmanager
async def served(*arguments: str) -> AsyncGenerator[httpx.AsyncClient, None]:
    """Run `emulator` on a free port; yield a client of its API."""
    async with emulator_at(*arguments) as url:
        base = f"{url}/durabletask/"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
            yield client


def emulator(*arguments: str) -> Emulator:
    return _emulator(parse(["emulator", *arguments]))


def refusal(*arguments: str) -> str:
    """Return the messages for invalid arguments."""
    with pytest.raises(SettingsError) as refused:
        emulator(*arguments)
    (problem,) = refused.value.problems
    return str(problem)


async def test_functions_of_a_file_are_served_beside_those_of_the_app(greeting: Path) -> None:
    async with served("--app", "recorded", "--functions", str(greeting)) as client:
        mine = await client.post("orchestrators/Greet", params=WAIT, json="world")
        recorded = await client.post("orchestrators/HelloSequence", params=WAIT)
    assert mine.json() == "Hello world!"
    assert recorded.json() == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


class TestApp:
    def test_the_shop_has_traffic_and_others_have_none(self) -> None:
        def rows(app: str) -> int:
            return sum(1 for _ in emulator("--app", app, "--rate", "0.01").own_hub.instances())

        assert rows("shop") > 20
        assert rows("recorded") == rows("empty") == 0

    def test_an_empty_one_serves_what_the_file_has(self, greeting: Path) -> None:
        functions = emulator("--app", "empty", "--functions", str(greeting)).own_hub.functions
        assert functions is not None
        assert list(functions.orchestrators) == ["Greet"]

    @pytest.mark.parametrize("version", ["v2", "v3"])
    def test_the_version_of_the_extension(self, version: str) -> None:
        assert emulator("--app", "empty", "--extension", version).version == version


class TestCrash:
    def test_it_comes_so_long_after_the_start(self) -> None:
        hub = emulator("--app", "empty", "--crash-after", "90", "--crash-for", "30").own_hub
        now, is_down = hub.clock.now(), hub.engine.host.is_down
        assert [is_down(now + seconds) for seconds in (80, 95, 110, 125)] == [
            False,
            True,
            True,
            False,
        ]

    def test_without_it_the_host_stays_up(self) -> None:
        hub = emulator("--app", "empty").own_hub
        assert not any(hub.engine.host.is_down(hub.clock.now() + s) for s in range(0, 3600, 10))


class TestRefusals:
    @pytest.mark.parametrize(
        ("code", "why"),
        [
            ("1 / 0", ", line 1: ZeroDivisionError: division by zero"),
            ("\n\nnonsense", ", line 3: NameError: name 'nonsense' is not defined"),
            ("def (", ": SyntaxError: invalid syntax ("),
            ("import nothing_at_all", ", line 1: ModuleNotFoundError: "),
            ("", " has no `functions = Functions()`"),
            ("functions = {}", " has no `functions = Functions()`"),
        ],
    )
    def test_a_file_that_cannot_be_served(self, tmp_path: Path, code: str, why: str) -> None:
        path = tmp_path / "app.py"
        path.write_text(code)
        said = refusal("--functions", str(path))
        assert said.startswith(f"--functions: {path}{why}")
        assert "\n" not in said

    async def test_of_a_refusal_the_command_says_one_line(self, tmp_path: Path) -> None:
        path = tmp_path / "app.txt"
        path.write_text(GREETING)
        outcome = await run("emulator", "--functions", str(path))
        assert outcome.code == 2
        assert outcome.err == (
            f"--functions: {path}: ImportError: the name of a file of Python ends in .py\n"
        )

    @pytest.mark.parametrize("option", ["--functions", "--key-file"])
    def test_a_file_that_is_missing(self, tmp_path: Path, option: str) -> None:
        path = tmp_path / "missing.py"
        said = refusal(option, str(path))
        assert said == f"{option}: cannot read {path}: No such file or directory"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--app", "casino"],
            ["--extension", "v1"],
            ["--crash-after", "0"],
            ["--crash-for", "-1"],
            ["--scan-rows", "0"],
        ],
    )
    def test_a_wrong_option(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            emulator(*arguments)
        assert ended.value.code == 2
        assert f"error: argument {arguments[0]}: " in capsys.readouterr().err


SCENARIO = """
duration: 1m
hubs: {OwnHub: {app: empty}}
events: [{at: 10s, do: start, orchestrator: Greet, id: greet, count: 3}]
expect: [{orchestrator: Greet, status: Completed, exactly: COUNT}]
"""


@pytest.mark.parametrize(
    ("count", "code", "said"),
    [
        (3, 0, "own: all 1 expectations met"),
        (4, 1, "own: expect[0]: 3 of name Greet, runtimeStatus Completed, where 4 are expected"),
    ],
)
async def test_a_scenario_is_rehearsed_with_functions_of_ones_own(
    tmp_path: Path, greeting: Path, count: int, code: int, said: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(SCENARIO.replace("COUNT", str(count)))
    arguments = ("--scenario", str(path), "--functions", str(greeting), "--rehearse")
    finished = await run("emulator", *arguments)
    assert (finished.code, finished.out.strip()) == (code, said)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--scenario", "chaos"), "--scenario: There is no scenario 'chaos'"),
        (("--timeline", "nowhere.json"), "--timeline: cannot read nowhere.json"),
        (("--fault", "explode"), "--fault: kind: 'explode' is none of"),
        (("--backend", "mssql", "--scan-rows", "5"), "--scan-rows: mssql has indexes"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], problem: str) -> None:
    said = refusal(*arguments)
    assert said.startswith(problem)
    assert "\n" not in said


async def test_without_a_scenario_there_is_nothing_to_rehearse() -> None:
    finished = await run("emulator", "--rehearse")
    assert finished.code == 2
    assert finished.err == "--rehearse: --rehearse needs --scenario\n"


async def test_a_fault_is_there_from_the_start() -> None:
    async with served("--app", "empty", "--fault", "throttled:seconds=7") as client:
        assert (await client.get("instances")).headers["retry-after"] == "7"
