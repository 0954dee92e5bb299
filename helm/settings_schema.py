"""Schema and defaults of the values `settings` and `hubs`, from the models of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import yaml
from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from exporter.settings.discovery import FoundHub
from exporter.settings.groups import Limits, OrchestratorLimits
from exporter.settings.hub import IDENTITY, HubSettings
from exporter.settings.model import Settings
from exporter.settings.schema import FORMER_NAMES, is_group, metadata_of, values_of
from helm.documented import Schema, closed

# Settings that the chart sets itself, with the value for each.
CHART_VALUES: Mapping[str, str] = {
    "config_file": "settings",
    "listen_address": "listenAddress",
    "web_config_file": "web",
    "shard": "shards",
    "state_dir": "state",
}
_FORMER = "Former name of "
HUB_NAME = "^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"

_NUMBER = r"[0-9]+(\.[0-9]+)?"
# Each unit at most once, in this order.
_SPELLED = f"{_NUMBER}|" + "".join(f"({_NUMBER}{unit})?" for unit in ("d", "h", "m", "s", "ms"))
_DURATION: Schema = {
    "type": ["string", "number"],
    "minimum": 0,
    "minLength": 1,
    "pattern": f"^({_SPELLED})$",
}
_LIMIT: Schema = {**_DURATION, "pattern": f"^(none|{_SPELLED})$"}
_SHARE_LIMIT: Schema = {
    "type": ["string", "number"],
    "minimum": 0,
    "maximum": 1,
    "pattern": f"^(none|{_NUMBER} ?%?)$",
}
_COUNT_LIMIT: Schema = {"type": ["string", "integer"], "minimum": 0, "pattern": "^(none|[0-9]+)$"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_SECRET_ENTRY: Schema = {**_TEXT, "pattern": "^[-._a-zA-Z0-9]+$"}
_PATTERNS: Mapping[str, str] = {
    # A query, or a part before @, may be a secret, which does not belong in a ConfigMap.
    "url": r"^https?://[^/?#@\s]+[^?#@\s]*$",
    "task_hub": "^[A-Za-z][A-Za-z0-9]{2,44}$",
    "connection": r"^[^;=\s]+$",
    "proxy": r"^https?://\S+$",
    "key_file": "^/",
    "keys_dir": "^/",
}


def of_settings() -> Schema:
    """Return the schema of `settings`: settings of the exporter, and defaults of all hubs."""
    return _group(_shared_fields())


def _shared_fields() -> Mapping[str, FieldInfo]:
    fields = {**Settings.model_fields, **HubSettings.model_fields}
    left_out = {"hubs", *IDENTITY, *CHART_VALUES}
    return {name: field for name, field in fields.items() if name not in left_out}


def default_values() -> str:
    """Return values that set every setting with a default to it, for tests of the chart."""
    settings, found = _defaults(_shared_fields()), _defaults(FoundHub.model_fields)
    settings["discovery"]["azure"]["hubs"] = {"*": found}
    hub = {"url": "https://orders.azurewebsites.net", **_defaults(HubSettings.model_fields)}
    values = {"settings": settings, "hubs": {"orders": hub}}
    return "# Every setting at its default, written by `make docs`.\n" + yaml.safe_dump(values)


def _defaults(fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for name, field in fields.items():
        default = field.get_default()
        if isinstance(default, Limits):
            default = Limits(orchestrators={"*": OrchestratorLimits()})
        if isinstance(default, BaseModel):
            defaults[name] = default.model_dump(mode="json", exclude_none=True)
        elif default not in (None, PydanticUndefined):
            defaults[name] = list(default) if isinstance(default, tuple) else default
    return defaults


def of_hubs() -> Schema:
    """Return the schema of `hubs`: settings of hubs by name, and where their keys are."""
    hub = _group(HubSettings.model_fields)
    hub["required"] = ["url"]
    hub["properties"] |= _key_sources()
    return {
        "type": "object",
        "propertyNames": {"pattern": HUB_NAME, "maxLength": 63},
        "additionalProperties": hub,
    }


def _key_sources() -> Schema:
    secret = {"name": {**_TEXT, "description": "Name of the Secret."}}
    entry = {"key": {**_SECRET_ENTRY, "description": "Its entry with the key; `key` by default."}}
    remote = {
        name: {**_TEXT, "description": f"`{name}` of the external store's `remoteRef`."}
        for name in ("key", "property", "version")
    }
    return {
        "key": {**_TEXT, "description": "The key itself; the chart puts it into a Secret."},
        "keySecret": {
            **closed(secret | entry, "name"),
            "description": "Secret that holds the key.",
        },
        "externalKey": {
            **closed(remote, "key"),
            "description": "Where External Secrets finds the key.",
        },
    }


def _group(fields: Mapping[str, FieldInfo], place: str = "") -> Schema:
    properties = {
        name: {**_of_field(name, field), "description": field.description}
        for name, field in fields.items()
    }
    for former, name in FORMER_NAMES.items():
        group, _, last = name.rpartition(".")
        if group == place and last in fields:
            description = f"{_FORMER}`{last}`, until the next minor version."
            former_name = former.rpartition(".")[2]
            properties[former_name] = {**properties[last], "description": description}
    return closed(properties)


def _of_field(name: str, field: FieldInfo) -> Schema:
    annotation = field.annotation
    if is_group(annotation):
        return _group(annotation.model_fields, name)
    if get_origin(annotation) is dict:
        return {"type": "object", "additionalProperties": _below(get_args(annotation)[1])}
    if get_origin(annotation) is Literal:
        return {"enum": list(get_args(annotation))}
    return _of_value(name, field, values_of(field) or "")


def _of_value(name: str, field: FieldInfo, words: str) -> Schema:
    """Return the schema of a single value; *words* are its values in the reference of settings."""
    if field.annotation is bool:
        return {"type": "boolean"}
    if "list" in words:
        return {"type": ["array", "string"], "items": {"type": ["string", "number"]}}
    if words.startswith("duration"):
        return _LIMIT if "none" in words else _DURATION
    if "none" in words and words.startswith(("share", "whole number")):
        return _SHARE_LIMIT if words.startswith("share") else _COUNT_LIMIT
    if words.startswith("whole number") or field.annotation is int:
        return {"type": "integer", **_bounds(field)}
    return {**_TEXT, "pattern": _PATTERNS[name]} if name in _PATTERNS else _TEXT


def _below(annotation: object) -> Schema:
    if not is_group(annotation):
        return {"type": "string"}
    # Settings below a free name go to the ConfigMap, and a proxy may hold credentials.
    fields = {name: each for name, each in annotation.model_fields.items() if name != "proxy"}
    return _without_former_names(_group(fields))


def _without_former_names(group: Schema) -> Schema:
    """Return *group* without former names, which are not accepted below a free name."""
    properties = {
        name: _without_former_names(below) if below.get("type") == "object" else below
        for name, below in group.get("properties", {}).items()
        if not below.get("description", "").startswith(_FORMER)
    }
    return {**group, "properties": properties} if properties else group


def _bounds(field: FieldInfo) -> Schema:
    """Return minimum and maximum of a number, also of a nested field."""
    bounds: Schema = {}
    for part in metadata_of(field):
        for bound in part.metadata if isinstance(part, FieldInfo) else [part]:
            if isinstance(bound, Ge):
                bounds["minimum"] = bound.ge
            if isinstance(bound, Le):
                bounds["maximum"] = bound.le
    return bounds
