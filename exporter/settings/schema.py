"""What may stand where in a document, as the models say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from exporter.settings.hub import IDENTITY, HubSettings
from exporter.settings.model import Settings

SettingPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """
    A place of a document.

    A group has `members` by name; of a mapping, whose names are free, `each` is what stands below
    any of them; a value has neither.
    """

    members: Mapping[str, Place] | None = None
    each: Place | None = None

    @property
    def is_value(self) -> bool:
        """Tell whether nothing stands below it."""
        return self.members is None and self.each is None

    def below(self, name: str) -> Place | None:
        """Return the place called *name* below this one, None if there is none."""
        return self.each if self.members is None else self.members.get(name)


def place_at(path: SettingPath) -> Place | None:
    """Return what may stand at *path*, None if nothing may."""
    place: Place | None = document()
    for name in path:
        place = place.below(name) if place else None
    return place


@cache
def document() -> Place:
    """Return the whole: global settings, and beside them those of a hub."""
    return _group({**HubSettings.model_fields, **Settings.model_fields})


def is_identity(path: SettingPath) -> bool:
    """Tell whether *path* says which hub it is."""
    setting = path[2:] if path[0] == "hubs" else path
    return len(setting) == 1 and setting[0] in IDENTITY


def closest(path: SettingPath) -> SettingPath | None:
    """Return the setting that is most likely meant by *path*, which is none."""
    place = document()
    for depth, name in enumerate(path):
        below = place.below(name)
        if below is None:
            meant = _closest_member(place, name)
            return (
                (*path[:depth], *meant, *_known(place, meant, path[depth + 1 :])) if meant else None
            )
        place = below
    return None


def _closest_member(place: Place, name: str) -> SettingPath | None:
    # A single underscore where two belong is the likeliest mistake of all.
    known: dict[str, SettingPath] = {member: (member,) for member in place.members or ()}
    for member, inner in (place.members or {}).items():
        known |= {f"{member}_{below}": (member, below) for below in inner.members or ()}
    matches = get_close_matches(name.lower(), known, n=1)
    return known[matches[0]] if matches else None


def _known(place: Place | None, path: SettingPath, rest: SettingPath) -> SettingPath:
    """Return *rest* if it may stand below *path*, seen from *place*, else nothing."""
    for name in (*path, *rest):
        place = place.below(name) if place else None
    return rest if place else ()


def _group(fields: Mapping[str, FieldInfo]) -> Place:
    return Place(members={name: _place(field.annotation) for name, field in fields.items()})


def _place(annotation: object) -> Place:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _group(annotation.model_fields)
    if get_origin(annotation) is dict:
        return Place(each=_place(get_args(annotation)[1]))
    if get_origin(annotation) is tuple and get_args(annotation)[0] is HubSettings:
        return Place(each=_group(HubSettings.model_fields))
    return Place()
