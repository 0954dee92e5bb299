"""Bad input to every route: the answer of the reference, never a traceback, never a hang."""

from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import quote

import httpx
import pytest

from emulator import (
    Emulator,
    EntityId,
    ExtensionVersion,
    Keys,
    ManualClock,
    TaskHub,
    running,
)
from emulator.backends.azure_storage import AzureStorage
from emulator.backends.backend import Backend
from emulator.backends.mssql import MSSQL
from emulator.backends.netherite import Netherite
from emulator.http import app as http_app
from emulator.samples.recorded import functions
from tests.emulator.clients import strict
from tests.emulator.conftest import MAJOR_VERSIONS, NOW, OPTIONS
from tests.emulator.hubs import entity_of, instance, instance_of, move

pytestmark = pytest.mark.anyio

V2, V3 = ExtensionVersion.V2, ExtensionVersion.V3
JSON = {"content-type": "application/json"}
ERROR = ["Message", "ExceptionMessage", "ExceptionType", "StackTrace"]
LIMIT = 1000
RUBBISH = ("", "%00", "%FF", "NaN", "1e5", "-", "9" * 5000, "%zz", "a=b", ",", "+", "٣")
NAMES = (
    "createdTimeFrom",
    "createdTimeTo",
    "runtimeStatus",
    "showInput",
    "top",
    "lastOperationTimeFrom",
    "lastOperationTimeTo",
    "fetchState",
    "showHistory",
    "returnInternalServerErrorOnFailure",
    "reason",
    "op",
    "timeout",
    "pollingInterval",
    "restartWithNewInstanceId",
    "code",
    "",
)


@pytest.fixture(params=MAJOR_VERSIONS)
def version(request: pytest.FixtureRequest) -> ExtensionVersion:
    version: ExtensionVersion = request.param
    return version


@pytest.fixture
def hub(clock: ManualClock, version: ExtensionVersion) -> TaskHub:
    return TaskHub("RecHub", clock, functions=functions, version=version)


@pytest.fixture
def emulator(hub: TaskHub, clock: ManualClock) -> Emulator:
    return Emulator(hub, clock=clock, keys=Keys(system="the-system-key"))


@pytest.fixture(autouse=True)
def server_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail where the server logs anything: it logs the tracebacks of the app."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


class TestMethods:
    PATHS = (
        ("orchestrators/HelloSequence", {"POST"}),
        ("orchestrators/HelloSequence/id", {"POST"}),
        ("instances", {"GET", "DELETE"}),
        ("instances/it", {"GET", "DELETE"}),
        ("instances/it/raiseEvent/E", {"POST"}),
        ("instances/it/terminate", {"POST"}),
        ("instances/it/suspend", {"POST"}),
        ("instances/it/resume", {"POST"}),
        ("instances/it/rewind", {"POST"}),
        ("instances/it/restart", {"POST"}),
        ("entities", {"GET"}),
        ("entities/Counter", {"GET", "POST", "DELETE"}),
        ("entities/Counter/x", {"GET", "POST", "DELETE"}),
    )
    METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")

    @pytest.mark.parametrize(("path", "allowed"), PATHS)
    async def test_all_but_those_of_a_route_are_an_empty_404(
        self, local: httpx.AsyncClient, hub: TaskHub, path: str, allowed: set[str]
    ) -> None:
        hub.put(instance("it"))
        for method in sorted({*self.METHODS} - allowed):
            answer = await local.request(method, path, content=b"{", headers=JSON)
            assert (method, answer.status_code, answer.content) == (method, 404, b"")
        assert [row.instance_id for row in hub.instances()] == ["it"]

    @pytest.mark.parametrize("method", METHODS)
    async def test_makeprimary_takes_any(self, local: httpx.AsyncClient, method: str) -> None:
        answer = await local.request(method, "makeprimary")
        assert (answer.status_code, answer.content) == (200, b"")


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "nothing",
            "instances/it/unknown",
            "instances/it/terminate/now",
            "instances/it/raiseEvent",
            "instances//terminate",
            "orchestrators",
            "orchestrators/a/b/c",
            "entities/a/b/c",
            "makeprimary/now",
            "instances%",
        ],
    )
    async def test_what_is_no_route_is_an_empty_404(
        self, local: httpx.AsyncClient, path: str
    ) -> None:
        for method in ("GET", "POST", "DELETE"):
            answer = await self.ask(local, method, path)
            assert (answer.status_code, answer.content) == (404, b"")

    @pytest.mark.parametrize(
        "instance_id",
        [
            "%00",
            "a%00b",
            "%0D%0AX-Header:%201",
            "%7F",
            "%FF%FE",
            "%ED%A0%80",
            "%C5%BE",
            "%zz",
            "%",
            "%25",
            "%2525",
            "a;b=c,d",
            "@",
            "@@",
            "@a",
            "@a@b@c",
            "x" * 5000,
            "%20",
        ],
    )
    async def test_an_id_may_be_odd(
        self, local: httpx.AsyncClient, hub: TaskHub, version: ExtensionVersion, instance_id: str
    ) -> None:
        started = await self.ask(local, "POST", f"orchestrators/WaitsForever/{instance_id}")
        assert started.status_code in ({202} if version is V3 else {202, 400})
        if started.status_code == 202:
            (row,) = hub.instances()
            assert strict(started.text)["id"] == row.instance_id.replace("\ud800", "\ufffd")
        else:
            assert list(started.json()) == ERROR
            assert [*hub.instances()] == []
        known = started.status_code == 202
        read = await self.ask(local, "GET", f"instances/{instance_id}")
        assert read.status_code == (202 if known else 404)
        for operation in ("suspend", "raiseEvent/E", "terminate"):
            answer = await self.ask(local, "POST", f"instances/{instance_id}/{operation}")
            assert answer.status_code == (202 if known else 404)
        move(hub, 1)
        purged = await self.ask(local, "DELETE", f"instances/{instance_id}")
        assert purged.status_code == (200 if known or instance_id[0] + version == "@v3" else 404)

    @staticmethod
    async def ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
        url = client.base_url.copy_with(raw_path=f"/durabletask/{path}".encode())
        return await client.request(method, url, json=1)

    @pytest.mark.parametrize(
        "instance_id", ["a b", "žluť", "a:b", "@c@d", "a#b?c", "~*()!", "a\nb"]
    )
    async def test_an_instance_is_where_its_start_says(
        self, local: httpx.AsyncClient, web_hook: httpx.AsyncClient, hub: TaskHub, instance_id: str
    ) -> None:
        started = await self.ask(local, "POST", f"orchestrators/WaitsForever/{quote(instance_id)}")
        if hub.version is V2 and set(instance_id) & set("@#?\n"):
            assert started.status_code == 400
            return
        links = started.json()
        found = await web_hook.get(links["statusQueryGetUri"])
        assert links["id"] == instance_id
        # To v2 a plus is a plus, but the links that it hands out have them for blanks.
        lost = hub.version is V2 and " " in instance_id
        assert found.status_code == (404 if lost else 202)
        assert lost or found.json()["instanceId"] == instance_id


