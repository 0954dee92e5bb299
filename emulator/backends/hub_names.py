"""What a task hub may be called with a storage provider."""

import re
from dataclasses import dataclass


class HubNameRefused(ValueError):
    """A storage provider has no hub of a name; the message says what it would take."""


@dataclass(frozen=True, slots=True)
class HubNames:
    """Which names a provider takes: a pattern for the whole name, and the rule in words."""

    provider: str
    pattern: re.Pattern[str]
    rule: str

    def check(self, name: str) -> None:
        """Raise `HubNameRefused` unless a hub can have the name."""
        if not self.allow(name):
            raise HubNameRefused(f"{name!r} is no task hub of {self.provider}: {self.rule}")

    def allow(self, name: str) -> bool:
        """Tell whether a hub can have the name."""
        return self.pattern.fullmatch(name) is not None


TABLES = HubNames(
    "azure-storage",
    re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}"),
    "3 to 45 letters and digits, a letter first",
)
"""Of tables, queues and containers of Azure Storage."""
EVENT_HUBS = HubNames(
    "netherite",
    re.compile(r"[A-Za-z][A-Za-z0-9-]{2,44}"),
    "3 to 45 letters, digits and hyphens, a letter first",
)
"""Of event hubs and containers."""
SQL_TEXT = HubNames("mssql", re.compile(r"[^\x00-\x1f\x7f]{1,50}"), "1 to 50 characters")
"""Of a column of text."""
