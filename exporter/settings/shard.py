"""Which hubs are polled by which of several exporters that share a configuration."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from pydantic import BeforeValidator

from exporter.settings.values import Shown

AUTO = "auto"

_SHARD = re.compile(rf"(\d{{1,6}}|{AUTO})/(\d{{1,6}})")
_ORDINAL = re.compile(r".*-(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of *count* exporters, the one with the number *index*, from 0."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, hub: str) -> bool:
        """
        Tell whether this one polls the hub called so.

        Each shard draws a number for each name, and the highest draw has the hub: one shard more
        takes from the others only what it will hold itself.
        """
        return max(range(self.count), key=lambda shard: _draw(hub, shard)) == self.index


def _draw(hub: str, shard: int) -> bytes:
    # The name is framed by its length, so that no name and number look like another pair.
    name = hub.encode()
    return blake2b(len(name).to_bytes(4) + name + shard.to_bytes(4), digest_size=16).digest()


def parse_shard(value: object) -> Shard:
    """
    Read `i/n`, with i from 0, or `auto/n`: i is the number in which the host's name ends.

    Raises:
        ValueError: it is something else, or the number is none of a shard.
    """
    if isinstance(value, Shard):
        return value
    found = _SHARD.fullmatch(str(value).strip().lower())
    if found is None or int(found[2]) < 1:
        raise ValueError(f"is not a shard: write it as 0/3, the first of three, or {AUTO}/3")
    count = int(found[2])
    if found[1] == AUTO:
        return Shard(_ordinal(count), count)
    if int(found[1]) >= count:
        raise ValueError(f"has no such shard: give 0/{count} to {count - 1}/{count}")
    return Shard(int(found[1]), count)


def _ordinal(count: int) -> int:
    host = socket.gethostname()
    found = _ORDINAL.fullmatch(host.partition(".")[0])
    if found is None:
        raise ValueError(
            f"asks for the number in which the host's name ends, and {host!r} has none: "
            f"give the number itself, as 0/{count}"
        )
    if int(found[1]) >= count:
        raise ValueError(
            f"has {count} shards, and the host's name {host!r} ends in {found[1]}: "
            f"raise it to {AUTO}/{int(found[1]) + 1}, or start fewer exporters"
        )
    return int(found[1])


ShardOf = Annotated[Shard, BeforeValidator(parse_shard), Shown(f"`i/n` or `{AUTO}/n`")]
