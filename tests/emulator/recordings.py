"""What was recorded of the real extension."""

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from emulator.api import ExtensionVersion

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
# Those that hold exchanges; the others are timelines.
FILES = (
    "list-instances",
    "paging",
    "entities",
    "instance-status",
    "entity-waits",
    "operations",
    "pending",
    "routing",
    "web-hook",
    "times",
)


class Recording(StrEnum):
    """A folder of exchanges with one app."""

    V2 = "v2"
    V3_15 = "v3"
    V3 = "v3.19"
    ISOLATED = "v3-isolated"
    JAVASCRIPT = "v3-javascript"

    @property
    def version(self) -> ExtensionVersion:
        """The version of the extension that answered."""
        return {Recording.V2: ExtensionVersion.V2, Recording.V3_15: ExtensionVersion.V3_15}.get(
            self, ExtensionVersion.V3
        )


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """A request and what the real extension answered; `number` is its place in its file."""

    recording: Recording
    file: str
    number: int
    label: str
    request: dict[str, Any]
    response: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.recording} {self.file} {self.number}: {self.label}"

    @property
    def method(self) -> str:
        return str(self.request["method"])

    @property
    def target(self) -> str:
        return str(self.request["target"])

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; a blank at the end is no part of a header's value."""
        return {name.lower(): value.strip() for name, value in self.response["headers"]}

    @property
    def body(self) -> str:
        return self.response["body"] or ""

    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body) if self.body else None


@cache
def recorded(recording: Recording, file: str) -> tuple[Exchange, ...]:
    """Return the exchanges of a file in the order in which they were made, none if it has none."""
    path = RECORDINGS / recording.value / f"{file}.json"
    if not path.exists():
        return ()
    entries = json.loads(path.read_text("utf-8"))["exchanges"]
    return tuple(
        Exchange(recording, file, number, entry["label"], entry["request"], entry["response"])
        for number, entry in enumerate(entries)
    )
