"""Access keys, checked as the Functions host does in front of the web hook."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from emulator.http.parameters import Parameters

HEADER = "x-functions-key"


class Verdict(Enum):
    """What the host makes of the key of a request."""

    ALLOWED = auto()
    UNKNOWN = auto()
    WRONG_KIND = auto()


@dataclass(frozen=True, slots=True)
class Keys:
    """
    The keys of an app.

    `system` belongs to the durable task extension and opens its web hook, as does `master`;
    `others` are valid keys of another kind. Without a system key the web hook is open, as on a
    developer's machine.
    """

    system: str | None = field(default=None, repr=False)
    master: str | None = field(default=None, repr=False)
    others: frozenset[str] = field(default=frozenset(), repr=False)

    def verdict(self, headers: Mapping[str, str], parameters: Parameters) -> Verdict:
        """Judge a request: the header wins over `code`, even if only `code` is right."""
        if self.system is None:
            return Verdict.ALLOWED
        key = headers.get(HEADER, parameters.text("code"))
        if key and key in (self.system, self.master):
            return Verdict.ALLOWED
        return Verdict.WRONG_KIND if key in self.others else Verdict.UNKNOWN
