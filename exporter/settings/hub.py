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

# What says which hub it is: at the top level these belong to one hub, all others are defaults.
PLACE = ("name", "url", "task_hub", "connection", "resource_id")
# With what opens it: none of these may be empty.
IDENTITY = (*PLACE, "key", "key_file")

_LONGEST_NAME = 128
_TASK_HUB = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,49}")
_AZURE_STORAGE = re.compile("[A-Za-z][A-Za-z0-9]{2,44}")
_LABEL_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_LABELS = frozenset({
    "task_hub", "function_app", "hub_name", "connection", "orchestrator", "entity",
    "runtime_status", "le", "quantile",
    # What scraping adds, by which rules tell exporters and their replicas apart.
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
    """Tell whether a task hub can be called so."""
    return isinstance(name, str) and _TASK_HUB.fullmatch(name) is not None


def suits_azure_storage(task_hub: str) -> bool:
    """Tell whether Azure Storage, the usual backend, takes the name of a task hub."""
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
    dict[Annotated[str, AfterValidator(_check_label_name)], str], Shown("texts by label name")
]


class HubSettings(BaseModel):
    """One task hub: where it is, and how it is polled and shown."""

    model_config = FROZEN

    # A field's check sees the fields before it, so that one pass finds everything that is wrong.
    name: Name = Field(
        description="What the hub is called in metrics, as label `task_hub`; unique."
    )
    allow_insecure: bool = Field(
        default=False, description="Allow `http://` to hosts other than this one."
    )
    url: Annotated[str, Shown("URL")] = Field(
        description="Where the app answers: its root, or a path that ends in `/durabletask`."
    )
    task_hub: TaskHub | None = Field(
        default=None,
        description="The task hub's own name, if not the app's default; a wrong one makes storage.",
    )
    connection: Connection | None = Field(
        default=None, description="Name of the app setting with the task hub's connection string."
    )
    key: Key | None = Field(
        default=None, description="System key of the extension; prefer `key_file`."
    )
    key_file: KeyFile | None = Field(
        default=None, description="File with the key, read again when the app refuses it."
    )
    keys_dir: Folder | None = Field(
        default=None, description="Folder with a key file for each hub, called as the hub is."
    )
    resource_id: ResourceId | None = Field(
        default=None,
        description="The app's resource id in Azure: its key is fetched from there, or none is "
        "needed; see `access`.",
    )
    access: Access = Field(
        default=KEY,
        description="How the app is read: at its own address by `key` (one that is given, else "
        "fetched by `resource_id`), or through Azure's `resource-manager`, without any.",
    )
    cloud: Cloud = Field(
        default=PUBLIC,
        description="Azure cloud of `resource_id`; by default that of `discovery.azure.cloud`.",
    )
    labels: Labels = Field(
        default={}, description="Labels of `durable_functions_hub_info`, such as an owner."
    )
    links: Links = Field(
        default={},
        description="Links of the page from an instance to elsewhere, by what they are called.",
    )
    worker: Annotated[WorkerName, AnyCase] | None = Field(
        default=None,
        description="The app's language, which some waits depend on; by default failures show it.",
    )
    orchestrators: Names = Field(
        default=(), description="Orchestrators that exist at 0 from the start, first to get labels."
    )
    entities: Names = Field(default=(), description="Entities to list; none means all.")
    id_prefixes: IdPrefixes = Field(
        default=(),
        description="Beginnings of all instance ids, to list by key range; `guid`: 16 hex digits.",
    )
    intervals: Intervals = Field(default=Intervals(), description="How often sweeps are made.")
    limits: Limits = Field(default=Limits(), description="When instances are over the limit.")
    may_stop: bool = Field(
        default=False,
        description="Whether the app may be stopped for as long as it likes: `limits.stopped` is "
        "not in force then.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="How long to wait.")
    retries: Retries = Field(default=Retries(), description="How failed requests are repeated.")
    tls: Tls = Field(default=Tls(), description="Authorities and client certificate.")
    proxy: Proxy | None = Field(
        default=None, description="Proxy to use instead of `HTTPS_PROXY`; may hold credentials."
    )
    headers: Headers = Field(default={}, description="Headers to send with every request.")
    profile: Profile = Field(
        default="steady",
        description="Defaults for a kind of app: `scale-to-zero` polls so rarely that it sleeps.",
    )
    max_pages_per_day: Annotated[Count, Field(ge=1), Shown("whole number from 1")] | None = Field(
        default=None,
        description="Pages to read in a day (UTC) at most; the last tenth is for active instances.",
    )
    max_histories_per_sweep: Annotated[Count, Field(ge=0, le=10_000)] = Field(
        default=30,
        description="Histories to read after an active sweep, to find what instances over a limit "
        "wait on; `0` for none, each is a page of `max_pages_per_day`.",
    )
    max_requests_per_host: Annotated[Count, Field(ge=1)] = Field(
        default=4, description="Requests under way at once to one host, one of each hub in turn."
    )
    max_page_size: Annotated[Count, Field(ge=1, le=1000)] = Field(
        default=1000, description="Instances to ask for at once at most."
    )
    page_bytes: Annotated[Count, Field(ge=16_384)] = Field(
        default=2_097_152,
        description="Bytes of a page at most: where rows are large, fewer are asked for at once.",
    )
    max_pages: Annotated[Count, Field(ge=1)] = Field(
        default=100_000, description="Pages after which a listing stops as truncated."
    )
    max_response_bytes: Annotated[Count, Field(ge=65_536)] = Field(
        default=33_554_432,
        description="Largest answer that is read, in bytes; a page of a list has at most 8 MiB.",
    )
    max_requests_per_second: Annotated[Count, Field(ge=1, le=10_000)] = Field(
        default=100, description="Requests in a second at most."
    )
    max_label_values: Annotated[Count, Field(ge=1)] = Field(
        default=200,
        description="Orchestrators, and entities, with a label of their own; the rest is `_other`.",
    )
    max_series: Annotated[Count, Field(ge=1000)] = Field(
        default=20_000, description="Series of the hub beyond which distributions fold."
    )
    stale_after: PositiveDuration = Field(
        default=15 * MINUTE,
        description="Age of the last complete sweep at which what it feeds is stale and removed.",
    )
    counter_hold: Duration = Field(
        default=2 * MINUTE,
        description="How long a new counter series shows its base; two scrape intervals or more.",
    )
    overlap: PositiveDuration = Field(
        default=2 * MINUTE, description="How far the search for finished instances looks back."
    )
    lookback: PositiveDuration = Field(
        default=2 * HOUR, description="How far that search looks back at most, now and then."
    )

    failed_lookback: PositiveDuration = Field(
        default=7 * DAY, description="How long a failure that nobody resolves is shown as such."
    )
    max_ledger_finishes: Annotated[Count, Field(ge=1000)] = Field(
        default=2_000_000,
        description="Finishes remembered so that none is counted twice; 8 to 12 bytes each.",
    )
    max_failure_reasons: Annotated[Count, Field(ge=1)] = Field(
        default=200, description="Failure reasons with their own labels; the rest is `_other`."
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
        """The base of all requests, which ends in the API's own path, without a slash."""
        return base_of(self.url)

    @property
    def shard_key(self) -> str:
        """What decides which of several exporters polls it."""
        return self.name

    @property
    def has_key(self) -> bool:
        """Whether a key was given, as text or as a file."""
        return self.key is not None or self.key_path is not None

    @property
    def key_path(self) -> Path | None:
        """The file to read the key from, None where there is none: `key` may hold it then."""
        if self.key_file is not None or self.key is not None or self.keys_dir is None:
            return self.key_file
        return key_in(self.keys_dir, self.name)


# The defaults of a hub's settings, for what is made without a configuration; it has no name or URL.
HUB_DEFAULTS = HubSettings.model_construct()
