import json
import re
from email.utils import parsedate_to_datetime

import httpx
import pytest

from emulator import (
    Crash,
    Emulator,
    ExtensionVersion,
    Fault,
    FaultKind,
    Functions,
    ManualClock,
    Operation,
    TaskHub,
    running,
)
from emulator.faults import Faults, parse_fault, read_fault
from tests.emulator.hubs import instance

pytestmark = pytest.mark.anyio

# For a server that says nothing; to connect may take longer on a busy machine.
BRIEFLY = httpx.Timeout(60, read=0.05)

TOKEN = "x-ms-continuation-token"
LIST, GET = Operation.LIST_INSTANCES, Operation.GET_INSTANCE


class TestScript:
    def test_without_faults_all_goes_well(self) -> None:
        assert Faults().strike(LIST) is None

    def test_a_fault_strikes_its_operations_only(self) -> None:
        faults = Faults()
        faults.set(Fault(kind=FaultKind.ERROR, operations={GET}))
        assert [faults.strike(LIST), bool(faults.strike(GET))] == [None, True]

    def test_a_fault_passes_when_it_has_struck_often_enough(self) -> None:
        faults = Faults()
        faults.set(Fault(kind=FaultKind.ERROR, times=2, skip=1))
        assert [bool(faults.strike(LIST)) for _ in range(4)] == [False, True, True, False]

    def test_faults_strike_one_after_the_other(self) -> None:
        faults = Faults()
        faults.set(Fault(kind=FaultKind.ERROR, times=1), Fault(kind=FaultKind.HTML))
        kinds = [fault and fault.kind for fault in (faults.strike(LIST) for _ in range(3))]
        assert kinds == [FaultKind.ERROR, FaultKind.HTML, FaultKind.HTML]

    @pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.95])
    def test_a_rate_is_met(self, rate: float) -> None:
        faults = Faults("seed")
        faults.set(Fault(kind=FaultKind.ERROR, rate=rate))
        struck = sum(faults.strike(LIST) is not None for _ in range(10_000))
        # Five standard deviations of a binomial distribution.
        assert abs(struck - 10_000 * rate) < 5 * (10_000 * rate * (1 - rate)) ** 0.5

    def test_a_rate_is_the_same_for_a_seed(self) -> None:
        runs = [Faults(seed) for seed in ("a", "a", "b")]
        for faults in runs:
            faults.set(Fault(kind=FaultKind.ERROR, rate=0.5))
        first, again, other = ([bool(f.strike(LIST)) for _ in range(64)] for f in runs)
        assert first == again != other

    @pytest.mark.parametrize("wrong", [{"rate": 0}, {"rate": 1.5}, {"times": -1}, {"skip": -1}])
    def test_impossible_numbers_are_refused(self, wrong: dict[str, int]) -> None:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Fault(kind=FaultKind.ERROR, **wrong)  # type: ignore[arg-type]

    def test_what_is_left_is_told(self) -> None:
        faults = Faults()
        once, always = Fault(kind=FaultKind.HTML, times=1), Fault(kind=FaultKind.ERROR)
        faults.set(once, always)
        assert faults.current == (once, always)
        faults.strike(LIST)
        assert list(faults.current) == [always]

    def test_faults_can_be_cleared(self) -> None:
        faults = Faults()
        faults.set(Fault(kind=FaultKind.ERROR))
        faults.clear()
        assert faults.strike(LIST) is None


