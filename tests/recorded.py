"""The recorded answers of the real extension, and a transport that replays them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from exporter.api.answers import BodyBudget
from exporter.api.client import HubClient, RequestLimits
from exporter.api.keys import KeySource
from exporter.api.pacing import HostSlots, RetryPolicy
from exporter.api.query import HubAddress
from exporter.api.transport import HubConnections

RECORDINGS = Path(__file__).parent / "data" / "recordings"
VERSIONS = ("v2", "v3")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to the real extension, and its answer."""

    version: str
    file: str
    label: str
    method: str
    target: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def __str__(self) -> str:
        return f"{self.version}/{self.file}: {self.label}"

    @property
    def path(self) -> str:
        return self.target.partition("?")[0].rstrip("/")

    @property
    def operation(self) -> str:
        """What of this client's operations the request is, or nothing."""
        segments = self.path.lower().split("durabletask", 1)[-1].strip("/").split("/")
        if self.method != "GET":
            return ""
        if segments == ["instances"]:
            return "listInstances"
        if segments[0] == "instances" and len(segments) == 2:
            return "getInstanceStatus"
        if segments[0] == "entities" and len(segments) <= 2:
            return "listEntities"
        return ""


@cache
def exchanges(*versions: str) -> tuple[Exchange, ...]:
    """Return every recorded exchange of some recordings, of the two main versions by default."""
    return tuple(_exchanges(*versions))


def _exchanges(*versions: str) -> Iterator[Exchange]:
    folders = [RECORDINGS / version for version in versions or VERSIONS]
    for path in (path for folder in folders for path in sorted(folder.glob("*"))):
        recording = json.loads(path.read_text(encoding="utf-8"))
        for entry in recording.get("exchanges", ()):
            request, response = entry["request"], entry["response"]
            yield Exchange(
                version=path.parent.name,
                file=path.stem,
                label=entry["label"],
                method=request["method"],
                target=request["target"],
                status=response["status"],
                headers=tuple((name, value) for name, value in response["headers"]),
                body=response["body"],
            )


def exchange(version: str, file: str, label: str) -> Exchange:
    """Return one exchange by its label."""
    (found,) = (
        entry
        for entry in exchanges(version)
        if (entry.version, entry.file, entry.label) == (version, file, label)
    )
    return found


def rows(entry: Exchange) -> list[dict[str, Any]]:
    """Return the rows of a recorded list, as plain JSON."""
    found: list[dict[str, Any]] = json.loads(entry.body)
    return found


class Replay(httpx.AsyncBaseTransport):
    """Answers with recorded exchanges, in order; keeps the requests it got."""

    def __init__(self, answers: Sequence[Exchange]) -> None:
        self._answers = iter(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        return httpx.Response(
            answer.status, headers=list(answer.headers), content=answer.body.encode()
        )


def replaying(answers: Sequence[Exchange]) -> tuple[HubClient, Replay]:
    """Return a client that gets *answers*, and never retries."""
    replay = Replay(answers)
    client = HubClient(
        "recorded",
        HubAddress("http://127.0.0.1:7071/runtime/webhooks/durabletask"),
        http=HubConnections(replay, connect_seconds=1.0),
        key=KeySource("systemkey"),
        retry=RetryPolicy(0, 0.0, 0.0),
        limits=RequestLimits(timeout=10.0, page_size=50, max_pages=100),
        host=HostSlots().of("http://hub", 1),
        bodies=BodyBudget(),
    )
    return client, replay
