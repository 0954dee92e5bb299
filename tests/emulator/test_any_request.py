"""Whatever somebody may send, the app answers, and raises nothing."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import Emulator, ExtensionVersion, Keys, ManualClock, TaskHub, create_app
from emulator.backends.mssql import MSSQL
from emulator.samples.recorded import functions
from tests.emulator.clients import strict
from tests.emulator.conftest import MAJOR_VERSIONS, NOW
from tests.emulator.test_bad_requests import NAMES, RUBBISH

pytestmark = pytest.mark.anyio


PIECES = st.sampled_from(
    [
        *("instances", "entities", "orchestrators", "HelloSequence", "Counter", "makeprimary"),
        *("raiseEvent", "terminate", "suspend", "resume", "rewind", "restart"),
        *("it", "@counter@x", "", "%2F"),
    ]
)
ODD = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#"))
PATHS = st.lists(PIECES | ODD, max_size=5).map("/".join)
NAMED = st.sampled_from([*NAMES, "instanceIdPrefix", "taskHub", "connection"])
VALUES = st.sampled_from([*RUBBISH[:-1], "0", "-1", "Unknown", "RecHub", "Other", "true"])
QUERIES = st.lists(st.builds("{}={}".format, NAMED, VALUES | ODD), max_size=4).map("&".join)
SAID = st.sampled_from([b"", b"1", b"{", b'{"a":[1]}', b"\xff", b'"\\udfff"']) | st.binary(
    max_size=20
)
BASES = st.sampled_from(["/durabletask/", "/runtime/webhooks/durabletask/", "/", "/emulator/"])
# What the reference knows as an error of the server.
KNOWN_ERRORS = {
    "System.InvalidOperationException",
    "System.FormatException",
    "DurableTask.AzureStorage.Storage.DurableTaskStorageException",
    "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
}


@dataclass(frozen=True)
class Question:
    """A request as a server hands it to the app, whatever a client may have sent."""

    method: str
    base: str
    path: str
    query: str
    body: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)

    async def ask(self, emulator: Emulator) -> tuple[int, str]:
        """Return the status and the body of the answer; what the app raises comes out."""
        path = self.base + self.path
        scope = {
            "type": "http",
            "method": self.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": self.query.encode(),
            "headers": [*self.headers.items()],
        }
        sent: list[Any] = []
        bodies = iter([self.body])

        async def receive() -> Any:  # noqa: ANN401 - as ASGI has it
            body = next(bodies, None)
            if body is None:
                await anyio.sleep_forever()
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
            sent.append(message)

        with anyio.fail_after(60):
            await create_app(emulator)(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent).decode()


QUESTIONS = st.builds(
    Question,
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT"]),
    base=BASES,
    path=PATHS,
    query=QUERIES,
    body=SAID,
    headers=st.fixed_dictionaries(
        {},
        optional={
            b"content-type": st.sampled_from([b"application/json", b"text/plain", b"\xff"]),
            b"x-ms-continuation-token": st.sampled_from([b"", b"MQ==", b"\xff", b"e30="]),
            b"x-functions-key": st.sampled_from([b"k", b"\xff"]),
            b"host": st.sampled_from([b"x", b"\xff", b""]),
        },
    ),
)


@pytest.mark.parametrize("api", MAJOR_VERSIONS)
@settings(max_examples=80, deadline=None, derandomize=True)
@given(question=QUESTIONS)
async def test_whatever_is_asked_is_answered(api: ExtensionVersion, question: Question) -> None:
    await is_answered(api, question)


@pytest.mark.nightly
@pytest.mark.parametrize("api", MAJOR_VERSIONS)
@settings(max_examples=2000, deadline=None, derandomize=True)
@given(question=QUESTIONS)
async def test_so_is_much_more(api: ExtensionVersion, question: Question) -> None:
    await is_answered(api, question)


async def is_answered(api: ExtensionVersion, question: Question) -> None:
    clock = ManualClock(NOW)
    hub = TaskHub("RecHub", clock, functions=functions, version=api)
    hub.engine.start("WaitsForever", "it", None, NOW)
    hub.engine.signal("Counter", "x", "add", "1", NOW)
    clock.advance(1)
    status, said = await question.ask(Emulator(hub, clock=clock, keys=Keys(system="k")))
    clock.advance(1)
    hub.advance()
    if "durabletask" in question.base and said:
        answer = strict(said)
        assert status < 500 or answer["ExceptionType"] in KNOWN_ERRORS
    else:
        assert status < 500


@pytest.mark.parametrize("name", ["žluť", "a\r\nX-Header: 1", "a&b=c", "RecHub"])
async def test_a_hub_that_a_link_names_cannot_break_out_of_it(
    clock: ManualClock, name: str
) -> None:
    # To MSSQL the name does not matter, so it may be any text.
    hub = TaskHub("RecHub", clock, functions=functions, backend=MSSQL())
    question = Question("POST", "/durabletask/", "orchestrators/F/it", f"taskHub={quote(name)}")
    status, said = await question.ask(Emulator(hub, clock=clock))
    link = strict(said)["statusQueryGetUri"]
    assert (status, httpx.QueryParams(urlsplit(link).query)["taskHub"]) == (202, name)