# A body, and what starts, events and signals with it come to.
BODIES: list[tuple[bytes, tuple[int, int, int]]] = [
    (b"", (202, 400, 202)),
    (b"1", (202, 202, 202)),
    (b" [1, {}] \n", (202, 202, 202)),
    (b"\xef\xbb\xbf1", (202, 202, 202)),
    (b'"\xff\xfe"', (202, 202, 202)),
    (b'"\\ud800"', (202, 202, 202)),
    (b'"\\u0000"', (202, 202, 202)),
    (b"NaN", (202, 202, 202)),
    (b"1e999", (202, 202, 202)),
    (b'{"a":1,"a":2}', (202, 202, 202)),
    (b"[" * 64 + b"]" * 64, (202, 202, 202)),
    (b'{"a":' * 64 + b"1" + b"}" * 64, (202, 202, 202)),
    (b"[" * 65 + b"]" * 65, (400, 400, 400)),
    (b'{"a":' * 65 + b"1" + b"}" * 65, (400, 400, 400)),
    (b"[" * 100_000, (400, 400, 400)),
    (b"[" * 100_000 + b"]" * 100_000, (400, 400, 400)),
    (b"9" * 5000, (400, 400, 400)),
    (b" ", (400, 400, 400)),
    (b"{", (400, 400, 400)),
    (b'{"a"', (400, 400, 400)),
    (b"[1", (400, 400, 400)),
    (b"hello", (400, 400, 400)),
    (b"1 2", (400, 400, 400)),
    (b'"', (400, 400, 400)),
    (b'"\\x"', (400, 400, 400)),
    (b"\x00", (400, 400, 400)),
    (b"\xff\xfe1\x00", (400, 400, 400)),
    ('"ž"'.encode("utf-16"), (400, 400, 400)),
    (b"<xml/>", (400, 400, 400)),
]


