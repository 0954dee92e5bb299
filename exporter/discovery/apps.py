"""Function apps as Azure describes them, and whether they run Durable Functions; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from exporter.settings.azure import match_resource_id

STOPPED = "Stopped"

_LONGEST_TEXT = 256
_MOST_TAGS = 50
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", re.ASCII)
# Logic Apps use the same extension for their own workflows.
_LOGIC_APP = "workflowapp"
_DURABLE_BINDINGS = frozenset({"orchestrationtrigger", "activitytrigger", "entitytrigger"})


class Verdict(StrEnum):
    """Whether an app runs Durable Functions."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class App(msgspec.Struct, frozen=True):
    """An app or slot by Resource Graph, checked and bounded."""

    resource_id: str
    host: str
    kind: str = ""
    region: str = ""
    state: str = ""
    tags: Mapping[str, str] = {}

    @property
    def key(self) -> str:
        """A unique key: the id without its case."""
        return self.resource_id.lower()

    @property
    def subscription(self) -> str:
        """Its subscription, in lower case."""
        return self._part("subscription").lower()

    @property
    def resource_group(self) -> str:
        """Its resource group, as spelled in its id."""
        return self._part("group")

    @property
    def slot(self) -> str:
        """The name of the slot, empty for an app."""
        return self._part("slot")

    @property
    def name(self) -> str:
        """Its name; a slot's is `app-slot`, as in its host name."""
        return "-".join(filter(None, (self._part("app"), self.slot)))

    @property
    def is_logic_app(self) -> bool:
        """Whether it is a Logic App."""
        return _LOGIC_APP in self.kind.lower()

    def _part(self, name: str) -> str:
        match = match_resource_id(self.resource_id)
        return (match[name] or "") if match else ""


class Row(msgspec.Struct, rename="camel"):
    """A row of Resource Graph."""

    id: str
    kind: str | None = None
    location: str | None = None
    tags: dict[str, str | None] | None = None
    default_host_name: str | None = None
    state: str | None = None


def app_of(row: Row) -> App | None:
    """Return the app in a row, None if its id or host is invalid."""
    host = (row.default_host_name or "").lower()
    if match_resource_id(row.id) is None or not _HOST.fullmatch(host):
        return None
    tags = list((row.tags or {}).items())[:_MOST_TAGS]
    return App(
        row.id,
        host,
        _bounded(row.kind),
        _bounded(row.location),
        _bounded(row.state),
        {_bounded(name): _bounded(value) for name, value in tags},
    )


def _bounded(text: str | None) -> str:
    return "".join(sign for sign in (text or "")[:_LONGEST_TEXT] if sign.isprintable())


class Binding(msgspec.Struct):
    """A binding of a function."""

    type: str | None = None


class Config(msgspec.Struct):
    """A function's `function.json`."""

    bindings: list[Binding] | None = None


class FunctionProperties(msgspec.Struct):
    """The properties of a function."""

    config: Config | None = None


class Function(msgspec.Struct):
    """A function of an app, as far as it is read."""

    properties: FunctionProperties | None = None


def verdict_of(functions: Sequence[Function]) -> Verdict:
    """
    Return whether an app with these functions runs Durable Functions.

    Unknown without functions: an app that is stopped, or was never started, shows none.
    """
    if not functions:
        return Verdict.UNKNOWN
    types = {
        (binding.type or "").lower()
        for function in functions
        if function.properties and function.properties.config
        for binding in function.properties.config.bindings or ()
    }
    return Verdict.YES if types & _DURABLE_BINDINGS else Verdict.NO
