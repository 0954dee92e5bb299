"""Selection of the known apps that are polled, their names, and reasons against; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec
from pydantic import ValidationError

from exporter.discovery.apps import App, Verdict
from exporter.settings import HubSettings
from exporter.settings.discovery import AzureDiscovery, has_tags, label_of, matches
from exporter.settings.error_messages import in_words

# Searches in a row without an app before it is dropped.
SEARCHES_ABSENT = 3

_LISTED = "listed as hub {}"


class KnownApp(msgspec.Struct, frozen=True):
    """
    A found app.

    `verdict` is the last definite one, of `checked` in seconds since the epoch; `doubt` says why
    the latest check gave none. `absent` counts searches since without it. `hub` is its name, empty
    before it is polled.
    """

    app: App
    verdict: Verdict = Verdict.UNKNOWN
    checked: float = 0.0
    doubt: str = ""
    absent: int = 0
    hub: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An app that is not polled, and why."""

    app: App
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """All apps by result; `hubs` are the settings of those `polled`, in order."""

    polled: Sequence[KnownApp]
    hubs: Sequence[HubSettings]
    left_out: Sequence[LeftOut]
    unknown: Sequence[LeftOut]


Known = Mapping[str, KnownApp]


def with_names(known: Known, polled: Sequence[KnownApp]) -> dict[str, KnownApp]:
    """Return *known* with the names of the *polled* apps."""
    names = {one.app.key: one.hub for one in polled}
    return {
        key: msgspec.structs.replace(one, hub=names[key]) if key in names else one
        for key, one in known.items()
    }


def listed_anew(known: Known, apps: Iterable[App]) -> dict[str, KnownApp]:
    """Return what is known after a complete listing of *apps*."""
    found = {app.key: app for app in apps}
    fresh = {
        key: msgspec.structs.replace(known[key], app=app, absent=0)
        if key in known
        else KnownApp(app)
        for key, app in found.items()
    }
    for key, one in known.items():
        if key not in found and one.hub and one.absent + 1 < SEARCHES_ABSENT:
            fresh[key] = msgspec.structs.replace(one, absent=one.absent + 1)
    return dict(sorted(fresh.items()))


def reason_against(app: App, azure: AzureDiscovery) -> str | None:
    """Return why the settings leave an app out, None if they do not."""
    rules = (
        (app.is_logic_app, "Logic App"),
        (bool(app.slot) and not azure.slots, "deployment slot; discovery.azure.slots is off"),
        (
            bool(azure.subscriptions) and app.subscription not in azure.subscriptions,
            "not in discovery.azure.subscriptions",
        ),
        (
            bool(azure.resource_groups) and not matches(app.resource_group, azure.resource_groups),
            "not in discovery.azure.resource_groups",
        ),
        (bool(azure.names) and not matches(app.name, azure.names), "not in discovery.azure.names"),
        (matches(app.name, azure.exclude_names), "in discovery.azure.exclude_names"),
        (
            not has_tags(app.tags, azure.include_tags),
            "lacks a tag of discovery.azure.include_tags",
        ),
        (
            any(has_tags(app.tags, {tag: value}) for tag, value in azure.exclude_tags.items()),
            "has a tag of discovery.azure.exclude_tags",
        ),
    )
    return next((reason for applies, reason in rules if applies), None)


def select(known: Known, azure: AzureDiscovery, listed: Sequence[HubSettings]) -> Selection:
    """Select among *known* apps, next to the hubs that the settings list."""
    left_out: list[LeftOut] = []
    unknown: list[LeftOut] = []
    polled: list[KnownApp] = []
    for one in known.values():
        reason = reason_against(one.app, azure) or _listed_as(one.app, listed)
        if reason is None and one.verdict is Verdict.NO:
            reason = "no Durable Functions among its bindings"
        if reason is not None:
            left_out.append(LeftOut(one.app, reason))
        elif one.verdict is Verdict.UNKNOWN:
            unknown.append(LeftOut(one.app, one.doubt or "not checked yet"))
        else:
            polled.append(one)
    named = _named(polled, known, {hub.name for hub in listed})
    hubs: list[HubSettings] = []
    valid: list[KnownApp] = []
    for one in polled:
        present = named[one.app.key]
        try:
            hubs.append(_settings_of(present, azure))
        except ValidationError as error:
            lines = error.errors(include_url=False, include_input=False)
            reason = "; ".join(
                f"{'.'.join(map(str, each['loc']))} {in_words(each)}" for each in lines
            )
            left_out.append(LeftOut(one.app, f"its settings: {reason}"))
        else:
            valid.append(present)
    return Selection(valid, hubs, left_out, unknown)


def _listed_as(app: App, listed: Iterable[HubSettings]) -> str | None:
    """Return which listed hub is the app's default hub, None if none is."""
    for hub in listed:
        is_same = (hub.resource_id or "").lower() == app.key or hub.base_url.startswith(
            f"https://{app.host}/"
        )
        if is_same and hub.task_hub is None and hub.connection is None:
            return _LISTED.format(hub.name)
    return None


def _settings_of(one: KnownApp, azure: AzureDiscovery) -> HubSettings:
    app = one.app
    tags = {name.lower(): value for name, value in app.tags.items()}
    labels = {
        "resource_group": app.resource_group,
        "subscription": app.subscription,
        "region": app.region,
        **{label_of(tag): tags.get(tag.lower(), "") for tag in azure.label_tags},
    }
    own = {
        "name": one.hub,
        "url": f"https://{app.host}",
        "resource_id": app.resource_id,
        "labels": labels,
    }
    return azure.settings_of(app.name, app.tags, own)


def _named(
    polled: Sequence[KnownApp], known: Known, listed: Collection[str]
) -> dict[str, KnownApp]:
    """
    Return the *polled* apps with names: their previous ones, else the shortest unique ones.

    A name that two *known* apps could have goes to neither: which of them comes first, or is
    polled, differs between exporters and between starts.
    """
    named = {one.app.key: one for one in polled if one.hub and one.hub not in listed}
    taken = {*listed, *(one.hub for one in named.values())}
    fresh = [one for one in polled if one.app.key not in named]
    candidates = {one.app.key: _candidates(one.app) for one in known.values()}
    for length, names in enumerate(zip(*candidates.values(), strict=True)):
        wanted = Counter(names)
        for one in [each for each in fresh if each.app.key not in named]:
            name = candidates[one.app.key][length]
            if wanted[name] == 1 and name not in taken:
                named[one.app.key] = msgspec.structs.replace(one, hub=name)
                taken.add(name)
    return named


def _candidates(app: App) -> tuple[str, str, str, str]:
    """Return the names that an app can have, the shortest first."""
    return (
        app.name,
        f"{app.name}.{app.resource_group}"[:100],
        f"{app.name}.{app.resource_group}.{app.subscription[:8]}"[:110],
        f"{app.name[:80]}.{blake2b(app.key.encode(), digest_size=8).hexdigest()}",
    )
