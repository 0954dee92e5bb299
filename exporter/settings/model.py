"""All settings of an exporter, frozen once they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from exporter.settings.addresses import HostPatterns, ListenAddress, ListenOn
from exporter.settings.discovery import Discovery
from exporter.settings.durations import DAY
from exporter.settings.groups import Buckets, MetricsSettings, WebSettings
from exporter.settings.hub import HubSettings
from exporter.settings.hub_defaults import arrange, check_hubs
from exporter.settings.shard import Shard, ShardOf
from exporter.settings.values import (
    A_FILE,
    AnyCase,
    Duration,
    PositiveDuration,
    ReloadInterval,
    WritableFolder,
)
from exporter.settings.web_config import WebConfig, WebConfigFile


class Settings(BaseSettings):
    """
    The settings of the process, and of its hubs: at least one, unless hubs are found.

    They come from *sources*, the strongest first, and from nowhere else.

    Raises:
        ValidationError: with everything that is wrong.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    config_file: Annotated[Path, A_FILE] | None = Field(
        default=None, description="YAML file with further settings."
    )
    listen_address: ListenOn = Field(
        default=ListenAddress("", 10_771), description="Where to listen; no host is all interfaces."
    )
    allowed_hosts: HostPatterns = Field(
        default=(),
        description="Hosts that requests may name, as `a.example.com` or `*.example.com`, against "
        "DNS rebinding; any without one.",
    )
    web_config_file: WebConfigFile | None = Field(
        default=None,
        description="TLS, users, headers and rate limit of this server, as for other exporters.",
    )
    shard: ShardOf = Field(
        default=Shard(),
        description="Part of the hubs this exporter polls; `auto` takes it from the host name.",
    )
    allow_reload: bool = Field(
        default=False, description="Allow `POST /-/reload`, which rereads all files at once."
    )
    reload_interval: ReloadInterval = Field(
        default=10.0, description="How often all files are checked for changes."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = Field(
        default="info", description="The least severe events that are logged."
    )
    log_format: Annotated[Literal["auto", "json", "console"], AnyCase] = Field(
        default="auto",
        description="How events are written to standard error; `auto` is `console` on a terminal, "
        "else `json`.",
    )
    grace_period: Duration = Field(
        default=10.0, description="How long scrapes under way may take once asked to stop."
    )
    state_dir: WritableFolder | None = Field(
        default=None,
        description="Folder in which the accounts survive a restart; of this exporter alone.",
    )
    state_max_age: PositiveDuration = Field(
        default=DAY, description="Age at which such a state is no longer used."
    )
    metrics: MetricsSettings = Field(
        default=MetricsSettings(), description="What is exposed, and to how many at once."
    )
    web: WebSettings = Field(default=WebSettings(), description="The status page.")
    buckets: Buckets = Field(default=Buckets(), description="Bounds of all distributions.")
    discovery: Discovery = Field(
        default=Discovery(), description="Hubs that are found instead of listed."
    )
    hubs: Annotated[tuple[HubSettings, ...], BeforeValidator(check_hubs)] = Field(
        description="The task hubs by name, each with any of the settings of a hub."
    )

    def __init__(self, *sources: PydanticBaseSettingsSource) -> None:
        super().__init__(_build_sources=(sources, {}))

    @property
    def own_hubs(self) -> tuple[HubSettings, ...]:
        """The hubs of this shard, in the order of the configuration."""
        return tuple(hub for hub in self.hubs if self.shard.holds(hub.shard_key))

    @property
    def web_config(self) -> WebConfig:
        """How this server is to be reached."""
        return self.web_config_file or WebConfig()

    @model_validator(mode="before")
    @classmethod
    def _arrange(cls, document: dict[str, object]) -> dict[str, object]:
        return arrange(document)
