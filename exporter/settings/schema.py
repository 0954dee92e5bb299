"""Which settings there are and where, from the models, and former names of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel, SecretStr, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from exporter.settings.hub import IDENTITY, HubSettings
from exporter.settings.model import Settings
from exporter.settings.values import A_FILE, A_FOLDER, Shown

SettingPath = tuple[str, ...]

_FIELDS: dict[str, Any] = {
    name: (field.annotation, field)
    for name, field in {**HubSettings.model_fields, **Settings.model_fields}.items()
} | {"hubs": (dict[str, HubSettings], ...)}
# The shape of a source: settings of the exporter, defaults of all hubs beside them, and hubs by
# name below `hubs`. Only its names and types are used; it is never instantiated.
Document = create_model("Document", __base__=BaseSettings, **_FIELDS)


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place in a document.

    A group has `members` by name; a mapping, whose names are free, has `each`; a value has neither.
    """

    members: Mapping[str, Place] | None = None
    each: Place | None = None
    is_path: bool = False
    is_secret: bool = False

    @property
    def is_value(self) -> bool:
        """Whether it is a single value."""
        return self.members is None and self.each is None

    def below(self, name: str) -> Place | None:
        """Return the place *name* below this one, None if there is none."""
        return self.each if self.members is None else self.members.get(name)


def place_at(path: SettingPath) -> Place | None:
    """Return the place at *path*, None if there is none."""
    place: Place | None = document()
    for name in path:
        place = place.below(name) if place else None
    return place


@cache
def document() -> Place:
    """Return the root: settings of the exporter, and beside them those of a hub."""
    return _group(Document)


def is_identity(path: SettingPath) -> bool:
    """Return whether *path* identifies a hub or holds its key."""
    setting = path[2:] if path[0] == "hubs" else path
    return len(setting) == 1 and setting[0] in IDENTITY


def closest(path: SettingPath) -> SettingPath | None:
    """Return the setting most likely meant by *path*, which is not one; None without a guess."""
    place, depth = _innermost(path)
    meant = _closest_member(place, path[depth]) if depth < len(path) else None
    return (*path[:depth], *meant, *_known(place, meant, path[depth + 1 :])) if meant else None


def settings_beside(path: SettingPath) -> tuple[str, ...]:
    """Return the names known where *path* leaves the settings; none where any of a hub's is."""
    names = tuple(_innermost(path)[0].members or ())
    return () if "intervals" in names else names


def _innermost(path: SettingPath) -> tuple[Place, int]:
    """Return the last place that *path* reaches, and how many of its names lead there."""
    place = document()
    for depth, name in enumerate(path):
        below = place.below(name)
        if below is None:
            return place, depth
        place = below
    return place, len(path)


def _closest_member(place: Place, name: str) -> SettingPath | None:
    # A single underscore instead of two is the most likely mistake.
    known: dict[str, SettingPath] = {member: (member,) for member in place.members or ()}
    for member, inner in (place.members or {}).items():
        known |= {f"{member}_{below}": (member, below) for below in inner.members or ()}
    matches = get_close_matches(name.lower(), known, n=1)
    return known[matches[0]] if matches else None


def _known(place: Place | None, path: SettingPath, rest: SettingPath) -> SettingPath:
    """Return *rest* if it exists below *path* in *place*, else nothing."""
    for name in (*path, *rest):
        place = place.below(name) if place else None
    return rest if place else ()


def metadata_of(field: FieldInfo) -> Iterator[object]:
    """Yield the metadata of a field's type, also of the parts of a union."""
    yield from field.metadata
    for part in get_args(field.annotation):
        yield from getattr(part, "__metadata__", ())


def values_of(field: FieldInfo) -> str | None:
    """Return the possible values of a field in words, None if its type says enough."""
    shown = [part.values for part in metadata_of(field) if isinstance(part, Shown)]
    return shown[-1] if shown else None


def _group(model: type[BaseModel]) -> Place:
    return Place(members={name: _place(field) for name, field in model.model_fields.items()})


def _place(field: FieldInfo) -> Place:
    annotation = field.annotation
    if is_group(annotation):
        return _group(annotation)
    if get_origin(annotation) is dict:
        each = get_args(annotation)[1]
        return Place(each=_group(each) if is_group(each) else Place(is_secret=_is_secret(each)))
    return Place(
        is_path=values_of(field) in (A_FILE.values, A_FOLDER.values),
        is_secret=_is_secret(annotation),
    )


def is_group(annotation: object) -> TypeGuard[type[BaseModel]]:
    """Return whether a type is a group of settings."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_secret(annotation: object) -> bool:
    parts = (annotation, *get_args(annotation))
    return SecretStr in parts or any(SecretStr in get_args(part) for part in parts)


# Accepted until the next minor version, with a warning. A renamed setting stays in its group.
FORMER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "history_budget": "max_histories_per_sweep",
        "host_requests": "max_requests_per_host",
        "label_limit": "max_label_values",
        "ledger_max_finishes": "max_ledger_finishes",
        "metrics.most_scrapes": "metrics.max_concurrent_scrapes",
        "page_budget": "max_pages_per_day",
        "page_size": "max_page_size",
        "reason_limit": "max_failure_reasons",
        "retries.attempts": "retries.max_retries",
        "retries.backoff_max": "retries.max_backoff",
    }
)


def todays(path: SettingPath) -> SettingPath:
    """Return *path* with the current name of its setting, at the top level or in a hub."""
    depth = 2 if path[0] == "hubs" else 0
    name = FORMER_NAMES.get(".".join(path[depth:]))
    return path if name is None else (*path[:depth], *name.split("."))
