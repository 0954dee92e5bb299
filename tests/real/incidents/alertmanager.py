"""A real Alertmanager on loopback, and the receiver of what it sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exporter.web.server import listening
from tests.real.program import running_program
from tests.tools import tool


class Notified(msgspec.Struct, frozen=True):
    """One alert of a notification; *status* is `firing` or `resolved`."""

    status: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]

    @property
    def task_hub(self) -> str:
        """The hub that it is about, empty where it is about the exporter."""
        return self.labels.get("task_hub", "")


class _Notification(msgspec.Struct):
    alerts: list[Notified]


@dataclass(slots=True)
class Receiver:
    """Keeps every alert that arrives, in order; a repeated notification arrives again."""

    url: str = ""
    arrived: list[Notified] = field(default_factory=list)

    def firing(self) -> set[tuple[str, str]]:
        """Names and hubs of the alerts whose last word was that they fire."""
        last = {(each.name, each.task_hub): each.status for each in self.arrived}
        return {alert for alert, status in last.items() if status == "firing"}

    def ever(self) -> set[tuple[str, str]]:
        """Names and hubs of all alerts that ever fired."""
        return {(each.name, each.task_hub) for each in self.arrived if each.status == "firing"}

    def resolved(self) -> set[tuple[str, str]]:
        """Names and hubs of all alerts that were ever said to be over."""
        return {(each.name, each.task_hub) for each in self.arrived if each.status == "resolved"}

    def forget(self, name: str) -> None:
        """Drop all arrivals of an alert."""
        self.arrived = [each for each in self.arrived if each.name != name]

    async def take(self, request: Request) -> Response:
        """Answer the webhook."""
        self.arrived += msgspec.json.decode(await request.body(), type=_Notification).alerts
        return Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Listen for notifications until the block is left."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/", receiver.take, methods=["POST"])])
    async with listening(app, "127.0.0.1", 0, grace_seconds=1.0) as server:
        receiver.url = f"http://127.0.0.1:{server.port}/"
        yield receiver


@asynccontextmanager
async def running_alertmanager(
    directory: Path,
    receiver: Receiver,
    inhibition: Mapping[str, object],
    *,
    group_wait: str = "1s",
) -> AsyncIterator[str]:
    """
    Run an Alertmanager that tells *receiver* of every change at once; yields its `host:port`.

    *inhibition* holds the shipped `inhibit_rules`. A new alert waits for *group_wait*.
    """
    route = {
        "receiver": "webhook",
        "group_by": ["..."],
        "group_wait": group_wait,
        "group_interval": "1s",
        "repeat_interval": "1h",
    }
    webhook = {"url": receiver.url, "send_resolved": True}
    config = {
        "route": route,
        "receivers": [{"name": "webhook", "webhook_configs": [webhook]}],
        **inhibition,
    }
    file = directory / "alertmanager.json"
    file.write_text(json.dumps(config))  # YAML reads JSON
    command = [
        str(tool("prometheus-alertmanager")),
        f"--config.file={file}",
        f"--storage.path={directory / 'alertmanager-data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    async with running_program(command, directory / "alertmanager.log") as program:
        yield await program.listening()
