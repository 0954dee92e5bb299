"""The settings of one task hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationInfo,
    field_validator,
)

from exporter.settings.addresses import Links, Proxy, base_of, check_hub_url
from exporter.settings.azure import KEY, PUBLIC, RESOURCE_MANAGER, Access, Cloud, ResourceId
from exporter.settings.credentials import Headers, Key, KeyFile, check_key_in, key_in
from exporter.settings.durations import DAY, HOUR, MINUTE, Duration, PositiveDuration
from exporter.settings.groups import Intervals, Limits, Profile, Retries, Timeouts, Tls
from exporter.settings.values import FROZEN, AnyCase, Count, Folder, IdPrefixes, Names, Shown

# These identify a hub: at the top level they make one, all others are defaults of all hubs.
PLACE = ("name", "url", "task_hub", "connection", "resource_id")
# With its credentials: none of these may be empty.
IDENTITY = (*PLACE, "key", "key_file")

_LONGEST_NAME = 128
_TASK_HUB = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,49}")
_AZURE_STORAGE = re.compile("[A-Za-z][A-Za-z0-9]{2,44}")
_LABEL_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_LABELS = frozenset({
    "task_hub", "function_app", "hub_name", "connection", "orchestrator", "entity",
    "runtime_status", "le", "quantile",
    # Added by scraping; rules distinguish exporters and replicas by them.
    "instance", "job", "namespace", "pod", "cluster",
})  # fmt: skip


def _check_name(name: str) -> str:
    if not name.strip():
        raise ValueError("is empty: give the hub a name")
    if name != name.strip() or not name.isprintable():
        raise ValueError("has blanks around it or control characters in it: remove them")
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"is longer than {_LONGEST_NAME} characters: shorten it")
    return name


def is_task_hub(name: object) -> bool:
    """Return whether *name* is a possible name of a task hub."""
    return isinstance(name, str) and _TASK_HUB.fullmatch(name) is not None


def suits_azure_storage(task_hub: str) -> bool:
    """Return whether Azure Storage, the usual backend, allows the name of a task hub."""
    return _AZURE_STORAGE.fullmatch(task_hub) is not None


def _check_task_hub(task_hub: str) -> str:
    if not task_hub.strip():
        raise ValueError("is empty: give the task hub's name, or leave the setting out")
    if not is_task_hub(task_hub):
        raise ValueError("is not the name of a task hub: give 1 to 50 letters, digits, - and _")
    return task_hub


def _check_connection(connection: str) -> str:
    if not connection.strip():
        raise ValueError("is empty: give the name of an app setting, or leave the setting out")
    if not connection.isprintable() or any(sign in connection for sign in ";= "):
        raise ValueError(
            "is not the name of an app setting: give the setting's name, not the connection string"
        )
    return connection


def _check_label_name(name: str) -> str:
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError("is not a label name: use letters, digits and _, no digit first")
    if name.startswith("__") or name in _RESERVED_LABELS:
        raise ValueError("is a reserved label name: choose another")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
TaskHub = Annotated[
    str, AfterValidator(_check_task_hub), Shown("1 to 50 letters, digits, `-`, `_`")
]
Connection = Annotated[str, AfterValidator(_check_connection), Shown("name of an app setting")]
WorkerName = Annotated[
    Literal["dotnet", "isolated", "java", "javascript", "python", "powershell"],
    Shown("`dotnet`, `isolated`, `java`, `javascript`, `python` or `powershell`"),
]
Labels = Annotated[
    dict[Annotated[str, AfterValidator(_check_label_name)], str], Shown("text by label name")
]


class HubSettings(BaseModel):
    """One task hub: where it is, and how it is polled and shown."""

    model_config = FROZEN

    # Ordered so that a validator sees the fields that it depends on.
    name: Name = Field(description="Unique name of the hub in metrics, as label `task_hub`.")
    allow_insecure: bool = Field(
        default=False, description="Allow `http://` to hosts other than loopback."
    )
    url: Annotated[str, Shown("URL")] = Field(
        description="Address of the app: its root, or a path ending in `/durabletask`."
    )
    task_hub: TaskHub | None = Field(
        default=None,
        description="The task hub's own name, if not the app's default; querying a nonexistent "
        "task hub creates its storage.",
    )
    connection: Connection | None = Field(
        default=None, description="Name of the app setting with the task hub's connection string."
    )
    key: Key | None = Field(
        default=None, description="System key of the extension; prefer `key_file`."
    )
    key_file: KeyFile | None = Field(default=None, description="File with the key; see **Keys**.")
    keys_dir: Folder | None = Field(
        default=None, description="Folder with one key file per hub, named after the hub."
    )
    resource_id: ResourceId | None = Field(
        default=None,
        description="The app's resource id in Azure, used to fetch its key or to read the "
        "app without one; see `access`.",
    )
    access: Access = Field(
        default=KEY,
        description="How to read the app: with a `key` (configured, else fetched by `resource_id`) "
        "at its own address, or without one through Azure's `resource-manager`.",
    )
    cloud: Cloud = Field(
        default=PUBLIC,
        description="Azure cloud of `resource_id`; by default that of `discovery.azure.cloud`.",
    )
    labels: Labels = Field(
        default={}, description="Extra labels for `durable_functions_hub_info`, such as an owner."
    )
    links: Links = Field(
        default={},
        description="Links from an instance on the status page to other tools, by name.",
    )
    worker: Annotated[WorkerName, AnyCase] | None = Field(
        default=None,
        description="The app's language worker, which some diagnoses depend on; by default "
        "inferred from its failures.",
    )
    orchestrators: Names = Field(
        default=(),
        description="Orchestrators to show at 0 until first seen, with priority for labels.",
    )
    entities: Names = Field(default=(), description="Entities to list; empty means all.")
    id_prefixes: IdPrefixes = Field(
        default=(),
        description="Instance id prefixes to list by key range (others are not tracked); `guid` "
        "means `0` to `f`.",
    )
    intervals: Intervals = Field(default=Intervals(), description="How often sweeps run.")
    limits: Limits = Field(default=Limits(), description="When instances are over the limit.")
    may_stop: bool = Field(
        default=False,
        description="Allow the app to stop without HubUnreachable firing.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait.")
    retries: Retries = Field(default=Retries(), description="How failed requests are retried.")
    tls: Tls = Field(default=Tls(), description="Authorities and client certificate.")
    proxy: Proxy | None = Field(
        default=None, description="Proxy to use instead of `HTTPS_PROXY`; may include credentials."
    )
    headers: Headers = Field(default={}, description="Headers to send with every request.")
    profile: Profile = Field(
        default="steady",
        description="Defaults by kind of app; `scale-to-zero` polls rarely, so that the app can "
        "sleep.",
    )
    max_pages_per_day: Annotated[Count, Field(ge=1), Shown("whole number from 1")] | None = Field(
        default=None,
        description="Maximum pages per UTC day, the last tenth reserved for active and finished "
        "sweeps.",
    )
    max_histories_per_sweep: Annotated[Count, Field(ge=0, le=10_000)] = Field(
        default=30,
        description="Maximum histories read after an active sweep to find what instances over a "
        "limit wait on; each counts toward `max_pages_per_day`.",
    )
    max_requests_per_host: Annotated[Count, Field(ge=1)] = Field(
        default=4, description="Maximum concurrent requests per host, shared by its hubs."
    )
    max_page_size: Annotated[Count, Field(ge=1, le=1000)] = Field(
        default=1000, description="Maximum instances per page."
    )
    page_bytes: Annotated[Count, Field(ge=16_384)] = Field(
        default=2_097_152,
        description="Target size of a page in bytes; the larger the rows, the fewer per page.",
    )
    max_pages: Annotated[Count, Field(ge=1)] = Field(
        default=100_000, description="Maximum pages per listing; longer ones are truncated."
    )
    max_response_bytes: Annotated[Count, Field(ge=65_536)] = Field(
        default=33_554_432,
        description="Maximum size of a response in bytes; for pages of a listing, at most 8 MiB.",
    )
    max_requests_per_second: Annotated[Count, Field(ge=1, le=10_000)] = Field(
        default=100, description="Maximum requests per second to the hub."
    )
    max_label_values: Annotated[Count, Field(ge=1)] = Field(
        default=200,
        description="Maximum orchestrators with their own label, and as many entities; the rest "
        "are `_other`.",
    )
    max_series: Annotated[Count, Field(ge=1000)] = Field(
        default=20_000,
        description="Maximum series per hub; above it, age histograms are merged into `_other`.",
    )
    stale_after: PositiveDuration = Field(
        default=15 * MINUTE,
        description="Data is stale and removed once its last complete sweep is older than both "
        "this and five intervals.",
    )
    counter_hold: Duration = Field(
        default=2 * MINUTE,
        description="How long a new counter series shows its initial value; should be at least two "
        "scrape intervals.",
    )
    overlap: PositiveDuration = Field(
        default=2 * MINUTE,
        description="Minimum look-back of searches for finished instances.",
    )
    lookback: PositiveDuration = Field(
        default=2 * HOUR, description="Maximum look-back of searches for finished instances."
    )
    failed_lookback: PositiveDuration = Field(
        default=7 * DAY, description="How long a failure counts as unresolved."
    )
    max_ledger_finishes: Annotated[Count, Field(ge=1000)] = Field(
        default=2_000_000,
        description="Maximum finishes remembered, so that none is counted twice; 8 to 12 bytes "
        "each.",
    )
    max_failure_reasons: Annotated[Count, Field(ge=1)] = Field(
        default=200,
        description="Maximum failure reasons with their own labels; the rest are `_other`.",
    )

    @field_validator("url")
    @classmethod
    def _url_reaches_a_hub(cls, url: str, others: ValidationInfo) -> str:
        return check_hub_url(url, allow_insecure=others.data.get("allow_insecure", True))

    @field_validator("key_file")
    @classmethod
    def _one_key_only(cls, path: Path | None, others: ValidationInfo) -> Path | None:
        if path is not None and others.data.get("key") is not None:
            raise ValueError("cannot be combined with key: remove one of the two")
        return path

    @field_validator("keys_dir")
    @classmethod
    def _key_in_folder_is_one(cls, folder: Path | None, others: ValidationInfo) -> Path | None:
        has_own_key = others.data.get("key") or others.data.get("key_file")
        if folder is not None and not has_own_key and "name" in others.data:
            check_key_in(folder, others.data["name"])
        return folder

    @field_validator("access")
    @classmethod
    def _app_is_known(cls, access: str, others: ValidationInfo) -> str:
        if access == RESOURCE_MANAGER and others.data.get("resource_id", "") is None:
            raise ValueError(f"is {RESOURCE_MANAGER}, which needs resource_id: set it too")
        return access

    @field_validator("lookback")
    @classmethod
    def _not_below_overlap(cls, longest: float, others: ValidationInfo) -> float:
        if longest < others.data.get("overlap", 0.0):
            raise ValueError("is shorter than overlap: raise it, or lower overlap")
        return longest

    @property
    def base_url(self) -> str:
        """The base URL of all requests, including the API's path, without a slash."""
        return base_of(self.url)

    @property
    def shard_key(self) -> str:
        """The name: decides which shard polls the hub."""
        return self.name

    @property
    def has_key(self) -> bool:
        """Whether a key is configured, as text or as a file."""
        return self.key is not None or self.key_path is not None

    @property
    def key_path(self) -> Path | None:
        """The file to read the key from, None if there is none; `key` may hold it then."""
        if self.key_file is not None or self.key is not None or self.keys_dir is None:
            return self.key_file
        return key_in(self.keys_dir, self.name)


# The defaults of a hub's settings, for use without a configuration; it has no name or URL.
HUB_DEFAULTS = HubSettings.model_construct()
