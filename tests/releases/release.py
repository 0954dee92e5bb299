"""What users of a release have, and an upgrade must take: one folder a release."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from exporter.collector.state_0_1 import HEADER, MAGIC, checksum
from exporter.metrics.catalogue import CATALOGUE
from exporter.metrics.family import Family, Stability, classic_name

FOLDER = Path(__file__).parents[1] / "data" / "releases"


class Described(msgspec.Struct, frozen=True):
    """What of a family others build on; `labels` are without those that are configured."""

    kind: str
    stability: str
    labels: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A release, and the folder of what its users have."""

    number: tuple[int, ...]
    folder: Path

    def __str__(self) -> str:
        return self.folder.name

    @property
    def values(self) -> list[Path]:
        """Files of values for its chart."""
        return sorted((self.folder / "values").glob("*.yaml"))

    @property
    def chart(self) -> Path:
        """Its chart, as it was packaged."""
        return self.folder / "chart.tgz"

    @property
    def config(self) -> Path:
        """A configuration file that says every setting."""
        return self.folder / "config.yaml"

    @property
    def environment(self) -> dict[str, str]:
        """The variables beside it."""
        lines = (self.folder / "environment").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def fixed(self) -> dict[str, dict[str, Any]]:
        """What Kubernetes refuses to change, by values and object."""
        text = (self.folder / "fixed.yaml").read_text(encoding="utf-8")
        content: dict[str, dict[str, Any]] = yaml.safe_load(text)
        return content

    @property
    def families(self) -> dict[str, Described]:
        """The families that it exposed."""
        content = (self.folder / "families.json").read_bytes()
        return msgspec.json.decode(content, type=dict[str, Described])

    @property
    def state(self) -> Path:
        """The state of the hub of `tests/releases/hub.py`, as it was left."""
        (found,) = (self.folder / "state").glob("*.state")
        return found

    @property
    def scraped(self) -> str:
        """What was scraped last before that."""
        return (self.folder / "scraped.txt").read_text(encoding="utf-8")


def number_of(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which compare as versions do."""
    return tuple(map(int, version.split(".")))


def releases() -> list[Release]:
    """Return all that are remembered, the oldest first."""
    return sorted(Release(number_of(folder.name), folder) for folder in FOLDER.iterdir())


def described(families: Iterable[Family] = CATALOGUE) -> dict[str, Described]:
    """Return what others build on of the families here."""
    return {each.name: _described(each) for each in families}


def _described(family: Family) -> Described:
    return Described(
        family.kind.value, family.stability.value, family.label_names, (classic_name(family),)
    )


def broken_promises(
    before: Mapping[str, Described], now: Mapping[str, Described], recorded: frozenset[str]
) -> list[str]:
    """
    Return what docs/stability.md promises of families and is no longer so.

    *recorded* are the names that recording rules make: one of a family that has gone is kept so.
    """
    return [
        f"{name}: was {was}, is {now.get(name, 'gone')}"
        for name, was in before.items()
        if was.stability == Stability.STABLE.value
        and _differs(was, now.get(name))
        and not recorded.issuperset(was.names)
    ]


def _differs(was: Described, now: Described | None) -> bool:
    if now is None or now.stability != was.stability:
        return True
    return (now.kind, sorted(now.labels), now.names) != (was.kind, sorted(was.labels), was.names)


def lead_to(state: Path, url: str, written: float) -> None:
    """
    Make a state one of a hub at *url*, and one that was written then.

    Nothing else is touched: hubs of tests get another port each time, and a recording grows old.
    """
    content = state.read_bytes()
    if content.startswith(MAGIC):
        state.write_bytes(_led_of_0_1(content, url, written))
        return
    with closing(sqlite3.connect(state)) as database, database:
        found = database.execute("SELECT key, content FROM record WHERE kind = 'owner'")
        ((key, packed),) = found
        owner = _at(msgspec.msgpack.decode(packed), url)
        records = [("owner", key, owner), ("written", key, written)]
        change = [(kind, key, msgspec.msgpack.encode(value)) for kind, key, value in records]
        database.execute(
            "INSERT INTO change SELECT max(number) + 1, ? FROM change",
            (zlib.compress(msgspec.msgpack.encode(change)),),
        )


def _led_of_0_1(state: bytes, url: str, written: float) -> bytes:
    version, _, sum_of_body = HEADER.unpack_from(state, len(MAGIC))
    body = state[len(MAGIC) + HEADER.size :]
    assert checksum(body) == sum_of_body
    content = msgspec.msgpack.decode(body)
    content |= {"owner": _at(content["owner"], url), "written": written}
    moved = msgspec.msgpack.encode(content)
    return MAGIC + HEADER.pack(version, len(moved), checksum(moved)) + moved


def _at(owner: dict[str, str], url: str) -> dict[str, str]:
    path = owner["url"].split("/", 3)[3]
    return owner | {"url": f"{url}/{path}"}


def as_json(content: object) -> str:
    """Return *content* as a file that people read."""
    return json.dumps(msgspec.to_builtins(content), indent=1) + "\n"
