"""A function app as Azure describes it, with the emulator that answers for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from emulator.emulator import Emulator
from emulator.http.app import create_app
from emulator.json_text import JsonValue

DURABLE_BINDINGS = ("orchestrationTrigger", "activityTrigger")
RUNNING, STOPPED = "Running", "Stopped"


@dataclass(slots=True, eq=False)
class Site:
    """
    An app or a slot.

    `bindings` are those of its functions, one function each. With `has_login`, App Service
    authentication answers whoever is not signed in.
    """

    resource_id: str
    host: str
    emulator: Emulator
    kind: str = "functionapp,linux"
    location: str = "westeurope"
    tags: Mapping[str, str] = field(default_factory=dict)
    state: str = RUNNING
    bindings: tuple[str, ...] = DURABLE_BINDINGS
    has_login: bool = False
    master_key: str = "master-of-the-emulated-app"
    served: ASGIApp = field(init=False)

    def __post_init__(self) -> None:
        self.served = create_app(self.emulator)

    @property
    def subscription(self) -> str:
        """The subscription that it is in."""
        return self.resource_id.split("/")[2]

    @property
    def name(self) -> str:
        """Its name, that of a slot after that of its app."""
        _, _, path = self.resource_id.partition("/sites/")
        return path.replace("/slots/", "/")

    @property
    def type(self) -> str:
        """Its type, as Resource Graph spells it."""
        return "microsoft.web/sites" + ("/slots" if "/" in self.name else "")

    @property
    def is_running(self) -> bool:
        """Whether its host answers."""
        return self.state == RUNNING

    def row(self, port: int | None = None) -> dict[str, JsonValue]:
        """Return what Resource Graph knows of it; its host listens on a *port*."""
        return {
            "id": self.resource_id,
            "name": self.name,
            "type": self.type,
            "kind": self.kind,
            "resourceGroup": self.resource_id.split("/")[4].lower(),
            "subscriptionId": self.subscription,
            "location": self.location,
            "tags": dict(self.tags) or None,
            "properties": {
                "defaultHostName": self.host if port is None else f"{self.host}:{port}",
                "state": self.state,
                "enabled": self.is_running,
            },
        }

    def functions(self) -> list[JsonValue]:
        """Return its functions; a host that does not run names none."""
        if not self.is_running:
            return []
        return [
            {
                "id": f"{self.resource_id}/functions/{binding}",
                "name": f"{self.name}/{binding}",
                "type": "Microsoft.Web/sites/functions",
                "properties": {
                    "name": binding,
                    "config": {
                        "bindings": [{"type": binding, "name": "context", "direction": "in"}]
                    },
                },
            }
            for binding in self.bindings
        ]
