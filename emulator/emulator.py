"""The emulated function app: keys, hubs, connection."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypeAlias

from emulator.api import (
    ApiError,
    ConnectionUnknown,
    ExtensionVersion,
    HubNameInvalid,
    StorageRefused,
)
from emulator.clock import Callback, Clock, EventQueue
from emulator.http.parameters import Parameters
from emulator.synthetic.hub import SyntheticHub
from emulator.task_hub import TaskHub

HEADER = "x-functions-key"

_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)


class Verdict(Enum):
    """The host's verdict on a key."""

    ALLOWED = auto()
    UNKNOWN = auto()
    WRONG_KIND = auto()


@dataclass(frozen=True, slots=True)
class Keys:
    """
    The keys of an app.

    `system`, that of the durable task extension, and `master` open the web hook; `others` are valid
    keys of another kind. Without a system key the web hook is open, as on a developer's machine.
    """

    system: str | None = field(default=None, repr=False)
    master: str | None = field(default=None, repr=False)
    others: frozenset[str] = field(default=frozenset(), repr=False)

    def verdict(self, headers: Mapping[str, str], parameters: Parameters) -> Verdict:
        """Check a request: the header takes precedence over `code`, right or wrong."""
        if self.system is None:
            return Verdict.ALLOWED
        key = headers.get(HEADER, parameters.text("code"))
        if key and key in (self.system, self.master):
            return Verdict.ALLOWED
        return Verdict.WRONG_KIND if key in self.others else Verdict.UNKNOWN


Hub: TypeAlias = TaskHub | SyntheticHub


class Emulator:
    """
    A function app with task hubs; the first is the app's own, the default of requests.

    `hubs` maps names in lower case to hubs; a request for an unknown hub creates it, as in the real
    one. `synthetic` hubs are found by name whatever the provider of the app's own.
    """

    def __init__(
        self,
        *hubs: TaskHub,
        clock: Clock,
        keys: Keys | None = None,
        connection: str = "Storage",
        synthetic: Sequence[SyntheticHub] = (),
    ) -> None:
        if not hubs:
            raise ValueError("An app has at least one task hub of its own")
        if len({hub.version for hub in hubs} | {hub.version for hub in synthetic}) > 1:
            raise ValueError("All hubs of an app are served by one version of the extension")
        self.clock = clock
        self.keys = keys or Keys()
        self.version = hubs[0].version
        self.hubs: dict[str, TaskHub] = {hub.name.lower(): hub for hub in hubs}
        self.synthetic = {hub.name.lower(): hub for hub in synthetic}
        self._own = hubs[0]
        self.connection = connection
        self._events = EventQueue()

    def at(self, time: float, callback: Callback) -> None:
        """Run a callback at a time, whichever hub is read then."""
        self._events.add(time, callback)

    def advance(self) -> float:
        """Run what is due by now, except in hubs, and return the time."""
        now = self.clock.now()
        self._events.advance(now)
        return now

    @property
    def every_hub(self) -> tuple[Hub, ...]:
        """All hubs, the app's own first and the synthetic ones last."""
        return (*self.hubs.values(), *self.synthetic.values())

    def add_synthetic(self, hub: SyntheticHub) -> None:
        """Add a synthetic hub, replacing one of the same name."""
        self.synthetic[hub.name.lower()] = hub

    def rotate_key(self, key: str) -> None:
        """Replace the system key."""
        self.keys = replace(self.keys, system=key)

    def set_own_hub(self, hub: TaskHub) -> None:
        """Make a hub the app's own, as a change of `hubName` does."""
        self._own = hub

    def swap(self, hub: TaskHub, other: TaskHub) -> None:
        """Exchange the contents of two hubs, as a slot swap does."""
        self.hubs[hub.name.lower()], self.hubs[other.name.lower()] = other, hub
        hub.name, other.name = other.name, hub.name
        if self._own in (hub, other):
            self._own = other if self._own is hub else hub

    @property
    def own_hub(self) -> TaskHub:
        """The app's own hub."""
        return self._own

    def find_hub(self, parameters: Parameters) -> Hub | None:
        """Return the hub that a request names, `None` if there is none yet."""
        self.advance()
        synthetic = self.synthetic.get((parameters.text("taskHub") or "").lower())
        if synthetic is not None:
            return synthetic
        name = None if self._own.backend.one_hub else parameters.text("taskHub")
        return self.hubs.get(name.lower()) if name else self._own

    def hub(self, parameters: Parameters) -> Hub:
        """
        Return the hub that a request names, creating it if necessary.

        Raises `ConnectionUnknown`, `HubNameInvalid` or `StorageRefused`, as the real one.
        """
        connection = parameters.text("connection")
        if connection and connection.lower() != self.connection.lower():
            raise ConnectionUnknown(connection)
        name = parameters.text("taskHub") or ""
        hub = self.find_hub(parameters) or self._create(name)
        if self._own.backend.one_hub:
            return hub
        # To v2 only the app's own hub is the same in any letter case.
        if self.version is ExtensionVersion.V2 and hub is not self._own and hub.name != name:
            raise StorageRefused("Not Found")
        return hub

    def _create(self, name: str) -> TaskHub:
        if not self._own.backend.allows_hub(name):
            raise _refusal(name, self.version)
        hub = TaskHub(name, self.clock, version=self.version, backend=self._own.backend)
        return self.hubs.setdefault(name.lower(), hub)


def _refusal(name: str, version: ExtensionVersion) -> ApiError:
    if version is not ExtensionVersion.V2:
        return StorageRefused()
    if not _TABLE_NAME.fullmatch(name):
        return HubNameInvalid(
            "Invalid table name. Check MSDN for more information about valid table naming."
        )
    return HubNameInvalid(
        "Invalid container name length. "
        "The container name must be between 3 and 63 characters long."
    )