class TestBodies:
    @pytest.mark.parametrize(("body", "expected"), BODIES)
    async def test_a_body_is_one_json_value(
        self,
        local: httpx.AsyncClient,
        hub: TaskHub,
        body: bytes,
        expected: tuple[int, int, int],
    ) -> None:
        hub.engine.start("WaitsForever", "it", None, NOW)
        paths = (
            "orchestrators/WaitsForever/new",
            "instances/it/raiseEvent/E",
            "entities/Profile/x?op=set",
        )
        answers = [await local.post(path, content=body, headers=JSON) for path in paths]
        assert tuple(answer.status_code for answer in answers) == expected
        complaints = [a.json() for a in answers if a.status_code == 400]
        assert all(list(each) in (ERROR, ["Message"]) for each in complaints)
        move(hub, 1)
        assert (hub.get("new") is not None, hub.get("@profile@x") is not None) == (
            expected[0] == 202,
            expected[2] == 202,
        )
        for path in (
            "instances",
            "instances/it?showHistory=true",
            "entities/Profile?fetchState=true",
        ):
            strict((await local.get(path)).text)

    @pytest.mark.parametrize(
        ("body", "shown"),
        [
            (b'"\xff"', "\ufffd"),
            (b'"\\ud800"', "\ufffd"),
            (b'"\\ud83d\\ude00"', "😀"),
            (b'"\\u0000"', "\0"),
            (b"NaN", "NaN"),
            (b"[-1e999]", ["-Infinity"]),
            (b'{"a":1,"a":2}', {"a": 2}),
        ],
    )
    async def test_odd_values_come_back_as_json(
        self, local: httpx.AsyncClient, hub: TaskHub, body: bytes, shown: object
    ) -> None:
        await local.post("orchestrators/WaitsForever/it", content=body)
        await local.post("entities/Profile/x?op=set", content=body, headers=JSON)
        move(hub, 1)
        assert strict((await local.get("instances/it")).text)["input"] == shown
        assert strict((await local.get("entities/Profile/x")).text) == shown
        assert strict((await local.get("instances?instanceIdPrefix=it")).text)[0]["input"] == shown

    @pytest.mark.parametrize(
        ("content_type", "event", "state"),
        [
            (None, 400, "1"),
            ("", 400, "1"),
            ("text/plain", 400, "1"),
            ("application/jsonp", 400, "1"),
            (";", 400, "1"),
            ("application/x-www-form-urlencoded", 400, "1"),
            ("application/json", 202, 1),
            ("APPLICATION/JSON ; charset=utf-8", 202, 1),
            ("application/json; charset=nonsense", 202, 1),
            ("application/json;;=", 202, 1),
        ],
    )
    async def test_only_json_is_json(
        self,
        local: httpx.AsyncClient,
        hub: TaskHub,
        content_type: str | None,
        event: int,
        state: object,
    ) -> None:
        hub.engine.start("WaitsForever", "it", None, NOW)
        headers = {} if content_type is None else {"content-type": content_type}
        raised = await local.post("instances/it/raiseEvent/E", content=b"1", headers=headers)
        assert raised.status_code == event
        signalled = await local.post("entities/Profile/x?op=set", content=b"1", headers=headers)
        assert signalled.status_code == 202
        move(hub, 1)
        assert entity_of(hub, EntityId("profile", "x")).state == state

    @pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
    async def test_one_that_is_too_large_is_refused(
        self, local: httpx.AsyncClient, hub: TaskHub, monkeypatch: pytest.MonkeyPatch, size: int
    ) -> None:
        monkeypatch.setattr(http_app, "MAXIMUM_BODY_BYTES", LIMIT)
        answer = await local.post("orchestrators/WaitsForever/it", content=b"1".rjust(size))
        assert answer.status_code == (202 if size == LIMIT else 413)
        assert (hub.get("it") is None) == (size > LIMIT)

    async def test_one_that_nobody_reads_may_be_any_size(
        self, local: httpx.AsyncClient, hub: TaskHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_app, "MAXIMUM_BODY_BYTES", LIMIT)
        hub.put(instance("it"))
        for method, path in (("GET", "instances"), ("POST", "instances/it/terminate")):
            answer = await local.request(method, path, content=b"x" * 100_000)
            assert answer.status_code in (200, 202)

    async def test_it_may_come_in_many_chunks(self, local: httpx.AsyncClient, hub: TaskHub) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for digit in b"[1,2,3]":
                yield bytes([digit])

        await local.post("orchestrators/WaitsForever/it", content=chunks())
        assert instance_of(hub, "it").input == [1, 2, 3]