class TestReading:
    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("error", Fault(kind=FaultKind.ERROR)),
            ("throttled:seconds=5,rate=0.2", Fault(kind=FaultKind.THROTTLED, seconds=5, rate=0.2)),
            (
                "slow:operations=list_instances+get_instance,times=3,skip=1",
                Fault(kind=FaultKind.SLOW, operations=frozenset((LIST, GET)), times=3, skip=1),
            ),
        ],
    )
    def test_from_a_command_line(self, text: str, fault: Fault) -> None:
        assert parse_fault(text) == fault

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("explode", "kind: 'explode' is none of clock_skew, cut, "),
            ("error:operations=explode", "operations: 'explode' is none of delete_entity, "),
            ("error:rate=often", "rate must be a number, not 'often'"),
            ("error:rate=2", "rate must be above 0"),
            ("error:often", "'often' is not of the form name=value"),
            ("error:how=often", "A fault has no how; it has kind, operations, rate"),
        ],
    )
    def test_what_is_wrong_is_said_with_what_there_is(self, text: str, problem: str) -> None:
        with pytest.raises(ValueError, match=re.escape(problem)):
            parse_fault(text)

    def test_operations_of_a_file_are_a_list(self) -> None:
        with pytest.raises(ValueError, match="operations must be a list"):
            read_fault({"kind": "error", "operations": 5})


class TestAnswers:
    @pytest.mark.parametrize(
        ("kind", "status", "content_type"),
        [
            (FaultKind.UNAUTHORIZED, 401, None),
            (FaultKind.STOPPED, 403, "text/html"),
            (FaultKind.RESTRICTED, 403, "text/plain"),
            (FaultKind.FORBIDDEN, 403, None),
            (FaultKind.THROTTLED, 429, None),
            (FaultKind.ERROR, 500, "application/json; charset=utf-8"),
            (FaultKind.ERROR_WITHOUT_BODY, 500, None),
            (FaultKind.UNAVAILABLE, 503, "text/plain"),
            (FaultKind.HTML, 200, "text/html"),
            (FaultKind.REDIRECT, 302, None),
        ],
    )
    async def test_they_come_in_place_of_the_right_one(
        self,
        web_hook: httpx.AsyncClient,
        hub: TaskHub,
        kind: FaultKind,
        status: int,
        content_type: str | None,
    ) -> None:
        hub.faults.set(Fault(kind=kind, times=1))
        answer = await web_hook.get("instances")
        assert (answer.status_code, answer.headers.get("content-type")) == (status, content_type)
        assert (answer.content == b"") == (content_type is None)
        assert (await web_hook.get("instances")).json() == []

    @pytest.mark.parametrize(("seconds", "header"), [(None, None), (7, "7")])
    async def test_throttling_may_say_for_how_long(
        self,
        web_hook: httpx.AsyncClient,
        hub: TaskHub,
        seconds: float | None,
        header: str | None,
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.THROTTLED, seconds=seconds))
        answer = await web_hook.get("instances")
        assert answer.headers["x-function-scaleout"] == "1"
        assert answer.headers.get("retry-after") == header

    async def test_an_error_has_an_error_object(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.ERROR))
        assert list((await web_hook.get("instances")).json()) == [
            "Message",
            "ExceptionMessage",
            "ExceptionType",
            "StackTrace",
        ]

    async def test_malformed_json_breaks_off(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.MALFORMED))
        answer = await web_hook.get("instances")
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()

    async def test_the_wrong_type_is_good_json(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.WRONG_TYPE))
        assert isinstance((await web_hook.get("instances")).json(), dict)
        assert isinstance((await web_hook.get("instances/a")).json(), list)

    async def test_a_slow_answer_is_right(self, web_hook: httpx.AsyncClient, hub: TaskHub) -> None:
        hub.faults.set(Fault(kind=FaultKind.SLOW, seconds=0.01))
        assert (await web_hook.get("instances")).json() == []

    async def test_a_dropped_filter_shows_every_row(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.DROPPED_FILTER))
        answer = await web_hook.get("instances?runtimeStatus=Failed&createdTimeTo=2000-01-01")
        assert [row["instanceId"] for row in answer.json()] == ["a"]


