"""All settings of an exporter, frozen, and the shard of its hubs."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from exporter.settings.addresses import HostPatterns, ListenAddress, ListenOn
from exporter.settings.discovery import Discovery
from exporter.settings.durations import DAY, Duration, PositiveDuration, ReloadInterval
from exporter.settings.groups import Buckets, MetricsSettings, WebSettings
from exporter.settings.hub import HubSettings
from exporter.settings.hub_defaults import arrange, check_hubs
from exporter.settings.values import A_FILE, AnyCase, Shown, WritableFolder
from exporter.settings.web_config import WebConfig, WebConfigFile

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
        Return whether this shard polls the hub with the key *hub*.

        Rendezvous hashing: an additional shard moves only the hubs that it takes over.
        """
        return max(range(self.count), key=lambda shard: _draw(hub, shard)) == self.index


def _draw(hub: str, shard: int) -> bytes:
    # Prefixed by its length, so that no two pairs of name and number are the same bytes.
    name = hub.encode()
    return blake2b(len(name).to_bytes(4) + name + shard.to_bytes(4), digest_size=16).digest()


def parse_shard(value: object) -> Shard:
    """
    Parse `i/n`, with i from 0, or `auto/n`, where i is the number at the end of the host's name.

    Raises:
        ValueError: it is something else, or there is no such shard.
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


class Settings(BaseSettings):
    """
    The settings of the process and its hubs: at least one, unless discovery is on.

    They come from *sources* only, the strongest first.

    Raises:
        ValidationError: with all errors.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config_file: Annotated[Path, A_FILE] | None = Field(
        default=None, description="YAML file with further settings."
    )
    listen_address: ListenOn = Field(
        default=ListenAddress("", 10_771),
        description="Address to listen on; all interfaces if the host is omitted.",
    )
    allowed_hosts: HostPatterns = Field(
        default=(),
        description="Accepted `Host` headers, such as `a.example.com` or `*.example.com`, to "
        "prevent DNS rebinding; empty means any.",
    )
    web_config_file: WebConfigFile | None = Field(
        default=None,
        description="TLS, users, response headers and rate limit of this server, in the web "
        "configuration format of Prometheus exporters.",
    )
    shard: ShardOf = Field(
        default=Shard(),
        description="Shard of the hubs to poll; `auto` takes `i` from the end of the host name.",
    )
    allow_reload: bool = Field(
        default=False, description="Allow `POST /-/reload`, which rereads all files immediately."
    )
    reload_interval: ReloadInterval = Field(
        default=10.0, description="How often to check all files for changes."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = Field(
        default="info", description="Minimum severity of logged events."
    )
    log_format: Annotated[Literal["auto", "json", "console"], AnyCase] = Field(
        default="auto",
        description="Format of the log on standard error; `auto` is `console` on a terminal, else "
        "`json`.",
    )
    grace_period: Duration = Field(
        default=10.0, description="How long scrapes in progress may take during shutdown."
    )
    state_dir: WritableFolder | None = Field(
        default=None,
        description="Folder that keeps counters across restarts; must not be shared by exporters.",
    )
    state_max_age: PositiveDuration = Field(
        default=DAY, description="Maximum age of the state in `state_dir`; older state is ignored."
    )
    metrics: MetricsSettings = Field(
        default=MetricsSettings(), description="What is exposed, and to how many scrapers."
    )
    web: WebSettings = Field(default=WebSettings(), description="The status page.")
    buckets: Buckets = Field(default=Buckets(), description="Bounds of all distributions.")
    discovery: Discovery = Field(default=Discovery(), description="Hubs found instead of listed.")
    hubs: Annotated[tuple[HubSettings, ...], BeforeValidator(check_hubs)] = Field(
        description="Task hubs by name, each with any settings of a hub."
    )

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(_build_sources=(sources, {}))

    @property
    def own_hubs(self) -> tuple[HubSettings, ...]:
        """The hubs of this shard, in configured order."""
        return tuple(hub for hub in self.hubs if self.shard.holds(hub.shard_key))

    @property
    def web_config(self) -> WebConfig:
        """The web configuration, by default without TLS and users."""
        return self.web_config_file or WebConfig()

    @model_validator(mode="before")
    @classmethod
    def _arrange(cls, document: dict[str, object]) -> dict[str, object]:
        return arrange(document)