class TestParameters:
    @pytest.mark.parametrize("name", NAMES)
    async def test_rubbish_is_as_good_as_nothing(
        self, local: httpx.AsyncClient, hub: TaskHub, name: str
    ) -> None:
        hub.put(instance("it"))
        paths = ("instances", "entities", "instances/it")
        plain = [(await local.get(path)).text for path in paths]
        for value in RUBBISH:
            for path, expected in zip(paths, plain, strict=True):
                answer = await local.get(f"{path}?{name}={value}")
                assert (answer.text, value) == (expected, value)

    @pytest.mark.parametrize("query", ["&" * 20_000, "top=1&" * 5000, "a" * 50_000, "=", "?", "%"])
    async def test_a_query_may_be_long_and_odd(
        self, local: httpx.AsyncClient, hub: TaskHub, query: str
    ) -> None:
        hub.put(instance("it"))
        assert len((await local.get(f"instances?{query}")).json()) == 1

    @pytest.mark.parametrize(
        ("query", "v2", "v3"),
        [
            ("top=-1", 400, 500),
            ("top=0", 400, 200),
            ("top=2147483647", 200, 200),
            ("runtimeStatus=Unknown", 400, 400),
            ("runtimeStatus=-1", 400, 400),
            ("taskHub=no-such", 400, 500),
            ("taskHub=%00", 400, 500),
            ("taskHub=" + "h" * 60, 400, 500),
            ("connection=Other", 500, 500),
            ("connection=%FF", 500, 500),
        ],
    )
    async def test_what_the_storage_cannot_take_is_an_error_object(
        self, local: httpx.AsyncClient, version: ExtensionVersion, query: str, v2: int, v3: int
    ) -> None:
        answer = await local.get(f"instances?{query}")
        assert answer.status_code == (v2 if version is V2 else v3)
        assert answer.status_code == 200 or list(answer.json()) == ERROR

    @pytest.mark.parametrize(
        "token",
        ["x", "bnVsbA==", "!", "e30=", "a" * 5000, "W10=", "\u00ff\u00fe", "MQ== MQ== MQ=="],
    )
    async def test_a_token_may_be_rubbish(
        self, local: httpx.AsyncClient, hub: TaskHub, version: ExtensionVersion, token: str
    ) -> None:
        hub.put(instance("it"))
        for path in ("instances", "entities"):
            headers = {b"x-ms-continuation-token": token.encode("latin-1")}
            answer = await local.get(path, headers=headers)
            assert answer.status_code in ({200} if version is V3 else {200, 500})
            assert answer.status_code == 200 or list(answer.json()) == ERROR

    @pytest.mark.parametrize("backend", [AzureStorage, MSSQL, Netherite])
    async def test_a_token_may_name_any_id(
        self, clock: ManualClock, backend: Callable[[], Backend]
    ) -> None:
        hub = TaskHub("RecHub", clock, functions=functions, backend=backend())
        ids = [f"{name}-{number}" for name in ("žluť", "a\r\nb", "😀") for number in range(20)]
        for instance_id in ids:
            hub.put(instance(instance_id))
        found: list[str] = []
        token = ""
        async with (
            running(Emulator(hub, clock=clock)) as url,
            httpx.AsyncClient(base_url=f"{url}/durabletask/", **OPTIONS) as client,
        ):
            while token or not found:
                headers = {"x-ms-continuation-token": token}
                answer = await client.get("instances?top=1", headers=headers)
                found += [row["instanceId"] for row in answer.json()]
                token = answer.headers["x-ms-continuation-token"]
        assert sorted(found) == sorted(ids)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("timeout=nan&pollingInterval=1", 202),
            ("timeout=1e309&pollingInterval=1", 202),
            ("timeout=-1&pollingInterval=-2", 202),
            ("timeout=0&pollingInterval=0", 202),
            ("timeout=5&pollingInterval=x", 202),
            ("timeout=5&timeout=6&pollingInterval=1", 202),
            ("timeout=1&pollingInterval=2", 400),
        ],
    )
    async def test_a_wait_that_makes_no_sense_does_not_happen(
        self, local: httpx.AsyncClient, query: str, status: int
    ) -> None:
        answer = await local.post(f"orchestrators/WaitsForever?{query}")
        assert answer.status_code == status

    @pytest.mark.parametrize(
        ("reason", "shown"),
        [
            ("%00", "\0"),
            ("%FF", "\ufffd"),
            ("%22%5Cud800%22", "\ufffd"),
            ("NaN", "NaN"),
            ("[" * 900 + "]" * 900, "[" * 900 + "]" * 900),
            ("x" * 50_000, "x" * 50_000),
            ("%7B%22a%22:1%7D", {"a": 1}),
            ("9" * 5000, "9" * 5000),
        ],
    )
    async def test_a_reason_may_be_any_text(
        self, local: httpx.AsyncClient, hub: TaskHub, reason: str, shown: object
    ) -> None:
        hub.engine.start("Parent", "it", '"WaitsForever"', NOW)
        move(hub, 1)
        assert (
            await local.post(f"instances/it:child/terminate?reason={reason}")
        ).status_code == 202
        move(hub, 1)
        assert strict((await local.get("instances/it:child")).text)["output"] == shown
        strict((await local.get("instances/it?showHistory=true")).text)