class TestTokens:
    async def test_endless_ones_are_new_each_time(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.ENDLESS_TOKEN))
        answers = [await web_hook.get("instances") for _ in range(3)]
        assert len({answer.headers[TOKEN] for answer in answers}) == 3
        assert all(answer.json() == [] for answer in answers)

    async def test_they_are_of_the_version(
        self, web_hook: httpx.AsyncClient, emulator: Emulator, hub: TaskHub
    ) -> None:
        emulator.version = ExtensionVersion.V2
        hub.faults.set(Fault(kind=FaultKind.ENDLESS_TOKEN, times=1))
        token = (await web_hook.get("instances")).headers[TOKEN]
        assert (await web_hook.get("instances", headers={TOKEN: token})).json() == []

    async def test_repeated_ones_are_the_same(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.REPEATED_TOKEN))
        answers = [await web_hook.get("instances") for _ in range(2)]
        assert len({answer.headers[TOKEN] for answer in answers}) == 1

    async def test_a_silent_end_hides_the_rest(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        for instance_id in "ab":
            hub.put(instance(instance_id))
        hub.faults.set(Fault(kind=FaultKind.SILENT_END))
        answer = await web_hook.get("instances?top=1")
        assert (len(answer.json()), TOKEN in answer.headers) == (1, False)

    async def test_statuses_have_none(self, web_hook: httpx.AsyncClient, hub: TaskHub) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.ENDLESS_TOKEN))
        answer = await web_hook.get("instances/a")
        assert (answer.json()["instanceId"], TOKEN in answer.headers) == ("a", False)


class TestConnection:
    async def test_a_hanging_server_answers_nothing(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.HANG, times=1))
        with pytest.raises(httpx.ReadTimeout):
            await web_hook.get("instances", timeout=BRIEFLY)
        assert (await web_hook.get("instances")).status_code == 200
        assert capfd.readouterr().err == ""

    async def test_a_cut_answer_ends_too_early(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.CUT, times=1))
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
            await web_hook.get("instances")
        assert (await web_hook.get("instances")).status_code == 200
        assert capfd.readouterr().err == ""

    async def test_a_huge_answer_has_no_end(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, capfd: pytest.CaptureFixture[str]
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.HUGE, times=1))
        received = 0
        async with web_hook.stream("GET", "instances") as answer:
            async for chunk in answer.aiter_bytes():
                received += len(chunk)
                if received > 2_000_000:
                    break
        assert (await web_hook.get("instances")).status_code == 200
        assert capfd.readouterr().err == ""


class TestMoreAnswers:
    async def test_a_right_body_may_come_with_500(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.put(instance("a"))
        hub.faults.set(Fault(kind=FaultKind.ERROR_WITH_BODY))
        answer = await web_hook.get("instances/a")
        assert (answer.status_code, answer.json()["instanceId"]) == (500, "a")

    async def test_a_starting_host_holds_requests_and_then_refuses(
        self, web_hook: httpx.AsyncClient, hub: TaskHub
    ) -> None:
        hub.faults.set(Fault(kind=FaultKind.STARTING, seconds=0.01))
        assert (await web_hook.get("instances")).status_code == 503
        hub.faults.set(Fault(kind=FaultKind.STARTING))
        with pytest.raises(httpx.ReadTimeout):
            await web_hook.get("instances", timeout=BRIEFLY)

    @pytest.mark.parametrize("seconds", [200, -200])
    async def test_a_clock_may_be_wrong(
        self, web_hook: httpx.AsyncClient, hub: TaskHub, seconds: int
    ) -> None:
        right = parsedate_to_datetime((await web_hook.get("instances")).headers["date"])
        hub.faults.set(Fault(kind=FaultKind.CLOCK_SKEW, seconds=seconds))
        wrong = parsedate_to_datetime((await web_hook.get("instances")).headers["date"])
        assert (wrong - right).total_seconds() == seconds


async def test_a_crashed_host_answers_nothing_until_it_is_back(clock: ManualClock) -> None:
    crash = Crash(at=clock.now() + 10, down=60)
    hub = TaskHub("OrdersHub", clock, functions=Functions(), crashes=[crash])
    statuses = []
    async with (
        running(Emulator(hub, clock=clock)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        for seconds in (0, 15, 50, 10):
            clock.advance(seconds)
            statuses.append((await client.get("/durabletask/instances")).status_code)
    assert statuses == [200, 503, 503, 200]
