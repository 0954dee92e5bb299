"""The settings of discovery: which apps of Azure are found and polled, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)

from exporter.settings.azure import KEY, PUBLIC, Access, Cloud
from exporter.settings.durations import MINUTE, Duration, at_least
from exporter.settings.hub import IDENTITY, HubSettings, Labels
from exporter.settings.hub_defaults import overlay, with_profile
from exporter.settings.values import FROZEN, Count, Names, Shown

# Labels that every found app has.
OWN_LABELS = ("resource_group", "subscription", "region")
ALL = "*"
_TAG = "tag:"
# Never defaults of found apps: a secret would go to each of them.
_OF_LISTED_HUBS = frozenset({*IDENTITY, "keys_dir", "headers", "allow_insecure", "cloud"})


def _check_subscriptions(subscriptions: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(UUID(subscription)) for subscription in subscriptions)
    except ValueError:
        raise ValueError(
            "has an item that is not the id of a subscription: give ids, not names"
        ) from None


def _check_rule(pattern: str) -> str:
    name, equals, value = pattern.removeprefix(_TAG).partition("=")
    if not pattern.strip() or (pattern.startswith(_TAG) and not (name and equals and value)):
        raise ValueError(
            f"has a key that is no pattern: give that of a name, as orders-*, or {_TAG}NAME=VALUE"
        )
    return pattern


def label_of(tag: str) -> str:
    """Return the label name for a tag."""
    return re.sub(r"[^a-z0-9_]", "_", tag.lower())


Tags = Annotated[dict[str, str], Shown("value patterns by tag")]
_FIELDS: dict[str, Any] = {
    name: (field.annotation, field)
    for name, field in HubSettings.model_fields.items()
    if name not in _OF_LISTED_HUBS
}
FoundHub: Any = create_model(
    "FoundHub",
    __config__=FROZEN,
    __doc__="How found apps of one name or tag are polled; unset values are those of the others.",
    **_FIELDS,
)


class AzureDiscovery(BaseModel):
    """Azure function apps visible to the exporter's identity, discovered rather than configured."""

    model_config = FROZEN

    enabled: bool = Field(
        default=False,
        description="Discover function apps in Azure; requires the extra `azure`, included in the "
        "image.",
    )
    subscriptions: Annotated[
        Names, AfterValidator(_check_subscriptions), Shown("list of subscription ids")
    ] = Field(default=(), description="Subscriptions to search; empty means all visible ones.")
    resource_groups: Names = Field(
        default=(),
        description="Resource groups whose apps are polled, by name or pattern; empty means all.",
    )
    names: Names = Field(
        default=(), description="Apps to poll, by name or pattern; empty means all."
    )
    exclude_names: Names = Field(default=(), description="Apps not to poll, by name or pattern.")
    include_tags: Tags = Field(
        default={},
        description="Tags an app must have to be polled, each with a pattern for its value.",
    )
    exclude_tags: Tags = Field(
        default={},
        description="Tags that exclude an app, each with a pattern for its value.",
    )
    label_tags: Names = Field(
        default=(),
        description="Tags that become labels of `durable_functions_hub_info`, in lower case, with "
        "`_` for characters that labels cannot have.",
    )
    slots: bool = Field(default=False, description="Also poll deployment slots.")
    cloud: Cloud = Field(
        default=PUBLIC,
        description="Azure cloud, by name or Resource Manager address; also the default for listed "
        "hubs with a `resource_id`.",
    )
    interval: Annotated[
        Duration, AfterValidator(at_least(MINUTE)), Shown("duration, at least `1m`")
    ] = Field(default=10 * MINUTE, description="How often to search for apps.")
    access: Access = Field(default=KEY, description="How discovered apps are read; see `access`.")
    max_requests_per_hour: Annotated[Count, Field(ge=60, le=90_000)] = Field(
        default=12_000,
        description="Maximum Resource Manager requests per subscription, across all shards.",
    )
    hubs: Annotated[
        dict[Annotated[str, AfterValidator(_check_rule)], FoundHub],
        Shown("groups by name, pattern, or `tag:NAME=VALUE`"),
    ] = Field(
        default={},
        description="Settings of apps by name, pattern (`orders-*`) or tag (`tag:team=payments`); "
        "for each setting, an exact name wins, then the first match.",
    )

    @field_validator("label_tags")
    @classmethod
    def _become_labels(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        labels = [label_of(tag) for tag in tags]
        try:
            TypeAdapter(Labels).validate_python(dict.fromkeys(labels, ""))
        except ValidationError:
            raise ValueError(
                "has a tag that makes no label, or a reserved one: leave it out"
            ) from None
        if len({*labels, *OWN_LABELS}) < len(labels) + len(OWN_LABELS):
            raise ValueError(
                f"has two tags that make one label, or one of {', '.join(OWN_LABELS)}: leave it out"
            )
        return tags

    def settings_of(
        self, name: str, tags: Mapping[str, str], own: Mapping[str, object]
    ) -> HubSettings:
        """
        Return the settings of the found app *name* with *tags*; *own* are those known of it.

        Raises:
            ValidationError: they contradict each other.
        """
        settings: Mapping[str, object] = {**own, "cloud": self.cloud}
        for rule in self._matching(name, tags):
            settings = overlay(settings, rule.model_dump(exclude_unset=True))
        settings = overlay(settings, {"access": self.access})
        return FoundHubSettings.model_validate(with_profile(settings))

    def _matching(self, name: str, tags: Mapping[str, str]) -> Iterator[BaseModel]:
        """Yield the rules for an app: that of its exact name first, the default of all last."""
        rules = dict(self.hubs)
        default = rules.pop(ALL, None)
        yield from (rules[each] for each in rules if each.lower() == name.lower())
        for pattern, rule in rules.items():
            tag, _, value = pattern.removeprefix(_TAG).partition("=")
            if pattern.startswith(_TAG):
                if has_tags(tags, {tag: value}):
                    yield rule
            elif pattern.lower() != name.lower() and matches(name, (pattern,)):
                yield rule
        if default is not None:
            yield default


class Discovery(BaseModel):
    """Hubs that are found instead of listed."""

    model_config = FROZEN

    azure: AzureDiscovery = Field(
        default=AzureDiscovery(), description="Function apps found in Azure."
    )


class FoundHubSettings(HubSettings):
    """The settings of a found hub, sharded by its resource id: names may differ per exporter."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.resource_id is None:
            raise ValueError("has no resource id")
        return self

    @property
    def shard_key(self) -> str:
        """The resource id: decides which shard polls the hub."""
        return (self.resource_id or "").lower()


def matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Return whether *text* matches one of *patterns* (`*`, `?`, `[abc]`), in any case."""
    return any(fnmatchcase(text.lower(), pattern.lower()) for pattern in patterns)


def has_tags(tags: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Return whether every *wanted* tag exists, in any case, with a value of its pattern."""
    lower = {name.lower(): value for name, value in tags.items()}
    return all(
        name.lower() in lower and matches(lower[name.lower()], (pattern,))
        for name, pattern in wanted.items()
    )
